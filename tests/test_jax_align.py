"""roi_align of JAX arrays: NumPy's bits, and derivatives for features and regions alike."""

from functools import partial

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
from jax.test_util import check_grads

import roipool
from cases import FLOATS, NAMES, assert_same_bits, normal_maps, odd_boxes, random_boxes
from jax_align_cases import BOXES, align, assert_close, some_arrays, squares
from jax_arrays import DEVICES, wide
from roipool import checks, descriptions, geometry, reference
from roipool.doors import door_of
from roipool.operators.roi_align import ROI_ALIGN

HOW = [(0, True), (0, False), (2, True), (2, False)]
each_way = pytest.mark.parametrize(("sampling_ratio", "aligned"), HOW)


@each_way
@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
def test_the_bits_of_numpy(dtype, sampling_ratio, aligned):
    data = normal_maps(np.random.default_rng(1), (2, 5, 13, 11), dtype)
    rois = np.concatenate([random_boxes(np.random.default_rng(2), 9, 2, 13, 11), odd_boxes(13, 11)])
    pool = partial(align, scale=0.7, sampling_ratio=sampling_ratio, aligned=aligned)
    expected = pool(data, rois)
    with wide(dtype):
        arrays = jnp.asarray(data), jnp.asarray(rois)
        assert_same_bits(np.asarray(pool(*arrays)), expected)
        assert_same_bits(np.asarray(jax.jit(pool)(*arrays)), expected)


@each_way
def test_gradients_as_the_definition(sampling_ratio, aligned):
    how = {"sampling_ratio": sampling_ratio, "aligned": aligned}
    with jax.enable_x64(True):
        data, rois = some_arrays(np.float64)
        values, back = jax.vjp(partial(align, **how), data, rois)
        assert_close(
            values, reference.roi_align(*map(np.asarray, (data, rois)), (2, 3), 0.9, *how.values())
        )
        grad = jnp.asarray(normal_maps(np.random.default_rng(3), values.shape, np.float64))
        arrays = map(np.asarray, (grad, data, rois))
        of_data, of_rois = reference.roi_align_backward(*arrays, 0.9, *how.values())
        assert_close(back(grad), (of_data, of_rois), rtol=1e-9, atol=1e-9)
        for wrap in (lambda f: f, jax.jit):
            found = wrap(lambda g, r: roipool.roi_align_backward(g, r, data.shape, 0.9, **how))
            assert_close(found(grad, rois), of_data, rtol=1e-9, atol=1e-9)
            found = wrap(lambda *args: roipool.roi_align_backward_rois(*args, 0.9, **how))
            assert_close(found(grad, data, rois), of_rois, rtol=1e-9, atol=1e-9)


