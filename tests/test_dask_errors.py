"""Errors with Dask arrays: at the call, but for values that cannot be looked at then."""

import re

import numpy as np
import pytest

dask = pytest.importorskip("dask", reason="Dask is not installed")
da = pytest.importorskip("dask.array", reason="Dask's arrays need dask[array]")

import roipool
from cases import assert_same_bits, nan
from test_errors import ROWS, row

DATA = da.zeros((2, 3, 8, 8), dtype=np.float32, chunks=(1, 3, 4, 8))
BOX = [[0, 0, 0, 1, 1]]


@pytest.mark.parametrize(("values", "error", "message"), ROWS, ids=[str(r[0]) for r in ROWS])
def test_rows(values, error, message):
    message = "^" + re.escape(message)
    with pytest.raises(error, match=message):
        roipool.roi_pool(DATA, row(*values), 2)
    with dask.config.set({"array.chunk-size": "1B"}), pytest.raises(error, match=message):
        roipool.roi_pool(DATA, row(*values), 2)
    lazy = roipool.roi_pool(DATA, da.from_array(row(*values), chunks=1), 2)
    with pytest.raises(error, match=message):
        lazy.compute(scheduler="sync")


@pytest.mark.parametrize(
    ("values", "error", "message"), ROWS[:7], ids=[str(r[0]) for r in ROWS[:7]]
)
def test_rows_backward(values, error, message):
    grad, argmax = (
        da.zeros((3, 3, 2, 2), dtype=np.float32, chunks=1),
        np.zeros((3, 3, 2, 2), np.int32),
    )
    message = "^" + re.escape(message)
    with pytest.raises(error, match=message):
        roipool.roi_pool_backward(grad, argmax, row(*values), DATA.shape)
    lazy = roipool.roi_pool_backward(grad, argmax, da.from_array(row(*values)), DATA.shape)
    with pytest.raises(error, match=message):
        lazy.compute(scheduler="sync")


UNKNOWN = DATA[da.ones(2, chunks=1) > 0]
LAZY_BOX = da.zeros((1, 5), chunks=1)
ARGUMENTS = [
    ({"data": DATA[0]}, ValueError, r"data has shape \(3, 8, 8\); expected feature maps \(N, C"),
    ({"data": DATA.astype(np.int64)}, TypeError, "data has dtype int64; .* convert with astype"),
    (
        {"data": da.ma.masked_less(DATA, 1)},
        TypeError,
        "data has chunks of numpy.ma.*MaskedArray;",
    ),
    (
        {"data": dask.delayed(1)},
        TypeError,
        r"data is a dask.delayed.*; expected a dask.array",
    ),
    ({"data": UNKNOWN}, ValueError, r"data has chunks of unknown size, .*compute_chunk_sizes\(\)"),
    (
        {"rois": da.zeros((3, 4))},
        ValueError,
        r"rois has shape \(3, 4\); expected an array \(K",
    ),
    ({"rois": LAZY_BOX.astype(complex)}, TypeError, "rois has dtype complex128; expected real"),
    ({"rois": LAZY_BOX[LAZY_BOX[:, 0] > 0]}, ValueError, "rois has chunks of unknown size"),
    ({"rois": [LAZY_BOX[:, 1:]] * 2}, TypeError, "rois is a sequence with Dask arrays in it; give"),
    ({"rois": [np.zeros((1, 4))]}, ValueError, "rois holds boxes for 1 images, but data holds 2;"),
    ({"pooled_size": 0}, ValueError, "pooled_size is 0; each side must be at least 1"),
    ({"spatial_scale": nan}, ValueError, "spatial_scale is nan; expected a finite positive"),
    (
        {"out": np.zeros((1, 3, 2, 2), np.float32)},
        TypeError,
        "out is given, but a Dask array's",
    ),
]


@pytest.mark.parametrize(
    ("changed", "error", "message"), ARGUMENTS, ids=[row[2][:40] for row in ARGUMENTS]
)
def test_arguments(changed, error, message):
    arguments = {"data": DATA, "rois": BOX, "pooled_size": 2, "spatial_scale": 1.0}
    with pytest.raises(error, match="^" + message):
        roipool.roi_pool(**(arguments | changed))


