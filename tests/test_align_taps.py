"""The native twin of geometry.align_taps against that text."""

import itertools

import numpy as np
import pytest

import roipool
from cases import assert_same_bits, odd_boxes, random_boxes
from roipool import geometry, native, windows

SHAPES = {
    "one array": ([(2, 1, 13, 17)], [(0.25, 0.25)]),
    "two scales": ([(3, 1, 9, 60)], [(0.5, 1 / 16)]),
    "several": ([(1, 1, 13, 17), (2, 1, 7, 9), (1, 1, 4, 5)], [(0.25, 0.3), (0.125, 0.1), (1, 1)]),
    "empty": ([(2, 1, 0, 5), (1, 1, 4, 0)], [(1, 1), (1, 1)]),
    "long": ([(1, 1, 1, 300)], [(1, 1)]),
}


def assert_as_text(rois, maps, size, data_dtype, **options):
    with np.errstate(all="ignore"):
        wanted, slopes = geometry.align_taps(np, rois, maps, size, data_dtype, **options)
    more = options["sampling_ratio"], options["aligned"]
    for moving in (False, True):
        (found, moved), known = native.taps(rois, maps, size, data_dtype, *more, moving=moving)
        expected, expected_slopes = windows.listed(wanted, slopes if moving else None)
        assert known == (wanted.image >= 0).all()
        assert_same(found, expected)
        assert moving == (moved is not None)
        assert_same(moved or (), expected_slopes or ())


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert_same_bits(one, other)


def boxes(maps, dtype, count=100):
    rng = np.random.default_rng(2)
    images = sum(maps.images)
    found = [
        random_boxes(rng, count, images, height or 4, width or 4, scale[0])
        for height, width, scale in zip(maps.heights, maps.widths, maps.scales, strict=True)
    ]
    found += [odd_boxes(max(maps.heights), max(maps.widths))]
    edges = np.array([-1.0, 0.0, 0.5, 1.0, 3.5, 13.0, 17.0, 17.5, 60.0])
    found += [[[0, *np.array(ends) / maps.scales[0][0]] for ends in
               itertools.product(edges[:5], edges[:4], edges[2:], edges[3:])]]  # fmt: skip
    rois = np.concatenate(found).astype(dtype)
    rois[::50, 0] = rng.choice([-1, images, 0.5, np.nan], len(rois[::50]))
    return rois


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("shapes", SHAPES)
def test_as_text(shapes, ratio, aligned):
    maps = geometry.maps_of(*SHAPES[shapes])
    for data_dtype, rois_dtype in itertools.product((np.float32, np.float64), repeat=2):
        rois = boxes(maps, rois_dtype)
        for size in ((7, 7), (1, 3)):
            options = {"sampling_ratio": ratio, "aligned": aligned}
            assert_as_text(rois, maps, size, data_dtype, **options)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_boxes(dtype, aligned):
    """Neither a long walk nor an overflow, and the same as the text where it rounds."""
    maps = geometry.maps_of([(1, 1, 50, 70)], [(1.0, 1.0)])
    rng = np.random.default_rng(4)
    size = 10 ** rng.uniform(0, 37, (150, 4))
    corners = rng.choice([-1, 1], size.shape) * size
    corners[::2] = np.sort(corners[::2].reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    rois = np.concatenate([np.zeros((150, 1)), corners], axis=1).astype(dtype)
    for count in ((7, 7), (1, 1), (2, 19)):
        assert_as_text(rois, maps, count, dtype, sampling_ratio=0, aligned=aligned)
        assert_as_text(rois, maps, count, dtype, sampling_ratio=2, aligned=aligned)


def test_strides_threads_and_no_regions():
    maps = geometry.maps_of([(2, 1, 30, 40)], [(1.0, 1.0)])
    rois = boxes(maps, np.float32)
    (expected, slopes), _ = native.taps(rois, maps, (7, 7), np.float32, 0, True, moving=True)
    turned = np.asfortranarray(rois)[::-1][::-1]
    for given, threads in ((turned, 1), (rois, 2), (rois, 5)):
        how = {"moving": True, "threads": threads}
        (found, moved), _ = native.taps(given, maps, (7, 7), np.float32, 0, True, **how)
        assert_same(found, expected)
        assert_same(moved, slopes)
    assert_as_text(rois[:0], maps, (7, 7), np.float32, sampling_ratio=0, aligned=True)


@pytest.mark.parametrize("width", [2**24 + 2, 2**25 + 3, 2**31 - 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ratio", [0, 2])
def test_no_pixel_beyond_a_long_map(ratio, dtype, width):
    """Where positions in float32 are several pixels apart, and the last may be none of them."""
    for shapes in ([(1, 1, 1, width)], [(1, 1, 1, width), (1, 1, 2, 5)]):
        maps = geometry.maps_of(shapes, [(1.0, 1.0)] * len(shapes))
        rng = np.random.default_rng(5)
        begin = width - 2 - np.concatenate([np.arange(5), rng.uniform(-300, 3000, 60)])
        rois = np.zeros((len(begin), 5))
        rois[:, 1], rois[:, 3] = begin, begin + rng.uniform(-20, 600, len(begin))
        rois[-1, [1, 3]] = 0, 9
        for aligned in (False, True):
            options = {"sampling_ratio": ratio, "aligned": aligned}
            assert_as_text(rois.astype(dtype), maps, (1, 7), dtype, **options)
            more = ratio, aligned
            (found, _), _ = native.taps(rois.astype(dtype), maps, (1, 7), dtype, *more, moving=True)
            assert found.x_pixel.min() >= 0
            assert width - 2**8 < found.x_pixel.max() < width


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
    rois = boxes(maps, np.float64)
    (found, slopes), _ = native.taps(rois, maps, (7, 7), np.float64, 0, True, moving=True)
    total = native.over_regions(slopes.x, found.x_taps)
    for each, taps in zip(total, found.x_taps, strict=True):
        np.testing.assert_allclose(each, slopes.x[taps[0, 0] : taps[-1, 1]].sum(0), atol=1e-12)
    assert not native.over_regions(slopes.x[:0], found.x_taps[:0]).size
    assert (found.image < 0).any()
