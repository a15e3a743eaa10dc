"""Every operator at every door gives what its definition says: one text for all of them."""

import numpy as np
import pytest

import roipool
from cases import FLOATS, INTEGERS, assert_same_bits, layouts, normal_maps, random_boxes
from defined import (
    EACH,
    OPERATORS,
    ROI_POOL,
    SCALE,
    SIZE,
    example,
    of_several,
    ordinary_maps,
    some_rois,
)

each_operator = pytest.mark.parametrize("operator", OPERATORS, ids=str)
either = pytest.mark.parametrize("operator", EACH, ids=str)
each_dtype = pytest.mark.parametrize(
    "dtype", [np.dtype(dtype).name for dtype in (*FLOATS, *INTEGERS)]
)


def skip_unknown(door, operator, dtype):
    if dtype not in door.dtypes or dtype not in operator.dtypes:
        pytest.skip(f"no {dtype} in {operator.name} of {door.name}")
    if door.compiles and operator not in EACH and dtype != "float32":
        pytest.skip("other types with one variant of each operator")


def values(door, operator, data, rois, *options, **more):
    """As NumPy's arrays, of the door's own."""
    return door.numpy(door.call(operator, door.array(data), door.rois(rois), *options, **more))


@each_operator
@each_dtype
@pytest.mark.parametrize("odd", [False, True], ids=["ordinary", "odd"])
def test_as_the_definition(door, operator, dtype, odd):
    skip_unknown(door, operator, dtype)
    case = example(operator, dtype, odd)
    operator.assert_same(values(door, operator, case.data, case.rois, SIZE, SCALE), case.values)
    if operator.finds:
        both = values(door, operator, case.data, case.rois, SIZE, SCALE, return_argmax=True)
        assert_same_bits(both[0], case.values)
        assert_same_bits(both[1], case.argmax)


@either
@each_dtype
def test_layouts(door, operator, dtype):
    skip_unknown(door, operator, dtype)
    maps = ordinary_maps(np.dtype(dtype), (2, 6, 7, 9))
    rois = some_rois(2, 7, 9, dtype=np.float64 if dtype == "float64" else np.float32)
    for name, laid in layouts(maps).items():
        if name in door.kinds:
            expected = operator.defined(laid, rois, (3, 3), 1.0)[0]
            found = door.call(operator, door.laid(laid), door.rois(rois), 3)
            operator.assert_same(door.numpy(found), expected)


@either
@pytest.mark.parametrize("size", [1, 2, 7, (1, 9), (3, 5), (14, 14), (2, 60), (60, 1)], ids=str)
def test_pooled_sizes(door, operator, size):
    rng = np.random.default_rng(3)
    data, rois = normal_maps(rng, (1, 18, 6, 30)), random_boxes(rng, 3, 1, 6, 30)
    both = (size, size) if isinstance(size, int) else size
    expected = operator.defined(data, rois, both, 1.0)[0]
    operator.assert_same(values(door, operator, data, rois, size), expected)


@either
@pytest.mark.parametrize("scale", [1.0, 0.0625, 1 / 3, 3])
def test_scales(door, operator, scale):
    data, rois = normal_maps(np.random.default_rng(0), (2, 3, 13, 11)), some_rois(scale=scale)
    expected = operator.defined(data, rois, SIZE, scale)[0]
    operator.assert_same(values(door, operator, data, rois, SIZE, scale), expected)
    pair = values(door, operator, data, rois, SIZE, (scale, scale))
    operator.assert_same(pair, expected)


@each_operator
def test_a_scale_for_each_axis(door, operator):
    """By exact halves: x at half the scale is x / 2 at the scale."""
    data, rois = normal_maps(np.random.default_rng(0), (2, 3, 13, 11)), some_rois()
    halved = rois.copy()
    halved[:, [1, 3]] /= 2
    expected = operator.defined(data, halved, SIZE, 0.7)[0]
    operator.assert_same(values(door, operator, data, rois, SIZE, (0.7, 0.35)), expected)


@either
@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
def test_empty_maps(door, operator, shape):
    rois = np.array([[0 if shape[0] else -1, 0, 0, 3, 3]], np.float32)
    for rows in (rois, rois[:0]):
        expected = np.zeros((len(rows), shape[1], 2, 3), np.float32)
        found = values(door, operator, np.zeros(shape, np.float32), rows, (2, 3))
        assert_same_bits(found, expected)
        argmax = np.full(expected.shape, -1, np.int32)
        if operator.finds:
            both = values(
                door, operator, np.zeros(shape, np.float32), rows, (2, 3), return_argmax=True
            )
            assert_same_bits(both[0], expected)
            assert_same_bits(both[1], argmax)
        given = [door.array(each) for each in (expected, argmax)]
        grad = door.call(operator.backward, *given, door.rois(rows), shape)
        assert_same_bits(door.numpy(grad), np.zeros(shape, np.float32))


