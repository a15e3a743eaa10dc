"""Gradients at every door: by the public functions, and by what its library records."""

from functools import partial

import numpy as np
import pytest

from cases import assert_same_bits, normal_maps, random_boxes
from defined import (
    EACH,
    OPERATORS,
    SCALE,
    SIZE,
    TOLERANCE,
    assert_close,
    example,
    of_several,
    some_rois,
)

each_operator = pytest.mark.parametrize("operator", OPERATORS, ids=str)
either = pytest.mark.parametrize("operator", EACH, ids=str)
aligning = pytest.mark.parametrize("operator", OPERATORS[1:], ids=str)
each_float = pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])


def skip_unknown(door, dtype, operator=EACH[0]):
    if dtype not in door.dtypes:
        pytest.skip(f"no {dtype} in {door.name}")
    if door.compiles and operator not in EACH and dtype != "float32":
        pytest.skip("other types with one variant of each operator")


def assert_of_rois(actual, expected, data):
    """Sums over channels and bins, in float32 or wider, of products with the features."""
    assert_close(actual, expected, 4 * TOLERANCE["float64" if data.itemsize == 8 else "float32"])


@each_operator
@each_float
def test_for_data(door, operator, dtype):
    skip_unknown(door, dtype, operator)
    case = example(operator, dtype)
    argmax = None if case.argmax is None else door.array(case.argmax)
    given = door.array(case.grad), argmax, door.rois(case.rois), case.data.shape, SCALE
    operator.assert_same(door.numpy(door.call(operator.backward, *given)), case.of_data)
    if operator.finds:
        for positions in (door.array(case.argmax.astype(np.int64)), case.argmax):
            given = given[0], positions, *given[2:]
            found = door.numpy(door.call(operator.backward, *given))
            assert_same_bits(found, case.of_data)


@aligning
@each_float
def test_for_rois(door, operator, dtype):
    skip_unknown(door, dtype, operator)
    case = example(operator, dtype)
    given = door.array(case.grad), door.array(case.data), door.rois(case.rois), SCALE
    found = door.numpy(door.call(operator.backward_rois, *given))
    assert_of_rois(found, case.of_rois, case.data)
    assert_same_bits(found[:, 0], np.zeros_like(found[:, 0]))


@each_operator
@each_float
def test_as_the_library_records_them(door, operator, dtype):
    skip_unknown(door, dtype, operator)
    if not door.records:
        pytest.skip(f"{door.name} takes no derivatives")
    case = example(operator, dtype)
    pool = partial(_pool, operator, SCALE)
    arrays = door.array(case.data), door.array(case.rois), door.array(case.grad)
    of_data, of_rois = door.numpy(door.gradients(pool, *arrays))
    operator.assert_same(of_data, case.of_data)
    assert_of_rois(of_rois, case.of_rois, case.data)


def _pool(operator, scale, data, rois):
    return operator(data, rois, SIZE, scale)


@each_operator
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_of_several_maps(door, operator, dtype):
    if not door.several:
        pytest.skip(f"{door.name} takes one array of maps")
    skip_unknown(door, dtype, operator)
    rng = np.random.default_rng(4)
    maps = [normal_maps(rng, shape, dtype) for shape in ((1, 5, 9, 14), (2, 5, 13, 6))]
    scales = (1.0, 0.5)
    rois = np.concatenate([random_boxes(rng, 20, 3, 13, 14), some_rois(3, 13, 14)]).astype(dtype)
    grad = normal_maps(rng, (len(rois), 5, *SIZE), dtype)
    argmax, of_rois, of_maps = np.full(grad.shape, -1, np.int32), np.zeros_like(rois), []

    def add(data, rows, scale, own):
        found = operator.defined(data, rows, SIZE, scale)[1]
        if operator.finds:
            argmax[own] = found[own]
        of_data, of_rows = operator.defined_backward(grad, found, data, rows, scale)
        of_maps.append(of_data)
        of_rois[own] = of_rows[own]

    of_several(add, maps, rois, scales)
    shapes = [array.shape for array in maps]
    given = door.array(grad), door.array(argmax), door.rois(rois), shapes, scales
    for actual, expected in zip(
        door.numpy(door.call(operator.backward, *given)), of_maps, strict=True
    ):
        operator.assert_same(actual, expected)
    if not operator.finds:
        given = door.array(grad), door.array(maps), door.rois(rois), scales
        found = door.numpy(door.call(operator.backward_rois, *given))
        assert_of_rois(found, of_rois, grad)
    if door.records:
        arrays = door.array(maps), door.array(rois), door.array(grad)
        of_data, found = door.numpy(door.gradients(partial(_pool, operator, scales), *arrays))
        for actual, expected in zip(of_data, of_maps, strict=True):
            operator.assert_same(actual, expected)
        assert_of_rois(found, of_rois, grad)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@either
def test_half_types_round_once(door, operator, dtype):
    # 1 + 2048 small steps: summed in the half type itself, the sum would stay at 1.
    skip_unknown(door, dtype)
    grad = np.full((2049, 1, 1, 1), np.float32(2.0**-12)).astype(dtype)
    grad[0] = 1
    argmax = door.array(np.zeros(grad.shape, np.int32))
    rois = door.rois(np.array([[0, 0, 0, 1, 1]] * len(grad), np.float32))
    given = door.array(grad), argmax, rois, (1, 1, 1, 1)
    total = door.numpy(door.call(operator.backward, *given))
    assert float(total.item()) == 1.5


@either
def test_layouts_of_the_gradient(door, operator):
    case = example(operator, "float32")
    argmax = None if case.argmax is None else door.array(case.argmax)
    last = np.ascontiguousarray(case.grad.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    first = np.ascontiguousarray(case.grad.T).T
    for grad in (last, first) if door.kinds else ():
        given = door.laid(grad), argmax, door.rois(case.rois), case.data.shape, SCALE
        operator.assert_same(door.numpy(door.call(operator.backward, *given)), case.of_data)


@either
def test_padding_and_an_image_without_regions(door, operator):
    rois = np.array([[-1, 0, 0, 3, 3], [1, 99, 99, 120, 120], [2, 0, 0, 3, 3]], np.float32)
    values, argmax = operator.defined(np.ones((3, 1, 4, 4), np.float32), rois, (2, 2), 1.0)
    argmax = None if argmax is None else door.array(argmax)
    given = door.array(np.ones_like(values)), argmax, door.rois(rois), (3, 1, 4, 4)
    found = door.numpy(door.call(operator.backward, *given))
    assert found.sum(axis=(1, 2, 3)).tolist() == [0, 0, 4]
