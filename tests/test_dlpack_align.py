"""roi_align of arrays with DLPack, several arrays of maps, and operators that come later."""

import numpy as np
import pytest

import later_operator
import roipool
from align_cases import assert_close
from cases import assert_same_bits, layouts, normal_maps, odd_boxes, random_boxes
from roipool import reference
from roipool.doors import dlpack, door_of
from test_dlpack import (  # noqa: F401  make is a fixture
    BOX,
    FLOATS,
    MAPS,
    OUT,
    Elsewhere,
    Lent,
    make,
    numbers,
    skip_unknown,
)
from test_errors import ROWS, row

HOWS = [(0, True), (2, True), (0, False), (3, False)]


def some_rois(dtype=np.float32):
    rng = np.random.default_rng(0)
    return np.concatenate([odd_boxes(11, 9), random_boxes(rng, 8, 2, 11, 9)]).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("options", HOWS)
def test_as_the_definition(make, dtype, options):  # noqa: F811
    skip_unknown(dtype, make)
    data = normal_maps(np.random.default_rng(1), (2, 5, 11, 9), dtype)
    rois = some_rois("float64" if dtype == "float64" else "float32")
    how = {"sampling_ratio": options[0], "aligned": options[1]}
    with np.errstate(over="ignore"):
        expected = reference.roi_align(data, rois, (3, 4), 0.7, *options)
        grad = normal_maps(np.random.default_rng(2), expected.shape, dtype)
        of_data, of_rois = reference.roi_align_backward(grad, data, rois, 0.7, *options)
    x, r, g = make(data), make(rois), make(grad)
    assert_close(numbers(roipool.roi_align(x, r, (3, 4), 0.7, **how), make), expected)
    back = roipool.roi_align_backward(g, r, data.shape, 0.7, **how)
    assert_close(numbers(back, make), of_data)
    moved = roipool.roi_align_backward_rois(g, x, r, 0.7, **how)
    assert_close(numbers(moved, make), of_rois)


def test_every_layout_that_the_library_views(make):  # noqa: F811
    maps = normal_maps(np.random.default_rng(1), (2, 6, 11, 9))
    from_dlpack = dlpack._importer(make(maps))
    for name in ("contiguous", "channels last", "width first", "strided", "one channel for all"):
        layout = layouts(maps)[name]
        values = roipool.roi_align(from_dlpack(layout), some_rois(), 2)
        assert_same_bits(numbers(values, make), roipool.roi_align(layout, some_rois(), 2))


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
def test_nothing_to_pool(make, shape):  # noqa: F811
    data = np.zeros(shape, np.float32)
    rois = np.array([[0 if shape[0] else -1, 0, 0, 3, 3]], np.float32)
    values = roipool.roi_align(make(data), make(rois), 2)
    assert_same_bits(numbers(values, make), np.zeros((1, shape[1], 2, 2), np.float32))
    assert numbers(roipool.roi_align(make(data), make(rois[:0]), 2), make).shape[0] == 0
    back = roipool.roi_align_backward(values, make(rois), shape)
    assert_same_bits(numbers(back, make), data)


SHAPES = [(2, 5, 11, 9), (1, 5, 6, 5), (0, 5, 3, 3), (5, 7, 4)]
SCALES = [1.0, 0.5, 0.3, (0.4, 0.2)]


def test_several_arrays_of_maps(make):  # noqa: F811
    data = [normal_maps(np.random.default_rng(i), shape) for i, shape in enumerate(SHAPES)]
    rois = random_boxes(np.random.default_rng(3), 12, 4, 11, 9)
    shapes = [shape if len(shape) == 4 else (1, *shape) for shape in SHAPES]
    expected = roipool.roi_align(data, rois, 2, SCALES)
    grad = normal_maps(np.random.default_rng(4), expected.shape)
    own, r, g = [make(array) for array in data], make(rois), make(grad)
    for given in (own, tuple(own), [own[0], *data[1:]]):
        assert_same_bits(numbers(roipool.roi_align(given, r, 2, SCALES), make), expected)
        moved = roipool.roi_align_backward_rois(g, given, r, SCALES)
        of_rois = roipool.roi_align_backward_rois(grad, data, rois, SCALES)
        assert_same_bits(numbers(moved, make), of_rois)
    back = roipool.roi_align_backward(g, r, shapes, SCALES)
    of_data = roipool.roi_align_backward(grad, rois, shapes, SCALES)
    for actual, wanted in zip(back, of_data, strict=True):
        assert_same_bits(numbers(actual, make), wanted)
    memory = [make(np.ones(shape, np.float32)) for shape in shapes]
    if np.from_dlpack(memory[0]).flags.writeable:
        assert roipool.roi_align_backward(g, r, shapes, SCALES, out=memory) is memory
        for actual, wanted in zip(memory, of_data, strict=True):
            assert_same_bits(numbers(actual, make), wanted)
    with pytest.raises(TypeError, match=r"out is a .*; expected 4 arrays, one for each of data"):
        roipool.roi_align_backward(g, r, shapes, SCALES, out=memory[0])


@pytest.mark.parametrize(("values", "error", "message"), ROWS, ids=[str(r[0]) for r in ROWS])
def test_rows(make, values, error, message):  # noqa: F811
    if np.finfo(np.from_dlpack(make(row(*values))).dtype).max < 1e300:
        pytest.skip("the library has no such number")
    with pytest.raises(error) as caught:
        roipool.roi_align(make(np.zeros((2, 3, 8, 8), np.float32)), make(row(*values)), 2)
    assert str(caught.value).startswith(message)


ARGUMENTS = [
    ({"data": [Lent(MAPS), Elsewhere(MAPS)]}, r"data\[1\] is on a device of DLPack's type 2"),
    ({"rois": Elsewhere(BOX)}, "rois is on a device of DLPack's type 2"),
    ({"out": Elsewhere(OUT)}, "out is on a device of DLPack's type 2"),
    ({"data": Lent(MAPS, "it has gradients")}, "data, .* detach .*: roi_align_backward computes"),
    ({"data": Lent(MAPS.astype(np.int32))}, "data has dtype int32; expected one of float16, bflo"),
]


@pytest.mark.parametrize(("changed", "message"), ARGUMENTS, ids=[str(a[1])[:40] for a in ARGUMENTS])
def test_arguments(changed, message):
    with pytest.raises(TypeError, match="^" + message):
        roipool.roi_align(**({"data": Lent(MAPS), "rois": BOX, "pooled_size": 2} | changed))


@pytest.fixture
def centre():
    with later_operator.centre() as operator:
        yield operator


def test_an_operator_that_comes_later(make, centre):  # noqa: F811
    data = normal_maps(np.random.default_rng(1), (2, 5, 11, 9))
    rois, how = some_rois(), {"sampling_ratio": 1, "aligned": False}
    expected = roipool.roi_align(data, rois, 2, 0.7, **how)
    grad = normal_maps(np.random.default_rng(2), expected.shape)
    x, r, g = make(data), make(rois), make(grad)
    call = centre.call(2, 0.7, None, aligned=False)
    door = door_of(x)
    assert_close(numbers(door.pool(centre, x, r, call, False, None), make), expected)
    back = door.backward(centre, g, r, [data.shape], call, {}, False, None)
    assert_close(
        numbers(back, make), roipool.roi_align_backward(grad, rois, data.shape, 0.7, **how)
    )
    moved = door.backward_rois(centre, g, x, r, call, {})
    assert_close(
        numbers(moved, make), roipool.roi_align_backward_rois(grad, data, rois, 0.7, **how)
    )