@each_way
def test_numerical_derivatives(sampling_ratio, aligned):
    with jax.enable_x64(True):
        data, rois = some_arrays(np.float64)

        @jax.jit
        def pool(data, corners):
            rows = jnp.concatenate([rois[:, :1], corners], axis=1)
            return align(data, rows, sampling_ratio=sampling_ratio, aligned=aligned)

        check_grads(pool, (data, rois[:, 1:]), order=2, modes=("fwd", "rev"), eps=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types(dtype):
    data, rois = some_arrays()
    whole = jax.grad(squares, (0, 1))(data.astype(dtype).astype("float32"), rois)
    found = jax.grad(squares, (0, 1))(data.astype(dtype), rois)
    assert [each.dtype for each in found] == [dtype, "float32"]
    assert_close([each.astype("float32") for each in found], list(whole), rtol=0.1, atol=0.2)


def test_slopes_are_computed_for_derivatives_of_regions_alone():
    """What the second axis of slopes becomes, (taps, 2), is in no other program."""
    data, rois = some_arrays()

    def text(function):
        return jax.jit(function).lower(data, rois).compile().as_text()

    slopes = "f32[40,2]"  # 5 regions of 2 bins of 2 samples, between 2 pixels each
    assert slopes not in text(align)
    assert slopes not in text(jax.grad(squares))
    moving = jax.make_jaxpr(jax.grad(squares, 1))(data, rois)
    assert {"roipool_taps_weigh_y", "roipool_taps_weigh_x"} <= set(
        str(moving).replace("[", " ").split()
    )
    assert "weigh" not in str(jax.make_jaxpr(jax.grad(squares))(data, rois))


@pytest.mark.parametrize("rois", [[jnp.asarray(BOXES)[:1, 1:], jnp.zeros((0, 4))]])
def test_boxes_of_each_image_have_gradients(rois):
    data, _ = some_arrays()
    expected = jax.grad(squares, 1)(data, jnp.asarray(BOXES)[:1])[:, 1:]
    assert_close(jax.grad(squares, 1)(data, rois), [expected, np.zeros((0, 4))])


# What is no region; nothing; many devices; any operator.


@pytest.mark.parametrize("row", [[2, 0, 0, 3, 3], [0.5, 0, 0, 3, 3], [0, 0, np.nan, 3, 3]], ids=str)
def test_wrong_rows(row):
    data, rois = some_arrays()
    rois = rois.at[1].set(jnp.asarray(row, np.float32))
    with pytest.raises((IndexError, ValueError), match=r"rois\[1"):
        align(data, rois)
    with pytest.raises((IndexError, ValueError), match=r"rois\[1"):
        roipool.roi_align_backward_rois(jnp.ones((5, 2, 2, 3)), data, rois, sampling_ratio=2)
    assert not jax.jit(align)(data, rois)[1].any()
    of_data, of_rois = jax.grad(squares, (0, 1))(data, rois)
    assert not of_rois[1].any()
    padded = rois.at[1].set(-1)
    assert_close(of_data, jax.grad(squares)(data, padded))


@pytest.mark.parametrize(
    ("shape", "count"),
    [((1, 3, 5, 5), 0), ((0, 3, 5, 5), 2), ((1, 0, 5, 5), 2), ((1, 3, 0, 5), 2), ((1, 3, 5, 0), 2)],
)
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_nothing(shape, count, sampling_ratio):
    data, rois = jnp.zeros(shape), jnp.zeros((count, 5)).at[:, 0].set(0 if shape[0] else -1)
    pool = partial(align, sampling_ratio=sampling_ratio)
    for call in (pool, jax.jit(pool)):
        assert call(data, rois).shape == (count, shape[1], 2, 3)
        assert not call(data, rois).any()
    of_data, of_rois = jax.grad(lambda *args: pool(*args).sum(), (0, 1))(data, rois)
    assert (of_data.shape, of_rois.shape) == (shape, (count, 5))
    lowered = jax.jit(pool).trace(data, rois).lower(lowering_platforms=("cuda",))
    assert "custom_call" not in lowered.as_text()


@pytest.mark.parametrize("spec", [(P(), P("devices")), (P(None, "devices"), P())], ids=str)
def test_each_device_has_its_own(spec):
    mesh = jax.make_mesh((DEVICES,), ("devices",), axis_types=(jax.sharding.AxisType.Auto,))
    data, rois = some_arrays(shape=(2, 8, 6, 5))
    rois = jnp.concatenate([rois, rois[:3]])
    out = P("devices") if spec[1] == P("devices") else spec[0]
    spread = jax.shard_map(align, mesh=mesh, in_specs=spec, out_specs=out)
    total = lambda data, rois: (spread(data, rois) ** 2).sum()  # noqa: E731
    found = jax.jit(jax.value_and_grad(total, (0, 1)))(data, rois)
    assert_close(found, jax.value_and_grad(squares, (0, 1))(data, rois))


@pytest.mark.parametrize("platform", ["cpu", "cuda"])
def test_a_program_for_any_number_of_regions(platform):
    from jax import export

    count = export.symbolic_shape("K")[0]
    shapes = jax.ShapeDtypeStruct((2, 3, 9, 9), "float32"), jax.ShapeDtypeStruct((count, 5), "f4")
    targets = [export.DisabledSafetyCheck.custom_call("roipool_run")]
    gradient = jax.jit(jax.grad(squares, (0, 1)))
    program = export.export(gradient, platforms=[platform], disabled_checks=targets)(*shapes)
    assert program.platforms == (platform,)
    if platform == "cpu":
        arrays = some_arrays(shape=(2, 3, 9, 9))
        assert_close(export.deserialize(program.serialize()).call(*arrays), gradient(*arrays))


def test_an_operator_made_of_known_parts(monkeypatch):
    """Twice as large a region, max and mean: found at this door with its derivatives."""
    monkeypatch.setattr(descriptions, "OPERATORS", dict(descriptions.OPERATORS))

    def structure(xp, rois, maps, size, dtype, times, *, traced=False):
        rows = xp.concatenate([rois[:, :1], rois[:, 1:] * times], axis=1)
        found, slopes = geometry.align_taps(
            xp, rows, maps, size, dtype, sampling_ratio=1, aligned=True, traced=traced
        )
        return found, geometry.Slopes(slopes.y * times, slopes.x * times)

    operator = descriptions.described(
        ROI_ALIGN._replace(
            name="larger",
            structure=structure,
            twin="",
            options=(descriptions.Option("times", "int", int),),
            onnx=None,
        )
    )
    data, rois = some_arrays()
    call = operator.call((2, 3), 0.9, None, times=2)

    def larger(data, rois):
        return door_of(data).pool(operator, data, rois, call, False, None)

    def expected(data, rois):
        scale = jnp.asarray([1, 2, 2, 2, 2], np.float32)
        return align(data, rois * scale, sampling_ratio=1)

    assert operator.dtypes == checks.FLOATS
    for function in (
        lambda f: f,
        lambda f: jax.jit(jax.grad(lambda *args: (f(*args) ** 2).sum(), (0, 1))),
        lambda f: lambda x, r: jax.vmap(f, (None, 0))(x, r[None]),
    ):
        assert_close(function(larger)(data, rois), function(expected)(data, rois))
