"""The rest of the family at every door: values and gradients as defined."""

from functools import partial

import numpy as np
import pytest

import roipool
from cases import assert_same_bits, layouts, normal_maps, random_boxes
from defined import TOLERANCE, assert_close, of_several
from family import EACH_MEMBER, FAMILY, SCALE, SHAPE, SIZE, example, is_ragged, regions

each_member = pytest.mark.parametrize("member", FAMILY, ids=str)
either = pytest.mark.parametrize("member", EACH_MEMBER, ids=str)
each_float = pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])


def skip_unknown(door, member, dtype="float32"):
    if dtype not in door.dtypes:
        pytest.skip(f"no {dtype} in {door.name}")
    if member not in EACH_MEMBER and (dtype != "float32" or not door.looks):
        pytest.skip("one variant of each, of other types and where all is compiled")
    if dtype != "float32" and door.compiles:
        pytest.skip("each type would be compiled")
    if not door.looks and is_ragged(member):
        pytest.skip("an adaptive grid that does not separate has no size before it is known")
    if not door.writes and door.library == "dask" and dtype != "float32":
        pytest.skip("chunks are NumPy's")


def pooled(door, member, data, rois, *given, **more):
    return door.call(member, door.array(data), door.rois(rois), *given, **more)


def assert_of_rois(actual, expected, data):
    """Sums over channels and bins, in float32 or wider, of products with the features."""
    assert_close(actual, expected, 8 * TOLERANCE["float64" if data.itemsize == 8 else "float32"])


@each_member
@each_float
@pytest.mark.parametrize("odd", [False, True], ids=["ordinary", "odd"])
def test_as_the_definition(door, member, dtype, odd):
    skip_unknown(door, member, dtype)
    case = example(member, dtype, odd)
    found = door.numpy(pooled(door, member, case.data, case.rois, SIZE, SCALE))
    assert_close(found, case.values)


def winners(door, member, case):
    if not member.saves:
        return None
    given = case.data, case.rois, SIZE, SCALE
    return pooled(door, member, *given, return_argmax=True)[1]


@each_member
@each_float
def test_for_data(door, member, dtype):
    skip_unknown(door, member, dtype)
    case = example(member, dtype)
    given = door.array(case.grad), door.rois(case.rois), case.data.shape, SCALE
    argmax = winners(door, member, case)
    found = door.numpy(door.call(member.backward, *given, argmax=argmax))
    assert_close(found, case.of_data)


@each_member
@each_float
def test_for_rois(door, member, dtype):
    skip_unknown(door, member, dtype)
    if not member.moves:
        pytest.skip("values do not move with regions")
    if door.compiles and is_ragged(member):
        pytest.skip("JAX traces what it differentiates")
    case = example(member, dtype)
    given = door.array(case.grad), door.array(case.data), door.rois(case.rois), SCALE
    argmax = winners(door, member, case)
    found = door.numpy(door.call(member.backward_rois, *given, argmax=argmax))
    assert_of_rois(found, case.of_rois, case.data)


@each_member
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_as_the_library_records_them(door, member, dtype):
    skip_unknown(door, member, dtype)
    if not door.records:
        pytest.skip(f"{door.name} takes no derivatives")
    if door.compiles and is_ragged(member):
        pytest.skip("JAX traces what it differentiates")
    case = example(member, dtype)
    arrays = door.array(case.data), door.array(case.rois), door.array(case.grad)
    of_data, of_rois = door.numpy(door.gradients(partial(_pool, member), *arrays))
    assert_close(of_data, case.of_data)
    assert_of_rois(of_rois, case.of_rois, case.data)


def _pool(member, data, rois):
    return member(data, rois, SIZE, SCALE)


@either
def test_layouts(door, member):
    maps = member.maps(normal_maps(np.random.default_rng(5), (2, 3, 7, 9)), (2, 2))
    rois = regions(member, maps.shape, 1.0)
    for name, laid in layouts(maps).items():
        if name in door.kinds:
            expected = member.defined(laid, rois, (2, 2), 1.0)
            found = door.call(member, door.laid(laid), door.rois(rois), 2)
            assert_close(door.numpy(found), expected)


@either
@pytest.mark.parametrize("size", [1, 7, (1, 9), (14, 3)], ids=str)
def test_pooled_sizes(door, member, size):
    if door.compiles:
        pytest.skip("each size would be compiled")
    both = (size, size) if isinstance(size, int) else size
    rng = np.random.default_rng(3)
    data = member.maps(normal_maps(rng, (1, 3, 6, 30)), both)
    rois = member.rows(random_boxes(rng, 3, 1, 6, 30), data.shape, 1.0)
    expected = member.defined(data, rois, both, 1.0)
    assert_close(door.numpy(pooled(door, member, data, rois, size)), expected)