GRAD = da.zeros((1, 3, 2, 2), dtype=np.float32)
ARGMAX = np.zeros(GRAD.shape, np.int32)
BACKWARD = [
    ({"grad": GRAD.astype(np.int32)}, TypeError, "grad has dtype int32; a gradient is one of floa"),
    ({"grad": GRAD[:, :2]}, ValueError, r"grad has shape \(1, 2, 2, 2\); expected \(1, 3, h, w\)"),
    ({"rois": BOX * 2}, ValueError, r"grad has shape .*; expected \(2, 3, h, w\) for 2 rois"),
    ({"argmax": ARGMAX[:, :, :1]}, ValueError, r"argmax has shape \(1, 3, 1, 2\) and dtype int"),
    ({"argmax": GRAD}, ValueError, "argmax has shape .* and dtype float32; expected"),
    (
        {"out": np.zeros(DATA.shape, np.float32)},
        TypeError,
        "out is given, but a Dask array's",
    ),
    ({"data_shape": (2, 3, 8)}, ValueError, r"data_shape is \(2, 3, 8\); expected \(N, C, H, W\)"),
]


@pytest.mark.parametrize(
    ("changed", "error", "message"), BACKWARD, ids=[row[2][:40] for row in BACKWARD]
)
def test_arguments_backward(changed, error, message):
    arguments = {"grad": GRAD, "argmax": ARGMAX, "rois": BOX, "data_shape": DATA.shape}
    with pytest.raises(error, match="^" + message):
        roipool.roi_pool_backward(**(arguments | changed))


@pytest.mark.parametrize("position", [64, -2, 2**31 - 1, 2**32])
def test_positions_outside_the_map_are_refused(position):
    for argmax in (np.full(GRAD.shape, position), da.full(GRAD.shape, position)):
        lazy = roipool.roi_pool_backward(GRAD, argmax, BOX, DATA.shape)
        with pytest.raises(IndexError, match=r"argmax holds positions outside .* -1 to 63"):
            lazy.compute(scheduler="sync")


def test_what_a_padding_row_holds_is_not_looked_at():
    lazy = roipool.roi_pool_backward(GRAD + 1, ARGMAX + 99, [[-1, 0, 0, 1, 1]], DATA.shape)
    assert_same_bits(lazy.compute(), np.zeros(DATA.shape, np.float32))


def lying(array, location, change):
    """The same array, of which one chunk is not what it says."""

    def block(chunk, block_info=None):
        there = block_info and tuple(block_info[0]["chunk-location"]) == location
        return change(chunk) if there else chunk

    return array.map_blocks(block, dtype=array.dtype, meta=array._meta)


CHANGES = {
    "smaller": lambda chunk: chunk[..., :-1],
    "larger": lambda chunk: np.concatenate([chunk, chunk], -1),
    "fewer": lambda chunk: chunk[:0],
    "more": lambda chunk: np.concatenate([chunk, chunk]),
    "flat": lambda chunk: chunk.reshape(-1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_chunks_that_are_not_what_their_array_says(change):
    def refused(lazy, argument, location):
        name = f"chunk ({location}) of {argument} has shape"
        with pytest.raises(ValueError, match="^" + re.escape(name)):
            lazy.compute(scheduler="sync")

    data = da.random.random((2, 3, 8, 8), chunks=(1, 3, 4, 8)).astype(np.float32)
    rois = da.from_array(np.array(BOX * 3, np.float32), chunks=(2, 5))
    grad = da.ones((3, 3, 2, 2), dtype=np.float32, chunks=(2, 3, 2, 2))
    argmax = da.zeros((3, 3, 2, 2), dtype=np.int32, chunks=(2, 3, 2, 2))
    maps, rows = lying(data, (0, 0, 0, 0), change), lying(rois, (1, 0), change)
    shape = data.shape
    for pool in (roipool.roi_pool, roipool.roi_align, roipool.roi_align_rotated):
        turned = pool is roipool.roi_align_rotated
        given = BOX if not turned else [[*BOX[0], 0.0]]
        refused(pool(maps, np.array(given, np.float32), 2), "data", "0, 0, 0, 0")
    refused(roipool.roi_pool(data, rows, 2), "rois", "1, 0")
    refused(roipool.roi_pool(data.rechunk(8), rows, 2, return_argmax=True)[1], "rois", "1, 0")
    wrong = lying(grad, (1, 0, 0, 0), change)
    refused(roipool.roi_pool_backward(wrong, argmax, rois, shape), "grad", "1, 0, 0, 0")
    refused(roipool.roi_align_backward(wrong, rois, shape), "grad", "1, 0, 0, 0")
    refused(roipool.roi_align_backward(grad, rows, shape), "rois", "1, 0")
    refused(roipool.roi_align_backward_rois(wrong, data, rois), "grad", "1, 0, 0, 0")
    refused(roipool.roi_align_backward_rois(grad, maps, rois), "data", "0, 0, 0, 0")
    found = lying(argmax, (1, 0, 0, 0), change)
    refused(roipool.roi_pool_backward(grad, found, rois, shape), "argmax", "1, 0, 0, 0")
