"""The native twins of geometry's texts that list taps, against these bit for bit."""

import itertools

import ml_dtypes
import numpy as np
import pytest

import roipool
from roipool import _core, geometry, native, twins
from twin_cases import (
    CASES,
    ONE_OF_EACH,
    SHAPES,
    assert_as_text,
    assert_same,
    boxes_of,
    corners,
    far_corners,
    of_twin,
)

each_case = pytest.mark.parametrize(("name", "options"), CASES, ids=str)


@each_case
@pytest.mark.parametrize("shapes", SHAPES)
def test_as_text(shapes, name, options):
    maps = geometry.maps_of(*SHAPES[shapes])
    for dtype, rois_dtype in itertools.product((np.float32, np.float64), repeat=2):
        rois = boxes_of(name, corners(maps, rois_dtype), maps)
        for size in ((7, 7), (1, 3)):
            assert_as_text(name, rois, maps, size, dtype, options)


@each_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_boxes(dtype, name, options):
    """Neither a long walk nor an overflow, and the same as the text where it rounds."""
    maps = geometry.maps_of([(1, 1, 50, 70)], [(1.0, 1.0)])
    for size in ((7, 7), (1, 1), (2, 19)):
        assert_as_text(name, far_corners(dtype), maps, size, dtype, options)


@each_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_huge_box_lists_no_more_than_a_large_one(dtype, name, options):
    """And so takes no longer."""
    maps = geometry.maps_of([(1, 1, 50, 70)], [(1.0, 1.0)])

    def length(side):
        begin = np.array([[-0.5], [-0.3], [-0.001]]) * side
        rois = np.concatenate([np.zeros((3, 1)), begin, begin, begin + side, begin + side], 1)
        found = of_twin(name, boxes_of(name, rois, maps), maps, (7, 7), dtype, options)[0][0]
        return sum(array.size for array in found)

    for side in (1e6, 1e9, 1e30):
        assert length(side) < 1.1 * length(1e3) + 20  # or so: samples lie elsewhere


@pytest.mark.parametrize(("name", "options"), ONE_OF_EACH, ids=str)
@pytest.mark.parametrize("width", [2**24 + 2, 2**25 + 3, 2**31 - 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_maps(dtype, width, name, options):
    """Where positions in float32 are several pixels apart, and the last may be none of them."""
    rng = np.random.default_rng(5)
    begin = width - 2 - np.concatenate([np.arange(5), rng.uniform(-300, 3000, 60)])
    rois = np.zeros((len(begin), 5))
    rois[:, 1], rois[:, 3] = begin, begin + rng.uniform(-20, 600, len(begin))
    rois[-1, [1, 3]] = 0, 9
    for shapes in ([(1, 1, 1, width)], [(1, 1, 1, width), (1, 1, 2, 5)]):
        maps = geometry.maps_of(shapes, [(1.0, 1.0)] * len(shapes))
        given = boxes_of(name, rois.astype(dtype), maps)
        assert_as_text(name, given, maps, (1, 7), dtype, options)
        (found, _), _ = of_twin(name, given, maps, (1, 7), dtype, options)
        assert found.x_pixel.min() >= 0
        assert width - 2**8 < found.x_pixel.max() < width


@pytest.mark.parametrize(("name", "options"), ONE_OF_EACH, ids=str)
def test_strides_threads_and_no_regions(name, options):
    maps = geometry.maps_of([(2, 1, 30, 40)], [(1.0, 1.0)])
    rois = boxes_of(name, corners(maps, np.float32, 600), maps)
    (expected, slopes), _ = of_twin(name, rois, maps, (7, 7), np.float32, options, moving=True)
    turned = np.asfortranarray(rois)[::-1][::-1]
    for given, threads in ((turned, 1), (rois, 2), (rois, 5)):
        how = {"moving": True, "threads": threads}
        (found, moved), _ = of_twin(name, given, maps, (7, 7), np.float32, options, **how)
        assert_same(found, expected)
        assert_same(moved or (), slopes or ())
    assert_as_text(name, rois[:0], maps, (7, 7), np.float32, options)


@pytest.mark.parametrize(("name", "options"), ONE_OF_EACH, ids=str)
def test_rows_of_every_type(name, options):
    maps = geometry.maps_of([(2, 1, 30, 40)], [(1.0, 1.0)])
    rois = boxes_of(name, corners(maps, np.float64), maps)
    for dtype in (np.int8, np.uint8, np.int32, np.int64, np.float16, ml_dtypes.bfloat16):
        given = rois if np.dtype(dtype).kind not in "iu" else np.where(abs(rois) < 99, rois, 0)
        with np.errstate(all="ignore"):
            given = given.astype(dtype)
        assert_as_text(name, given, maps, (3, 7), np.float64, options)


def test_a_bin_of_a_crop_is_empty_where_it_lies_beside_the_map():
    maps = geometry.maps_of([(1, 1, 5, 5)], [(1.0, 1.0)])
    boxes = np.array([[0, -0.5, 0, 1, 1], [0, 0, 0, 1, 1], [-1, 0, 0, 1, 1]], np.float32)
    (found, _), _ = of_twin(
        "crop_taps", boxes, maps, (4, 3), np.float32, {"method": "bilinear", "tensorflow": False}
    )
    empty = geometry.empty_bins(np, found.image, found.y_taps, found.x_taps)
    np.testing.assert_array_equal(empty[0].all(axis=1), [True, False, False, False])
    assert not empty[1:].any()


def test_what_no_convention_is_named():
    maps = geometry.maps_of([(1, 1, 5, 5)], [(1.0, 1.0)])
    rows, ranges = np.zeros((1, 5), np.float32), (np.zeros(1, np.int32),) * 3
    with pytest.raises(ValueError, match="no convention is named roi_taps"):
        _core.listed("roi_taps", rows, maps, (1, 1), (), False, False, False, False, ranges)


@pytest.mark.parametrize("width", [2**24 + 2, 2**31 - 1])
def test_long_map_pooled(width):
    data = np.broadcast_to(np.float32(3), (1, 1, 1, width))
    rois = np.array([[0, width - 9, 0, width, 1], [0, 3, 0, 8, 1]], np.float32)
    for ratio in (0, 2):
        pooled = roipool.roi_align(data, rois, (1, 2), sampling_ratio=ratio)
        np.testing.assert_array_equal(pooled[1], 3)
        assert np.isin(pooled[0], [0, 1.5, 3]).all()


def test_sums_over_regions():
    maps = geometry.maps_of([(2, 1, 30, 40)], [(1.0, 1.0)])
    rois = corners(maps, np.float64)
    (found, slopes), _ = twins.TWINS["align_taps"](
        rois, maps, (7, 7), np.float64, 0, True, moving=True
    )
    total = native.over_regions(slopes.x, found.x_taps)
    for each, taps in zip(total, found.x_taps, strict=True):
        np.testing.assert_allclose(each, slopes.x[taps[0, 0] : taps[-1, 1]].sum(0), atol=1e-12)
    assert not native.over_regions(slopes.x[:0], found.x_taps[:0]).size
    assert (found.image < 0).any()
