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
from jax_arrays import DEVICES, wide
from roipool import checks, descriptions, geometry, native, reference
from roipool.doors import door_of
from roipool.doors.jax import primitives
from roipool.kernels import KERNELS
from roipool.operators.roi_align import ROI_ALIGN

HOW = [(0, True), (0, False), (2, True), (2, False)]
each_way = pytest.mark.parametrize(("sampling_ratio", "aligned"), HOW)
SHAPES = (2, 3, 11, 9), (1, 3, 5, 7), (2, 3, 8, 4)
# Inside, over two borders, of below a pixel, as padding, over another; no sample near a pixel.
BOXES = [
    [0, 0.53, 0.71, 3.37, 4.13],
    [1, -2.23, 1.31, 3.1, 7.77],
    [0, 1.13, 1.27, 1.45, 1.61],
    [-1, 0, 0, 3, 3],
    [1, 2.31, -3.3, 8.13, 2.9],
]


def align(data, rois, size=(2, 3), scale=0.9, **how):
    return roipool.roi_align(data, rois, size, scale, **({"sampling_ratio": 2} | how))


def squares(data, rois):
    return (align(data, rois) ** 2).sum()


def some_arrays(dtype=np.float32, shape=(2, 2, 6, 5)):
    data = jnp.asarray(normal_maps(np.random.default_rng(0), shape, dtype))
    return data, jnp.asarray(BOXES, np.float64 if dtype == np.float64 else np.float32)


def some_maps():
    return [jnp.asarray(normal_maps(np.random.default_rng(i), s)) for i, s in enumerate(SHAPES)]


def rois_of_maps():
    rois = jnp.asarray(BOXES * 2, np.float32)
    return rois.at[:, 0].set(jnp.asarray([4, 2, 0, -1, 1, 3, 2, 1, -1, 0]))


def assert_close(found, expected, **tolerance):
    compare = partial(np.testing.assert_allclose, **({"rtol": 1e-4, "atol": 1e-5} | tolerance))
    jax.tree.map(compare, found, expected)


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


# Several arrays of maps.


def test_several_maps():
    maps, rois = some_maps(), rois_of_maps()
    expected = align([np.asarray(array) for array in maps], np.asarray(rois))
    assert_same_bits(np.asarray(align(maps, rois)), expected)
    assert_same_bits(np.asarray(jax.jit(align)(tuple(maps), rois)), expected)
    of_maps, of_rois = jax.grad(squares, (0, 1))(maps, rois)
    grad = 2 * align(maps, rois)
    shapes = [array.shape for array in maps]
    assert_close(of_maps, roipool.roi_align_backward(grad, rois, shapes, 0.9, sampling_ratio=2))
    assert_close(of_rois, roipool.roi_align_backward_rois(grad, maps, rois, 0.9, sampling_ratio=2))
    one = jax.grad(lambda x: squares([maps[0], x, maps[2]], rois))(maps[1])
    assert_close(one, of_maps[1])
    planes = [array[0] for array in maps]
    index = jnp.asarray([0, 1, 2, -1, 0, 1, 2, 0, 1, 2])
    assert_same_bits(
        np.asarray(align(planes, rois.at[:, 0].set(index))),
        align([np.asarray(plane) for plane in planes], np.asarray(rois.at[:, 0].set(index))),
    )


def test_several_maps_must_be_alike():
    maps = some_maps()
    with pytest.raises(ValueError, match=r"data\[1\] has dtype float16 and 3 channels, but data"):
        align([maps[0], maps[1].astype("float16")], rois_of_maps())


# jax.vmap against a loop.


def looped(function, dims, *arrays):
    def one(i):
        pick = lambda x, d: x if d is None else x[i]  # noqa: E731
        return function(
            *(
                [pick(x, e) for x, e in zip(a, d, strict=True)]
                if isinstance(a, list)
                else pick(a, d)
                for a, d in zip(arrays, dims, strict=True)
            )
        )

    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(one, range(3)))


@pytest.mark.parametrize("dims", [([0] * 3, None), ([None] * 3, 0), ([0, None, 0], 0)], ids=str)
def test_vmap_of_several_maps_is_one_call(dims):
    maps, rois = some_maps(), rois_of_maps()
    data = [
        jnp.stack([x, 2 * x, x - 1]) if d == 0 else x for x, d in zip(maps, dims[0], strict=True)
    ]
    if dims[1] == 0:
        shift = jnp.asarray([0, 1, 1, 1, 1]) * 0.37
        rois = jnp.stack([rois, jnp.roll(rois, 1, 0), rois + shift])
    mapped = jax.vmap(align, dims)
    assert str(jax.make_jaxpr(mapped)(data, rois)).count("roipool_taps_read[") == 1
    np.testing.assert_array_equal(mapped(data, rois), looped(align, dims, data, rois))
    gradient = jax.grad(squares, (0, 1))
    assert_close(jax.vmap(gradient, dims)(data, rois), looped(gradient, dims, data, rois))


@pytest.mark.parametrize("name", ["taps_read", "taps_add", "taps_weigh_y"])
def test_vmap_of_every_operand(name):
    """Each by itself, and all: lists of taps are then joined, and the bins' ranges with them."""
    kernel, known, shapes = taps()
    kernel = KERNELS[name]

    def call(*operands):
        named = primitives.by_name(kernel, operands, shapes)
        return jax.tree.leaves(primitives.bind(kernel, named, shapes))

    operands = primitives.flat(kernel, known)
    examples = [jnp.stack([x, x[::-1], x]) for x in operands]
    for at in range(len(operands) + 1):
        dims = [0 if at in (i, len(operands)) else None for i in range(len(operands))]
        some = [e if d == 0 else o for o, e, d in zip(operands, examples, dims, strict=True)]
        assert_close(jax.vmap(call, dims)(*some), looped(call, dims, *some))


