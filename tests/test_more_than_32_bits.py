"""Arrays of more elements than 32 bits count, at their far corner; most pages are never touched."""

import numpy as np
import psutil
import pytest

import family
import roipool
from cases import normal_maps
from defined import assert_close

MOST = 2**31
PATCH, SIDE = 16, 9_000


def needs(gib):
    """Of memory that is written."""
    if psutil.virtual_memory().available < (gib + 1) * 2**30:
        pytest.skip(f"{gib} GiB of memory are needed")


@pytest.fixture(scope="module")
def far_corner():
    """A map of channels for every operator, and the part of it that is no zero."""
    data = np.zeros((2, 18, SIDE, SIDE), np.float32)
    assert data.size > MOST
    patch = normal_maps(np.random.default_rng(0), (1, 18, PATCH, PATCH))
    data[1:, :, -PATCH:, -PATCH:] = patch
    return data, patch


def corners(side):
    """A region in the last pixels of a map; of so large ones float32 tells samples to 1e-3."""
    return np.array([[1, side - 9, side - 7.5, side - 1.25, side - 1]], np.float32)


@pytest.mark.parametrize("member", family.EVERY, ids=str)
def test_maps(member, far_corner):
    data, patch = far_corner
    far, near = corners(SIDE), corners(PATCH) - [1, 0, 0, 0, 0]
    if isinstance(member, family.Member):
        far, near = member.rows(far, data.shape, 1.0), member.rows(near, patch.shape, 1.0)
    if isinstance(member, family.Turned):
        far[:, 5] = near[:, 5] = 0
    expected = family.values_of(member, patch, near.astype(np.float32), (3, 2), 1.0)
    whole = member.name in ("roi_pool", "ps_roi_pool")
    assert_close(member(data, far, (3, 2), 1.0), expected, None if whole else 0.02)


ROWS = 70_000
LAST = np.full((ROWS, 5), -1, np.float32)
LAST[-1] = [0, 1, 2, 6, 7]
SHAPE, SIZE = (1, 32, 8, 8), (31, 31)
assert ROWS * 32 * 31 * 31 > MOST


@pytest.mark.parametrize(("operator", "dtype"), [("roi_pool", "uint8"), ("roi_align", "float16")])
def test_results(operator, dtype):
    needs(2 * np.dtype(dtype).itemsize)
    function = getattr(roipool, operator)
    data = normal_maps(np.random.default_rng(1), SHAPE, dtype)
    values = function(data, LAST, SIZE)
    assert values.size > MOST
    np.testing.assert_array_equal(values[-1:], function(data, LAST[-1:], SIZE))
    assert not values[::9_999].any()


def test_gradients():
    grad = np.zeros((ROWS, 32, *SIZE), np.float16)
    grad[-1] = normal_maps(np.random.default_rng(2), (32, *SIZE), np.float16)
    found = roipool.roi_align_backward(grad, LAST, SHAPE)
    np.testing.assert_array_equal(found, roipool.roi_align_backward(grad[-1:], LAST[-1:], SHAPE))
    of_rois = roipool.roi_align_backward_rois(grad, np.ones(SHAPE, np.float16), LAST)
    assert not of_rois[:-1].any()
    argmax = np.zeros(grad.shape, np.int32)
    argmax[-1] = np.arange(31) % 8
    found = roipool.roi_pool_backward(grad, argmax, LAST, SHAPE)
    expected = roipool.roi_pool_backward(grad[-1:], argmax[-1:], LAST[-1:], SHAPE)
    np.testing.assert_array_equal(found, expected)


def test_gradients_of_large_maps():
    needs(5)
    shape = (2, 2, 24_000, 24_000)
    far = corners(24_000)
    grad = normal_maps(np.random.default_rng(3), (1, 2, 3, 2), np.float16)
    found = roipool.roi_align_backward(grad, far, shape)
    assert found.size > MOST
    near = roipool.roi_align_backward(grad, corners(PATCH) - [1, 0, 0, 0, 0], (1, 2, PATCH, PATCH))
    assert_close(found[1:, :, -PATCH:, -PATCH:], near, 0.02)
    assert not found[0].any()
