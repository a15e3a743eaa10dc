"""Dask: operators that fill bins that are empty."""

import numpy as np
import pytest

dask = pytest.importorskip("dask", reason="Dask is not installed")
da = pytest.importorskip("dask.array", reason="Dask's arrays need dask[array]")

import roipool
from cases import FLOATS, NAMES, assert_same_bits
from dask_arrays import forms


@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
def test_a_bin_is_filled_that_no_tile_knows(dtype):
    """Each tile alone would fill nearly all bins, and rounds to their type but once."""
    data = da.ones((1, 1, 3, 3), dtype=dtype, chunks=(1, 1, 2, 1))
    rows = np.array([[0, 0, 0, 1, 1], [0, 0, 0.5, 1, 1.5], [0, -3, -3, -2, -2], [-1, 0, 0, 1, 1]])
    expected = np.ones((4, 1, 3, 3))
    expected[1, :, :, 2] = expected[2] = 1 / 3
    expected[3] = 0
    for boxes in forms(rows, 3):
        filled = roipool.crop_and_resize(data, boxes, 3, extrapolation_value=1 / 3)
        assert_same_bits(filled.compute(scheduler="sync"), expected.astype(dtype))
