"""The samples of roi_align as taps: one text, the same bits in every namespace and compiled."""

import contextlib
import importlib.util
import itertools

import array_api_strict
import numpy as np
import pytest

from cases import assert_same_bits, odd_boxes, random_boxes
from roipool import geometry, reference, twins

NAMESPACES = {"strict": array_api_strict}
if importlib.util.find_spec("torch"):
    import torch

    NAMESPACES["torch"] = torch
if importlib.util.find_spec("jax"):
    import jax

    NAMESPACES["jax.jit"] = jax.numpy  # compiled, where XLA may move a sample
ROWS = 2048  # of every case, so that each is compiled once
COUNTS = 3, 7
# Shapes and scales of arrays of maps; of a single one a scale is a number, of several an array.
MAPS = {
    "one": geometry.maps_of([(1, 1, 19, 33)], [(1 / 16, 1 / 16)]),
    "several": geometry.maps_of([(1, 1, 19, 33), (2, 1, 33, 7)], [(1.0, 0.7), (1 / 3, 1 / 16)]),
}
CASES = [("one", np.float32), ("one", np.float64), ("several", np.float32)]
OPTIONS = [
    {"sampling_ratio": ratio, "aligned": aligned}
    for ratio, aligned in itertools.product((0, 2, 3), (False, True))
]
each_case = pytest.mark.parametrize(("name", "F"), CASES, ids=lambda v: getattr(v, "__name__", v))
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def hard_regions(maps, F):
    """Samples on pixels, on −1 and on L and a step beside; boxes of no size, mirrored, huge."""
    rng = np.random.default_rng(5)
    scale, height, width = maps.scales[0][1], maps.heights[0], maps.widths[0]
    border = np.array([-1, -0.5, 0, 0.5, 1, width - 1, width - 0.5, width, width + 0.5], F)
    step = [np.nextafter(border, F(-np.inf)), border, np.nextafter(border, F(np.inf))]
    step = np.concatenate(step) / scale
    ends = np.array(list(itertools.product(step, step)))
    ends = ends[rng.permutation(len(ends))[:700]]
    on_border = np.stack([ends[:, 0], ends[::-1, 0], ends[:, 1], ends[::-1, 1]], axis=1)
    whole = rng.integers(-3, int(width / scale) + 3, (500, 4))  # mirrored ones and empty
    size = 10.0 ** rng.uniform(0, 12, (100, 4))
    huge = rng.choice([-1, 1], size.shape) * size
    corners = np.concatenate([on_border, whole, huge])
    rows = np.concatenate([np.zeros((len(corners), 1)), corners], axis=1)
    rows = np.concatenate([rows, random_boxes(rng, 700, 1, height, width, scale, F)])
    rows[:, 0] = rng.integers(0, sum(maps.images), len(rows))
    rows = np.concatenate([rows, odd_boxes(height, width)])
    rows = np.concatenate([rows, rows[: ROWS - len(rows)]])
    assert rows.shape == (ROWS, 5)
    return rows.astype(F)


def bands(maps, taps, slopes, axis):
    """(K P, L) weight of every pixel, and how it moves with its region: (K P, L, 2)."""
    length = max(maps.widths if axis == "x" else maps.heights)
    ranges, pixel, weight = (
        np.asarray(getattr(taps, f"{axis}_{name}")) for name in ("taps", "pixel", "weight")
    )
    regions, bins, _ = ranges.shape
    size = ranges[:, :, 1] - ranges[:, :, 0]
    place = np.repeat(np.arange(regions * bins), size.ravel())
    # Lists are in the order of bins, of which each tap is then known.
    assert (np.diff(ranges[:, :, 0].ravel()) == size.ravel()[:-1]).all()
    dense = np.zeros((regions * bins, length), weight.dtype)
    np.add.at(dense, (place, pixel), weight)
    assert np.count_nonzero(dense) == np.count_nonzero(weight)  # a tap each
    if slopes is None:
        return dense, None
    moving = np.zeros((regions * bins, length, 2), np.asarray(slopes).dtype)
    np.add.at(moving, (place, pixel), np.asarray(slopes))
    return dense, moving


def by_text(xp, rois, maps, F, options):
    """Taps and slopes; compiled where the namespace has a compiler."""
    dtype = xp.float32 if F is np.float32 else xp.float64
    if xp is not NAMESPACES.get("jax.jit"):
        with np.errstate(all="ignore"):
            given = xp.asarray(rois) if xp is not np else rois
            return geometry.align_taps(xp, given, maps, COUNTS, dtype, **options)

    def taps(rois):
        return geometry.align_taps(xp, rois, maps, COUNTS, dtype, **options, traced=True)

    with jax.enable_x64(True) if F is np.float64 else contextlib.nullcontext():
        return jax.jit(taps)(xp.asarray(rois))


@each_case
@each_option
@pytest.mark.parametrize("xp", NAMESPACES.values(), ids=NAMESPACES)
def test_every_namespace_gives_the_same_bits(xp, options, name, F):
    rois, maps = hard_regions(MAPS[name], F), MAPS[name]
    wanted, slopes = by_text(np, rois, maps, F, options)
    found, found_slopes = by_text(xp, rois, maps, F, options)
    assert_same_bits(np.asarray(found.image), wanted.image)
    for axis in "yx":
        expected, moving = bands(maps, wanted, getattr(slopes, axis), axis)
        actual, found_moving = bands(maps, found, getattr(found_slopes, axis), axis)
        assert_same_bits(actual, expected)
        # Derivatives, which no rounding of a sample's place is in.
        np.testing.assert_allclose(found_moving, moving, atol=8 * np.finfo(F).eps, rtol=1e-5)


@each_case
@each_option
def test_the_native_twin_gives_the_same_bits(options, name, F):
    rois, maps = hard_regions(MAPS[name], F), MAPS[name]
    wanted, _ = by_text(np, rois, maps, F, options)
    (found, _), known = twins.TWINS["align_taps"](rois, maps, COUNTS, F, *options.values())
    assert known == bool((wanted.image >= 0).all())
    assert_same_bits(found.image, wanted.image)
    for axis in "yx":
        expected, actual = (bands(maps, taps, None, axis)[0] for taps in (wanted, found))
        assert_same_bits(actual, expected)


@each_case
@each_option
def test_as_the_definition(options, name, F):
    """To rounding: the definition walks samples, the text finds those of each pixel."""
    rois, maps = hard_regions(MAPS[name], F)[::8], MAPS[name]
    taps, slopes = by_text(np, rois, maps, F, options)
    found = [bands(maps, taps, getattr(slopes, axis), axis) for axis in "yx"]
    first = np.cumsum([0, *maps.images])
    for k, roi in enumerate(rois):
        if taps.image[k] < 0:
            continue
        array = np.searchsorted(first, roi[0], side="right") - 1
        sides = maps.heights[array], maps.widths[array]
        for axis in (0, 1):
            ends = roi[[2 - axis, 4 - axis]]
            given = sides[axis], COUNTS[axis], maps.scales[array][axis], *options.values(), F
            expected, samples = reference.sample_taps(*ends, *given)
            for p, (weights, moving) in enumerate(expected):
                place = k * COUNTS[axis] + p
                for of_pixel, parts in zip(found[axis], (weights, moving), strict=True):
                    wanted = np.zeros_like(of_pixel[place])
                    for pixel, part in parts.items():
                        wanted[pixel] = part / samples
                    np.testing.assert_allclose(of_pixel[place], wanted, atol=64 * np.finfo(F).eps)
