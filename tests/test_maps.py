"""Feature maps as several arrays: each region pooled as if its own array were alone."""

import numpy as np
import pytest

from cases import DTYPES, FLOATS, NAMES, assert_same_bits, max_bins, odd_maps, random_boxes
from roipool import _core
from roipool.memory import bits

CHANNELS = 37  # no multiple of any block
POOLED = (3, 2)
# Images, height, width, layout and regions of each array. By the plan some are packed per region,
# others per image, with windows and without.
ARRAYS = [
    (1, 90, 80, "contiguous", 3),
    (2, 20, 31, "channels last", 40),
    (1, 0, 7, "contiguous", 2),
    (0, 9, 9, "contiguous", 0),
    (1, 70, 64, "reversed", 300),
    (3, 1, 1, "channels last", 5),
    (1, 33, 50, "window", 60),
]


def laid_out(maps, layout):
    """The same maps, otherwise in memory."""
    if layout == "channels last":
        return np.ascontiguousarray(maps.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if layout == "reversed":
        return np.ascontiguousarray(maps[:, ::-1, ::-1, ::-1])[:, ::-1, ::-1, ::-1]
    if layout == "window":
        wide = np.zeros((*maps.shape[:2], maps.shape[2] + 3, maps.shape[3] + 5), maps.dtype)
        wide[:, :, 3:, 2:-3] = maps
        return wide[:, :, 3:, 2:-3]
    return maps


def case(dtype, seed=0):
    """Arrays of maps, the bins of each array's regions, and where each of these is in the call."""
    rng = np.random.default_rng(seed)
    maps, bins = [], []
    for images, height, width, layout, count in ARRAYS:
        shape = (images, CHANNELS, height, width)
        maps.append(laid_out(odd_maps(rng, shape, dtype), layout))
        rois = random_boxes(rng, count, images, height, width)
        if layout == "reversed":  # large regions, which windows pay for
            rois[:, 1:3], rois[:, 3:5] = (
                rng.uniform(0, 9, (count, 2)),
                rng.uniform(50, 70, (count, 2)),
            )
        rois[2::7, 0] = -1
        bins.append(max_bins(rois, shape, POOLED, 1.0, np.dtype(dtype)))
    counts = [count for *_, count in ARRAYS]
    order = rng.permutation(sum(counts))
    # Sums depend on the order of an array's regions: that one stays.
    return maps, bins, [np.sort(at) for at in np.split(order, np.cumsum(counts)[:-1])]


def together(bins, maps, places):
    """The bins of all regions in the call's order, their images counted through all arrays."""
    count = sum(map(len, places))
    image = np.empty(count, np.int32)
    rows, cols = (np.empty((count, n, 2), np.int32) for n in POOLED)
    first = 0
    for each, array, at in zip(bins, maps, places, strict=True):
        image[at] = np.where(each.image < 0, -1, each.image + first)
        rows[at], cols[at] = each.y_bins, each.x_bins
        first += len(array)
    return image, rows, cols


def pooled(maps, bins, positions, threads=0):
    dtype = (maps[0] if isinstance(maps, list) else maps).dtype
    values = np.zeros((len(bins[0]), CHANNELS, *POOLED), dtype)
    argmax = None if positions is None else np.zeros(values.shape, positions)
    data = list(map(bits, maps)) if isinstance(maps, list) else bits(maps)
    _core.run("max", dtype.name, (data, *bins), (bits(values), argmax), threads)
    return values, argmax


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("positions", [None, np.int32, np.int64])
@pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)
def test_forward(dtype, positions, threads):
    maps, bins, places = case(dtype)
    values, argmax = pooled(maps, together(bins, maps, places), positions, threads)
    for array, each, at in zip(maps, bins, places, strict=True):
        expected, expected_argmax = pooled(array, each, positions)
        assert_same_bits(values[at], expected)
        if positions is not None:
            assert_same_bits(argmax[at], expected_argmax)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("positions", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[: len(FLOATS)])
def test_backward(dtype, positions, threads):
    maps, bins, places = case(dtype)
    joined = together(bins, maps, places)
    _, argmax = pooled(maps, joined, positions)
    grad = np.random.default_rng(1).standard_normal(argmax.shape).astype(dtype)
    found = [
        laid_out(np.full(array.shape, 7, dtype), layout if layout == "channels last" else "")
        for array, (_, _, _, layout, _) in zip(maps, ARRAYS, strict=True)
    ]
    name = np.dtype(dtype).name
    at = list(map(bits, found))
    inputs = bits(grad), joined[0], argmax
    assert _core.run("max_add", name, inputs, (at,), threads)
    for grad_data, each, at in zip(found, bins, places, strict=True):
        expected = np.full(grad_data.shape, 7, dtype)
        own = np.ascontiguousarray(argmax[at])
        inputs = bits(np.ascontiguousarray(grad[at])), each.image, own
        assert _core.run("max_add", name, inputs, (bits(expected),))
        assert_same_bits(grad_data, expected)


def test_a_position_is_held_to_its_own_map():
    maps = [np.zeros((1, CHANNELS, 9, 9), np.float32), np.zeros((1, CHANNELS, 2, 3), np.float32)]
    argmax = np.full((2, CHANNELS, *POOLED), 5, np.int32)
    grad, image = np.zeros(argmax.shape, np.float32), np.array([0, 1], np.int32)
    assert _core.run("max_add", "float32", (grad, image, argmax), (maps,))
    argmax[0] = 80
    assert _core.run("max_add", "float32", (grad, image, argmax), (maps,))
    argmax[1, 3, 1, 1] = 6
    assert not _core.run("max_add", "float32", (grad, image, argmax), (maps,))


def test_the_arrays_are_pooled_in_every_way():
    """What the cases above are made for; should the plan change, so must they."""
    _, bins, _ = case(np.float32)
    ways = {
        str(_core.plan(each.y_bins, each.x_bins, CHANNELS, False, np.inf, [32], 2)[:2])
        for each, (_, height, _, _, count) in zip(bins, ARRAYS, strict=True)
        if height > 1 and count
    }
    assert len(ways) >= 3