@either
def test_several_maps(door, member):
    if not door.several or door.compiles:
        pytest.skip(f"{door.name} takes one array of maps, or compiles each size")
    rng = np.random.default_rng(4)
    maps = [normal_maps(rng, shape) for shape in ((1, 5, 9, 14), (2, 5, 13, 6))]
    maps = [member.maps(array, SIZE) for array in maps]
    scales = (1.0, 0.5) if member.scaled else (1.0, 1.0)
    rois = member.rows(random_boxes(rng, 20, 3, 13, 14), (3, 5, 13, 14), 1.0)
    expected = np.zeros((len(rois), 5, *SIZE), np.float32)

    def add(data, rows, scale, own):
        expected[own] = member.defined(data, rows, SIZE, scale)[own]

    of_several(add, maps, rois, scales)
    given = (scales,) if member.scaled else ()
    assert_close(door.numpy(pooled(door, member, maps, rois, SIZE, *given)), expected)


@either
def test_memory_of_the_caller_and_threads(door, member, threads):
    if not door.writes:
        pytest.skip(f"{door.name} fills no memory")
    case = example(member, "float32")
    data, rois = door.array(case.data), door.rois(case.rois)
    found = []
    for count in (1, 2, 5):
        threads(count)
        out = door.array(np.full_like(case.values, 7))
        assert member(data, rois, SIZE, SCALE, out=out) is out
        found.append(door.numpy(out).copy())
    assert_close(found[0], case.values)
    for other in found[1:]:
        assert_same_bits(other, found[0])
    out = door.array(np.ones_like(case.data))
    argmax, grad = winners(door, member, case), door.array(case.grad)
    assert member.backward(grad, rois, case.data.shape, SCALE, argmax, out=out) is out
    assert_close(door.numpy(out), case.of_data)


@either
@pytest.mark.parametrize("side", [0, 1, 2, 3], ids=["images", "channels", "rows", "columns"])
def test_empty_maps(door, member, side):
    if not door.looks and door.compiles:
        pytest.skip("each size would be compiled")
    shape = [2, 6, 4, 5]
    shape[side] = 0
    rois = member.rows(np.array([[0 if side else -1, 0, 0, 3, 3]], np.float32), (2, 6, 4, 5), 1)
    channels = shape[1] // 6 if member.per_bin else shape[1]
    value = 0 if side == 0 else dict(member.options).get("extrapolation_value", 0)
    for rows in (rois, rois[:0]):
        expected = np.full((len(rows), channels, 2, 3), value, np.float32)
        found = door.numpy(pooled(door, member, np.zeros(shape, np.float32), rows, (2, 3)))
        assert_same_bits(found, expected)


@either
def test_wrong_rows(door, member):
    if not door.looks:
        pytest.skip("they are padding there")
    data = member.maps(np.ones(SHAPE, np.float32), (2, 2))
    rows = member.rows(np.array([[0, 0, 0, 4, 4]] * 3, np.float32), SHAPE, 1.0)
    name = "boxes" if member.name == "crop_and_resize" else "rois"
    for column, value, error, said in (
        (0, 2, IndexError, "has batch index 2, but data holds 2 images"),
        (0, 0.5, ValueError, "has batch index 0.5, which is no whole number"),
        (2, np.nan, ValueError, "is nan; expected a finite "),
    ):
        wrong = rows.copy()
        wrong[1, column] = value
        with pytest.raises(error, match=rf"^{name}\[1(, {column}\] \(.*\)|\]) {said}"):
            door.numpy(pooled(door, member, data, wrong, 2))
    with pytest.raises(ValueError, match=rf"^{name} has shape \(3, 3\); expected an array \(K, "):
        pooled(door, member, data, rows[:, :3], 2)


def test_other_channels_than_bins_need(door):
    for member in EACH_MEMBER:
        if member.per_bin:
            data, rois = np.zeros((1, 7, 4, 4), np.float32), np.zeros((1, 5), np.float32)
            with pytest.raises(ValueError, match=r"^data has 7 channels; .* a multiple of 6"):
                pooled(door, member, data, rois, (2, 3))


def test_adaptive_grids_of_turned_boxes(door):
    """Of any box where values can be looked at; refused where they are traced."""
    data = door.array(np.ones((1, 1, 8, 8), np.float32))
    rows = door.rois(np.array([[0, 4, 4, 1e5, 1e5, 0.1]], np.float32))
    if not door.looks:
        with pytest.raises(ValueError, match=r"sampling_ratio is 0; a traced or differentiated"):
            door.numpy(door.call(roipool.roi_align_rotated, data, rows, 2))
    else:
        found = door.numpy(door.call(roipool.roi_align_rotated, data, rows, 2))
        # Samples are a pixel apart, on a map that reaches from -1 to 8.
        np.testing.assert_allclose(found.sum(), 9**2 / 50000**2, rtol=0.2)


def test_sizes_below_zero(door):
    if not door.looks:
        pytest.skip("they are padding there")
    rois = np.array([[0, 2, 2, 3, 3, 0], [0, 2, 2, 3, -1, 0]], np.float32)
    data, rows = door.array(np.zeros((1, 1, 4, 4), np.float32)), door.rois(rois)
    with pytest.raises(ValueError, match=r"^rois\[1, 4\] \(height\) is -1.0; expected a size"):
        door.numpy(door.call(roipool.roi_align_rotated, data, rows, 2))
