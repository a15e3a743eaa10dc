"""The native twin of geometry.align_taps against that text."""

import itertools

import numpy as np
import pytest

from cases import assert_same_bits, odd_boxes, random_boxes
from roipool import _core, geometry

SHAPES = {
    "one array": ([(2, 1, 13, 17)], [(0.25, 0.25)]),
    "two scales": ([(3, 1, 9, 60)], [(0.5, 1 / 16)]),
    "several": ([(1, 1, 13, 17), (2, 1, 7, 9), (1, 1, 4, 5)], [(0.25, 0.3), (0.125, 0.1), (1, 1)]),
    "empty": ([(2, 1, 0, 5), (1, 1, 4, 0)], [(1, 1), (1, 1)]),
    "long": ([(1, 1, 1, 300)], [(1, 1)]),
}


def native(rois, maps, size, data_dtype, **options):
    *taps, known = _core.align_taps(
        rois, maps, size, data_dtype == rois.dtype == np.float64, data_dtype == np.float64,
        options["sampling_ratio"], options["aligned"], options.get("threads", 0),
    )  # fmt: skip
    return geometry.Taps(*taps), known


def without_zeros(taps, pixel, weight):
    """Those with a weight, side by side."""
    kept = np.append(0, np.cumsum(weight != 0))
    return kept[taps].astype(np.int32), pixel[weight != 0], weight[weight != 0]


def assert_as_text(rois, maps, size, data_dtype, **options):
    with np.errstate(all="ignore"):
        wanted, _ = geometry.align_taps(np, rois, maps, size, data_dtype, **options)
    found, known = native(rois, maps, size, data_dtype, **options)
    assert_same_bits(found.image, wanted.image)
    assert known == (wanted.image >= 0).all()
    for axis in "yx":
        taps, pixel, weight = (f"{axis}_{name}" for name in ("taps", "pixel", "weight"))
        of_text = without_zeros(*(getattr(wanted, name) for name in (taps, pixel, weight)))
        for name, expected in zip((taps, pixel, weight), of_text, strict=True):
            assert_same_bits(getattr(found, name), expected)


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
    options = {"sampling_ratio": 0, "aligned": True}
    expected, _ = native(rois, maps, (7, 7), np.float32, **options)
    turned = np.asfortranarray(rois)[::-1][::-1]
    for given, threads in ((turned, 1), (rois, 2), (rois, 5)):
        for one, other in zip(
            native(given, maps, (7, 7), np.float32, **options, threads=threads)[0],
            expected,
            strict=True,
        ):
            assert_same_bits(one, other)
    assert_as_text(rois[:0], maps, (7, 7), np.float32, **options)
