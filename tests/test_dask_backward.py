"""Gradients of Dask arrays: the bits of NumPy's, whatever the chunks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

dask = pytest.importorskip("dask", reason="Dask is not installed")
da = pytest.importorskip("dask.array", reason="Dask's arrays need dask[array]")

import roipool
from cases import FLOATS, NAMES, assert_same_bits
from dask_arrays import SHAPE, forms, parts, sizes, some_grad


@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
@pytest.mark.parametrize("chunk_size", ["1B", "300B", "2kB", "1MB"])
def test_backward(dtype, chunk_size):
    grad, argmax, rows = some_grad(6, dtype)
    expected = roipool.roi_pool_backward(grad, argmax, rows, SHAPE)
    lazy = da.from_array(grad, chunks=(17, 3, 3, 1))
    for rois in forms(rows):
        for positions in (argmax, da.from_array(argmax.astype(np.int64), chunks=9)):
            with dask.config.set({"array.chunk-size": chunk_size}):
                actual = roipool.roi_pool_backward(lazy, positions, rois, SHAPE)
            assert (actual.shape, actual.dtype) == (SHAPE, grad.dtype)
            assert actual.chunks[1] == lazy.chunks[1]
            assert_same_bits(actual.compute(scheduler="sync"), expected)


@given(st.data())
@settings(max_examples=6, deadline=None)
def test_backward_in_any_chunks(draw):
    grad, argmax, rows = some_grad(draw.draw(st.integers(0, 99)), np.float32)
    lazy = da.from_array(grad, chunks=tuple(draw.draw(parts(side)) for side in grad.shape))
    for rois in forms(rows, draw.draw(st.integers(1, len(rows)))):
        with dask.config.set({"array.chunk-size": draw.draw(sizes)}):
            actual = roipool.roi_pool_backward(lazy, argmax, rois, SHAPE)
        expected = roipool.roi_pool_backward(grad, argmax, rows, SHAPE)
        assert_same_bits(actual.compute(scheduler="sync"), expected)


@pytest.mark.parametrize("dtype", FLOATS[:2], ids=NAMES[:2])
def test_half_types_round_once_for_all_blocks(dtype):
    # 1 + 2048 small steps: rounded after each block of regions, the sum would stay at 1.
    grad = np.full((2049, 1, 1, 1), 2.0**-12, dtype)
    grad[0] = 1
    lazy, argmax = da.from_array(grad, chunks=256), np.zeros(grad.shape, np.int32)
    total = roipool.roi_pool_backward(lazy, argmax, [[0, 0, 0, 0, 0]] * 2049, (1, 1, 1, 1))
    assert float(total.compute().item()) == 1.5
