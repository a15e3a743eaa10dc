"""JAX arrays give what arrays give, bit for bit: eager, compiled, and in jax.lax alone."""

import re
from functools import partial

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp

import roipool
from cases import DTYPES, FLOATS, NAMES, assert_same_bits, normal_maps, odd_boxes, odd_maps
from cases import random_boxes as boxes
from jax_arrays import in_lax, some_boxes, some_maps, wide
from roipool import _core, reference
from roipool.doors.jax import lax_max, lax_walks

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)
each_float = pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
both = partial(roipool.roi_pool, return_argmax=True)
WAYS = {
    "eager": both,
    "compiled": jax.jit(both, static_argnums=(2, 3)),
    "lax": jax.jit(in_lax, static_argnums=(2, 3)),
    "lax in chunks": jax.jit(partial(in_lax, chunk=100), static_argnums=(2, 3)),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@each_way
@each_dtype
@pytest.mark.parametrize("channels", [1, 17])
def test_as_the_definition(way, dtype, channels):
    rng = np.random.default_rng(channels)
    data = odd_maps(rng, (2, channels, 11, 9), dtype)
    rois = np.concatenate([odd_boxes(11, 9), boxes(rng, 8, 2, 11, 9)])
    expected, expected_argmax = reference.roi_pool(data, rois, (3, 4), 0.7)
    with wide(dtype):
        values, argmax = way(jnp.asarray(data), jnp.asarray(rois), (3, 4), 0.7)
    assert_same_bits(np.asarray(values), expected)
    assert_same_bits(np.asarray(argmax), expected_argmax)


@each_way
def test_values_alone(way):
    data, rois = some_maps(), some_boxes()
    assert_same_bits(
        np.asarray(roipool.roi_pool(data, rois, 3, 0.7)),
        np.asarray(way(data, rois, (3, 3), 0.7)[0]),
    )


@each_way
@pytest.mark.parametrize(
    ("shape", "count"),
    [((1, 3, 5, 5), 0), ((0, 3, 5, 5), 2), ((1, 0, 5, 5), 2), ((1, 3, 0, 5), 2), ((1, 3, 5, 0), 2)],
)
def test_nothing(way, shape, count):
    rois = np.zeros((count, 5), np.float32)
    rois[:, 0] = 0 if shape[0] else -1
    values, argmax = way(jnp.zeros(shape), jnp.asarray(rois), (2, 3), 1.0)
    assert values.shape == argmax.shape == (count, shape[1], 2, 3)
    assert not np.any(values)
    assert np.all(argmax == -1)


@each_float
@pytest.mark.parametrize("scatter", [roipool.roi_pool_backward, None], ids=["door", "lax"])
def test_gradients_as_the_definition(dtype, scatter):
    data = normal_maps(np.random.default_rng(0), (2, 5, 13, 11), dtype)
    rois = np.asarray(some_boxes())
    argmax = reference.roi_pool(data, rois, (3, 4), 1.0)[1]
    grad = normal_maps(np.random.default_rng(1), argmax.shape, dtype)
    expected = reference.roi_pool_backward(grad, argmax, rois, data.shape)
    with wide(dtype):
        arrays = [jnp.asarray(a) for a in (grad, argmax, rois)]
        if scatter is None:
            image = jnp.where(arrays[2][:, 0] < 0, -1, arrays[2][:, 0]).astype(int)
            found = jax.jit(partial(lax_max.scatter, data_shape=data.shape))(*arrays[:2], image)
            assert_same_bits(np.asarray(found), expected)
            return
        assert_same_bits(np.asarray(scatter(*arrays, data.shape)), expected)
        compiled = jax.jit(scatter, static_argnums=3)
        assert_same_bits(np.asarray(compiled(*arrays, data.shape)), expected)
        pooled = jax.vjp(lambda x: roipool.roi_pool(x, arrays[2], (3, 4)), jnp.asarray(data))
        assert_same_bits(np.asarray(pooled[1](arrays[0])[0]), expected)


def test_every_form_of_rois():
    data = some_maps((3, 4, 9, 9))
    rois = boxes(np.random.default_rng(1), 10, 3, 9, 9)
    rois = rois[np.argsort(rois[:, 0], kind="stable")]
    parts = [rois[rois[:, 0] == n, 1:] for n in range(3)]
    arrays = [jnp.asarray(part) for part in parts]
    expected = np.asarray(roipool.roi_pool(data, jnp.asarray(rois), 2))
    mixed = [arrays[0], parts[1], arrays[2]]
    for form in (rois, rois.tolist(), parts, arrays, tuple(arrays), mixed, list(jnp.asarray(rois))):
        assert_same_bits(np.asarray(roipool.roi_pool(data, form, 2)), expected)
        compiled = jax.jit(lambda x, r: roipool.roi_pool(x, r, 2))
        assert_same_bits(np.asarray(compiled(data, form)), expected)
    assert_same_bits(roipool.roi_pool(np.asarray(data), arrays, 2), expected)
    some = [arrays[0], jnp.zeros((0, 4)), jnp.zeros(0)]
    for call in (roipool.roi_pool, jax.jit(roipool.roi_pool, static_argnums=2)):
        assert_same_bits(np.asarray(call(data, some, 2)), expected[: len(parts[0])])
        for none in (jnp.zeros((0, 5)), [jnp.zeros((0, 4))] * 3):
            assert call(data, none, (2, 3)).shape == (0, 4, 2, 3)
    assert roipool.roi_pool(data, [], 2).shape == (0, 4, 2, 2)


def test_half_boxes_of_more_images_than_half_types_count():
    data = jnp.arange(300.0).reshape(300, 1, 1, 1)
    rois = [jnp.zeros((1, 4), jnp.bfloat16)] * 300
    assert jnp.array_equal(jax.jit(lambda r: roipool.roi_pool(data, r, 1))(rois), data)


WRONG = [[2, 0, 0, 3, 3], [0.5, 0, 0, 3, 3], [np.nan, 0, 0, 3, 3], [np.inf, 0, 0, 3, 3]]
WRONG += [[0, np.nan, 0, 3, 3], [0, 0, 0, np.inf, 3], [0, 0, -np.inf, 3, 3]]


@each_way
@pytest.mark.parametrize("row", WRONG, ids=str)
def test_what_cannot_be_looked_at_is_padding(way, row):
    data = some_maps((2, 3, 6, 6)) + 9
    rois = jnp.asarray([[0, 0, 0, 3, 3], row, [1, 1, 1, 5, 5]], jnp.float32)
    if way is both:
        with pytest.raises((IndexError, ValueError), match=r"rois\[1"):
            way(data, rois, (2, 2), 1.0)
        return
    values, argmax = way(data, rois, (2, 2), 1.0)
    assert np.all(values[1] == 0)
    assert np.all(argmax[1] == -1)
    assert np.all(values[::2] > 0)


def test_a_wrong_argmax_that_cannot_be_looked_at_adds_nothing():
    grad, rois = jnp.ones((1, 1, 1, 3)), jnp.asarray([[0.0, 0, 0, 1, 1]])
    argmax = jnp.asarray([[[[3, 4, -2]]]])
    shape = (1, 1, 2, 2)
    with pytest.raises(IndexError, match="argmax holds positions outside the map of 2 x 2 pixels"):
        roipool.roi_pool_backward(grad, argmax, rois, shape)
    compiled = jax.jit(roipool.roi_pool_backward, static_argnums=3)(grad, argmax, rois, shape)
    assert compiled.tolist() == [[[[0, 0], [0, 1]]]]
    assert jnp.array_equal(
        lax_max.scatter(grad, argmax, jnp.asarray([0]), data_shape=shape), compiled
    )


def test_more_pixels_than_one_index_counts(monkeypatch):
    data, rois = some_maps(), some_boxes()
    values, argmax = roipool.roi_pool(data, rois, 3, return_argmax=True)
    image = jnp.maximum(rois[:, 0], -1).astype(int)
    gathered = lax_max.gather(data, argmax, image)
    scattered = lax_max.scatter(values, argmax, image, data_shape=data.shape)
    monkeypatch.setattr(lax_walks, "COUNTED", 1000)  # of 1,430 pixels, 715 of each image
    assert jnp.array_equal(lax_max.gather(data, argmax, image), gathered)
    assert jnp.array_equal(lax_max.scatter(values, argmax, image, data_shape=data.shape), scattered)
    assert jnp.array_equal(gathered, values)
    monkeypatch.setattr(lax_walks, "COUNTED", 100)
    with pytest.raises(ValueError, match=r"jax.lax indexes fewer than 2\*\*31 pixels"):
        in_lax(data, rois, (3, 3))
    with pytest.raises(ValueError, match=r"the map has shape \(2, 5, 13, 11\); jax.lax indexes"):
        lax_max.gather(data, argmax, image)


def lowered(platform):
    program = jax.jit(jax.grad(lambda x, r: roipool.roi_pool(x, r, 2).sum()))
    traced = program.trace(some_maps(), some_boxes())
    return traced.lower(lowering_platforms=(platform,)).as_text()


def test_the_platform_chooses_the_lowering():
    assert set(_core.xla_handlers()) == {"run"}
    calls = re.findall(r"kernel = \"(\w+)\"", lowered("cpu"))
    assert calls == ["max", "max_add"]
    for platform in ("cuda", "rocm", "tpu"):
        assert "custom_call" not in lowered(platform)


def test_memory_in_lax_is_a_few_results():
    """fast_rcnn's shapes: 200 MB of values."""
    data = jax.ShapeDtypeStruct((1, 512, 38, 63), jnp.float32)
    rois = jax.ShapeDtypeStruct((2000, 5), jnp.float32)
    pooled = jax.ShapeDtypeStruct((2000, 512, 7, 7), jnp.float32)
    image = jax.ShapeDtypeStruct((2000,), jnp.int32)
    argmax = jax.ShapeDtypeStruct(pooled.shape, jnp.int32)
    forward = jax.jit(partial(in_lax, pooled_size=(7, 7), scale=1 / 16)).lower(data, rois)
    backward = jax.jit(partial(lax_max.scatter, data_shape=data.shape)).lower(pooled, argmax, image)
    result = 4 * pooled.size
    for program, arrays in ((forward, 2), (backward, 2)):
        memory = program.compile().memory_analysis()
        assert memory.temp_size_in_bytes < (arrays + 0.5) * result


def test_positions_are_looked_at_before_they_are_narrowed():
    grad, rois = jnp.ones((1, 1, 1, 1)), jnp.asarray([[0.0, 0, 0, 1, 1]])
    with pytest.raises(IndexError, match="argmax holds positions outside the map"):
        roipool.roi_pool_backward(grad, np.array([[[[2**32]]]]), rois, (1, 1, 2, 2))


def test_indices_that_float32_does_not_count():
    data = jnp.zeros((2**24 + 2, 1, 1, 1), "int8").at[2**24 + 1].set(7)
    rois = np.array([[2**24 + 1, 0, 0, 0, 0]])
    assert roipool.roi_pool(data, rois, 1).item() == 7


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_a_program_for_any_number_of_regions_elsewhere(platform):
    from jax import export

    count = export.symbolic_shape("K")[0]
    shapes = jax.ShapeDtypeStruct((2, 3, 9, 9), "float32"), jax.ShapeDtypeStruct((count, 5), "f4")
    gradient = jax.jit(jax.grad(lambda x, r: roipool.roi_pool(x, r, 2).sum()))
    assert export.export(gradient, platforms=[platform])(*shapes).platforms == (platform,)


def test_a_program_for_any_number_of_regions():
    from jax import export

    count = export.symbolic_shape("K")[0]
    shapes = jax.ShapeDtypeStruct((2, 3, 9, 9), "float32"), jax.ShapeDtypeStruct((count, 5), "f4")
    targets = [export.DisabledSafetyCheck.custom_call("roipool_run")]
    program = export.export(
        jax.jit(lambda x, r: roipool.roi_pool(x, r, 2)), disabled_checks=targets
    )
    loaded = export.deserialize(program(*shapes).serialize())
    data = some_maps((2, 3, 9, 9))
    for count in (1, 5, 20):  # JAX's symbols begin at 1
        rois = some_boxes(2, 9, 9, count=count)[:count]
        assert jnp.array_equal(loaded.call(data, rois), roipool.roi_pool(data, rois, 2))


def test_a_scale_that_is_traced():
    with pytest.raises(TypeError, match=r"spatial_scale is .*; expected one number, static where"):
        jax.jit(lambda s: roipool.roi_pool(DATA, BOX, 2, s))(0.5)


DATA, BOX = jnp.zeros((2, 3, 8, 8)), jnp.asarray([[0.0, 0, 0, 1, 1]])
FORMS = r"expected an array \(K, 5\) of rows \[batch_index, x1, y1, x2, y2\], or a sequence"
ARGUMENTS = [
    ({"data": DATA[0]}, ValueError, r"data has shape \(3, 8, 8\); expected feature maps \(N, C, H"),
    ({"data": DATA + 1j}, TypeError, "data has dtype complex64; expected one of .* with astype"),
    ({"data": DATA > 0}, TypeError, "data has dtype bool; expected one of"),
    ({"rois": BOX > 0}, TypeError, "rois has dtype bool; expected real numbers"),
    ({"rois": BOX[:, 1:]}, ValueError, r"rois has shape \(1, 4\); " + FORMS),
    ({"rois": BOX[0]}, ValueError, r"rois has shape \(5,\); " + FORMS),
    ({"rois": [BOX[:, 1:]]}, ValueError, "rois holds boxes for 1 images, but data holds 2;"),
    ({"rois": [BOX[:, 1:], BOX]}, ValueError, r"rois\[1\] has shape \(1, 5\); " + FORMS),
    ({"rois": [BOX[:, 1:] > 0] * 2}, TypeError, r"rois\[0\] has dtype bool; expected real numbers"),
    ({"out": DATA}, TypeError, "out is given, but JAX arrays never change; leave it out"),
]


@pytest.mark.parametrize(("changed", "error", "message"), ARGUMENTS, ids=lambda v: str(v)[:40])
def test_arguments(changed, error, message):
    arguments = {"data": DATA, "rois": BOX} | changed
    out = arguments.pop("out", None)
    call = partial(roipool.roi_pool, pooled_size=2, out=out)
    for function in (call, jax.jit(call)):
        with pytest.raises(error, match="^" + message):
            function(**arguments)


OUT = jnp.zeros((1, 3, 2, 2))
ARGMAX = OUT.astype("int32")
BACKWARD = [
    ({"grad": ARGMAX}, TypeError, "grad has dtype int32; a gradient is one of float16"),
    ({"grad": OUT[:, :2]}, ValueError, r"grad has shape \(1, 2, 2, 2\); expected \(1, 3, h, w\)"),
    ({"argmax": ARGMAX[:, :, :1]}, ValueError, r"argmax has shape \(1, 3, 1, 2\) and dtype int32"),
    ({"argmax": OUT}, ValueError, "argmax has shape .* and dtype float32; expected"),
    ({"rois": BOX + 2}, IndexError, r"rois\[0\] has batch index 2, but data holds 2 images"),
    ({"rois": BOX + 0.5}, ValueError, r"rois\[0\] has batch index 0.5, which is no whole number"),
    ({"out": DATA}, TypeError, "out is given, but JAX arrays never change; leave it out"),
]


@pytest.mark.parametrize(("changed", "error", "message"), BACKWARD, ids=lambda v: str(v)[:40])
def test_arguments_backward(changed, error, message):
    arguments = {"grad": OUT, "argmax": ARGMAX, "rois": BOX, "data_shape": DATA.shape}
    with pytest.raises(error, match="^" + message):
        roipool.roi_pool_backward(**(arguments | changed))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (1, 1, 2**16, 2**15),
            r"data's shape is \(1, 1, 65536, 32768\); a plane must hold below 2",
        ),
        ((1, 1, 1, 2**24 + 1), r"data's shape is .*; axes longer than 2\*\*24 need float64"),
    ],
)
def test_planes_that_indices_or_coordinates_cannot_count(shape, message):
    data = jax.ShapeDtypeStruct(shape, jnp.int8)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda x: roipool.roi_pool(x, BOX, 2), data)