@either
def test_every_form_of_rois(door, operator):
    data = normal_maps(np.random.default_rng(1), (3, 4, 9, 9))
    rois = random_boxes(np.random.default_rng(2), 10, 3, 9, 9)
    rois = rois[np.argsort(rois[:, 0], kind="stable")]
    parts = [rois[rois[:, 0] == n, 1:] for n in range(3)]
    expected = operator.defined(data, rois, (2, 2), 1.0)[0]
    forms = [rois, rois.tolist(), parts, tuple(parts), [part.tolist() for part in parts]]
    none = [[], np.zeros((0, 5), np.float32), [np.zeros((0, 4), np.float32)] * 3, [[], [], []]]
    few = [[parts[0], np.zeros((0, 4), np.float32), np.zeros(0, np.float32)]]
    forms.append(door.rois(rois))
    none.append(door.rois(none[1]))
    if door.lists:
        own = door.array(parts)
        forms += [own, tuple(own), [own[0], parts[1], own[2]], [own[0], *forms[4][1:]]]
        forms.append([door.array(row) for row in rois])
        none.append(door.array(none[2]))
        few.append(door.array(few[0]))
    for form in forms:
        operator.assert_same(door.numpy(door.call(operator, door.array(data), form, 2)), expected)
    for form in none:
        found = door.numpy(door.call(operator, door.array(data), form, (2, 3)))
        assert found.shape == (0, 4, 2, 3)
    for form in few:
        found = door.numpy(door.call(operator, door.array(data), form, 2))
        operator.assert_same(found, expected[: len(parts[0])])


@either
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int16", "uint8", "int32"])
def test_every_dtype_of_rois(door, operator, dtype):
    if dtype not in door.dtypes:
        pytest.skip(f"no {dtype} in {door.name}")
    data = normal_maps(np.random.default_rng(1), (2, 4, 9, 9))
    rois = np.array([[0, 1, 2, 5, 6], [1, 0, 3, 8, 8]], np.float32)
    expected = operator.defined(data, rois, (2, 2), 1.0)[0]
    operator.assert_same(values(door, operator, data, rois.astype(dtype), 2), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rois_dtype", ["float32", "float64"])
def test_coordinates_are_float64_only_when_both_are(door, dtype, rois_dtype):
    # 0.49999999 rounds to 0 in float64, and to 1 after it became 0.5 in float32.
    data = np.arange(4, dtype=dtype).reshape(1, 1, 1, 4)
    rois = np.array([[0, 0.49999999, 0, 0.49999999, 0]], rois_dtype)
    found = values(door, ROI_POOL, data, rois, 1).item()
    assert found == (0 if dtype == rois_dtype == "float64" else 1)


@either
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_features_do_not_round_coordinates(door, operator, dtype):
    skip_unknown(door, operator, dtype)
    data = np.arange(3000, dtype=np.float32).reshape(1, 1, 1, 3000).astype(dtype)
    rois = np.array([[0, 2048, 0, 2049, 0]], np.float32)  # no float16 lies at 2049
    expected = operator.defined(data, rois, (1, 1), 1.0)[0]
    operator.assert_same(values(door, operator, data, rois, 1), expected)


@each_operator
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_several_maps(door, operator, dtype):
    if not door.several:
        pytest.skip(f"{door.name} takes one array of maps")
    skip_unknown(door, operator, dtype)
    rng = np.random.default_rng(4)
    maps = [
        normal_maps(rng, shape, dtype) for shape in ((1, 5, 9, 14), (2, 5, 13, 6), (1, 5, 1, 1))
    ]
    scales = (1.0, 0.5, 0.0625)
    rois = np.concatenate([random_boxes(rng, 20, 4, 13, 14), some_rois(4, 13, 14)])
    rois = rois.astype(np.float64 if dtype == "float64" else np.float32)
    expected = np.zeros((len(rois), 5, *SIZE), dtype)

    def add(data, rows, scale, own):
        expected[own] = operator.defined(data, rows, SIZE, scale)[0][own]

    of_several(add, maps, rois, scales)
    operator.assert_same(values(door, operator, maps, rois, SIZE, scales), expected)
    maps[2] = maps[2][0]  # (C, H, W) is one image
    operator.assert_same(values(door, operator, maps, rois, SIZE, list(scales)), expected)
    one = values(door, operator, maps[:1], rois[rois[:, 0] < 1], SIZE, 1.0)
    operator.assert_same(one, expected[rois[:, 0] < 1])


@either
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_memory_of_the_caller(door, operator, dtype):
    skip_unknown(door, operator, dtype)
    case = example(operator, dtype)
    data, rois = door.array(case.data), door.rois(case.rois)
    if not door.writes:
        with pytest.raises(TypeError, match=r"^out is given, but "):
            door.call(operator, data, rois, SIZE, SCALE, out=door.array(case.values))
        return
    out = door.array(np.zeros_like(case.values))
    assert door.call(operator, data, rois, SIZE, SCALE, out=out) is out
    operator.assert_same(door.numpy(out), case.values)
    argmax = None
    if operator.finds:
        argmax = door.array(np.zeros_like(case.argmax))
        both = door.array(np.zeros_like(case.values)), argmax
        found = operator(data, rois, SIZE, SCALE, return_argmax=True, out=both)
        assert all(given is result for given, result in zip(both, found, strict=True))
        assert_same_bits(door.numpy(both[0]), case.values)
        assert_same_bits(door.numpy(argmax), case.argmax)
    out, grad = door.array(np.ones_like(case.data)), door.array(case.grad)
    assert operator.backward(grad, argmax, rois, case.data.shape, SCALE, out=out) is out
    operator.assert_same(door.numpy(out), case.of_data)


def test_the_input_stays_as_it_was(door):
    for operator in EACH:
        case = example(operator, "float32")
        data, rois = case.data.copy(), case.rois.copy()
        values(door, operator, data, rois, SIZE, SCALE)
        assert_same_bits(data, case.data)
        assert_same_bits(rois, case.rois)


def test_the_number_of_threads_makes_no_difference(door, threads):
    for operator in OPERATORS:
        case = example(operator, "float32", odd=True)
        found = []
        for count in (1, 2, 5):
            threads(count)
            found.append(values(door, operator, case.data, case.rois, SIZE, SCALE))
        for other in found[1:]:
            assert_same_bits(other, found[0])
    assert roipool.get_num_threads() == 5
