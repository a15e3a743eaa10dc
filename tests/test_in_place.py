"""Large bins of few channels: maps are walked through as they lie, and nothing is packed."""

import json
import sys

import numpy as np
import pytest

import roipool
from cases import DTYPES, NAMES, assert_same_bits, layouts, max_bins, normal_maps, odd_maps
from kernel_runs import output_of
from roipool import _core, reference
from roipool.memory import bits

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)
ROIS = np.array(
    [
        [0, -3, -2, 77, 60],  # wider than any register, and the map
        [1, 3, 0, 68, 20],
        [0, 9, 5, 11, 33],  # narrower
        [1, 40, 7, 40, 7],
        [0, 90, 90, 99, 99],  # outside
        [-1, 0, 0, 9, 9],
        [0, 69, 20, 20, 3],  # ends before it begins
    ],
    np.float32,
)


def is_in_place(rois, shape, size):
    bins = max_bins(rois[rois[:, 0] == 0], (1, *shape[1:]), size, 1.0, np.float32)
    return _core.plan(bins.y_bins, bins.x_bins, shape[1], False, np.inf, [64, 32, 16], 2)[4]


@pytest.mark.parametrize("maps", [normal_maps, odd_maps])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@each_dtype
def test_by_the_definition(dtype, channels, maps):
    shape, size = (2, channels, 31, 70), (2, 1)
    data = maps(np.random.default_rng(channels), shape, dtype)
    if channels < 4:
        assert is_in_place(ROIS, shape, size)
    expected, positions = reference.roi_pool(data, ROIS, size, 1.0)
    for name, lying in layouts(data).items():
        if name == "one channel for all":
            continue
        assert_same_bits(roipool.roi_pool(lying, ROIS, size), expected)
        values, argmax = roipool.roi_pool(lying, ROIS, size, return_argmax=True)
        assert_same_bits(values, expected)
        assert_same_bits(argmax, positions)


@each_dtype
def test_the_first_of_equal_pixels(dtype):
    """Ties in a row, across rows and between zeros of both signs; in the last row's last pixels."""
    rng = np.random.default_rng(5)
    rois = np.array([[0, 0, 0, 299, 40], [0, 250, 30, 299, 40]], np.float32)
    for kind in range(8):
        data = np.zeros((1, 3, 41, 300), dtype)
        if np.dtype(dtype).kind in "iu":
            data += np.asarray(rng.integers(0, 2, data.shape)).astype(dtype)
        else:
            data[rng.random(data.shape) < 0.5] *= np.dtype(dtype).type(-1)  # −0
            data[:, kind % 3, 5 * kind :] = np.nan
        expected, positions = reference.roi_pool(data, rois, (1, 1), 1.0)
        values, argmax = roipool.roi_pool(data, rois, 1, return_argmax=True)
        assert_same_bits(values, expected)
        assert_same_bits(argmax, positions)
        assert_same_bits(roipool.roi_pool(data, rois, 1), expected)


@pytest.mark.parametrize("wide", [np.int32, np.int64])
@pytest.mark.parametrize("last", [False, True])
def test_positions_and_results_of_every_kind(wide, last):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((2, 3, 31, 70)).astype(np.float32)
    expected, positions = reference.roi_pool(data, ROIS, (2, 3), 1.0)
    bins = max_bins(ROIS, data.shape, (2, 3), 1.0, np.float32)
    values = np.empty((len(ROIS), 2, 3, 3), np.float32).transpose(0, 3, 1, 2) if last else None
    values = np.empty_like(expected) if values is None else values
    argmax = np.empty(expected.shape, wide)
    _core.run("max", "float32", (bits(data), *bins), (values, argmax))
    assert_same_bits(np.ascontiguousarray(values), expected)
    assert_same_bits(argmax.astype(np.int32), positions)


MEMORY = """if True:
    import json, sys, numpy as np, roipool
    from process_memory import forget_most_resident, most_resident, resident

    channels, dtype, count, last = json.loads(sys.argv[1])
    shape = (1, 4000, 4000, channels) if last else (1, channels, 4000, 4000)
    data = np.ones(shape, dtype)
    data = data.transpose(0, 3, 1, 2) if last else data
    rng = np.random.default_rng(0)
    rois = np.zeros((count, 5), np.float32)
    rois[:, 1:3], rois[:, 3:] = rng.uniform(0, 900, (count, 2)), rng.uniform(2500, 3999, (count, 2))
    grad, argmax = roipool.roi_pool(data[:, :, :30, :30], rois[:1] / 200, 7, return_argmax=True)
    before = forget_most_resident(), resident()
    values, argmax = roipool.roi_pool(data, rois, 7, return_argmax=True)
    extra = most_resident() - before[1]
    if dtype[0] == "f":
        forget_most_resident()
        grad_data = roipool.roi_pool_backward(values, argmax, rois, data.shape)
        extra = max(extra, most_resident() - before[1] - grad_data.nbytes)
    print(json.dumps([extra / data.nbytes, bool((values == 1).all())]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is resident on Linux alone")
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize(("channels", "dtype"), [(1, "u1"), (3, "u1"), (1, "f2"), (2, "f4")])
def test_little_memory(channels, dtype, count, last):
    """A quarter of the map at most, forward and backward, where a packed block takes up to 32."""
    call = json.dumps([channels, dtype, count, last])
    share, right = json.loads(output_of(["-c", MEMORY, call]))
    assert right
    assert share < 0.25 + 0.1  # and what threads take