def test_vmap_of_the_hessian_of_regions():
    data, rois = some_arrays()
    hessian = jax.hessian(squares, 1)
    stacked = jnp.stack([rois, rois + jnp.asarray([0, 1, 1, 1, 1]) * 0.21, rois])
    found = jax.vmap(hessian, (None, 0))(data, stacked)
    assert_close(found, looped(hessian, (None, 0), data, stacked), atol=1e-4)


# In jax.lax alone.


def taps(sampling_ratio=2, dtype=np.float32):
    """All that the kernels of taps take, of several maps."""
    maps, rois = some_maps(), np.asarray(rois_of_maps())
    shapes = tuple(array.shape for array in maps)
    call = ROI_ALIGN.call((2, 3), 0.9, len(maps), sampling_ratio=sampling_ratio, aligned=True)
    sizes = geometry.maps_of(shapes, call.scales)
    found = native.structure(ROI_ALIGN, rois, sizes, "float32", call)._asdict()
    known = {name: jnp.asarray(value) for name, value in found.items()}
    pooled = normal_maps(np.random.default_rng(5), (len(rois), 3, 2, 3))
    known |= {"data": [x.astype(dtype) for x in maps], "pooled": jnp.asarray(pooled, dtype)}
    return KERNELS["taps_read"], known, shapes


@pytest.mark.parametrize("chunk", [2**22, 50])
@pytest.mark.parametrize("name", ["taps_read", "taps_add", "taps_weigh_y", "taps_weigh_x"])
def test_lax_is_as_native(name, chunk):
    kernel = KERNELS[name]
    for dtype, tolerance in ((np.float32, 1e-5), ("bfloat16", 1e-2)):
        _, known, shapes = taps(0, dtype)
        expected = jax.tree.leaves(primitives.bind(kernel, known, shapes))
        in_lax = partial(primitives._in_lax, kernel, maps=shapes, results=1, chunk=chunk)
        found = jax.jit(in_lax)(*primitives.flat(kernel, known))
        wide = [jax.tree.map(lambda x: x.astype("float32"), each) for each in (found, expected)]
        assert [x.dtype for x in found] == [x.dtype for x in expected]
        assert_close(*wide, rtol=tolerance, atol=tolerance)


def test_lax_reads_nothing_of_weight_0():
    _, known, shapes = taps()
    known["data"] = [jnp.full_like(x, jnp.nan) for x in known["data"]]
    known["y_weight"] = jnp.zeros_like(known["y_weight"])
    for name in ("taps_read", "taps_add", "taps_weigh_x"):
        kernel = KERNELS[name]
        in_lax = partial(primitives._in_lax, kernel, maps=shapes, results=1)
        known["pooled"] = known["pooled"].at[:].set(jnp.nan)
        found = jax.jit(in_lax)(*primitives.flat(kernel, known))
        assert not any(x.any() for x in found)


def test_elsewhere_all_is_lax():
    both = jax.jit(jax.value_and_grad(squares, (0, 1))).trace(some_maps(), rois_of_maps())
    for platform in ("cuda", "tpu"):
        assert "custom_call" not in both.lower(lowering_platforms=(platform,)).as_text()


def test_max_of_several_maps_in_lax():
    maps, rois = some_maps(), rois_of_maps()
    call = descriptions.OPERATORS["roi_pool"].call(2, 0.9, 3)
    sizes = geometry.maps_of([x.shape for x in maps], call.scales)
    bins = geometry.max_bins(jnp, rois, sizes, (2, 2), jnp.float32)
    first = np.cumsum([0, *(x.shape[0] for x in maps)])
    known = {"data": maps, **bins._asdict()}
    shapes = tuple(x.shape for x in maps)

    def in_lax(name, results=1):
        kernel = KERNELS[name]
        operands = primitives.flat(kernel, known)
        return primitives._in_lax(kernel, *operands, maps=shapes, results=results)

    known["pooled"], known["argmax"] = in_lax("max", 2)
    assert_same_bits(np.asarray(in_lax("max_read")[0]), np.asarray(known["pooled"]))
    added = in_lax("max_add")
    for i, array in enumerate(maps):
        here = np.asarray((rois[:, 0] >= first[i]) & (rois[:, 0] < first[i + 1]))
        rows = np.asarray(rois)[here] - [first[i], 0, 0, 0, 0]
        values, argmax = reference.roi_pool(np.asarray(array), rows, (2, 2), 0.9)
        assert_same_bits(np.asarray(known["pooled"])[here], values)
        assert_same_bits(np.asarray(known["argmax"])[here], argmax)
        assert_close(added[i], reference.roi_pool_backward(values, argmax, rows, array.shape))


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
            twin=lambda *_: (None, False),
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

    assert checks.FLOATS == operator.dtypes
    for function in (
        lambda f: f,
        lambda f: jax.jit(jax.grad(lambda *args: (f(*args) ** 2).sum(), (0, 1))),
        lambda f: lambda x, r: jax.vmap(f, (None, 0))(x, r[None]),
    ):
        assert_close(function(larger)(data, rois), function(expected)(data, rois))
