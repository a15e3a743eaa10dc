"""A look at regions, beside what calls on the CPU say of the same rows."""

import numpy as np
import pytest

import roipool

DATA = np.zeros((2, 1, 4, 4), np.float32)
ODD = [
    [2, 0, 0, 1, 1],
    [0.5, 0, 0, 1, 1],
    [np.nan, 0, 0, 1, 1],
    [1, 0, np.inf, 1, 1],
    [0, 0, 0, 0, np.nan],
    [0, 0, -3e38, 0, 0],
]


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_raises_as_a_call_does(odd, dtype):
    rois = np.array([[0, 0, 0, 1, 1], [-1, np.nan, 0, 0, 0], odd], dtype)
    with pytest.raises((IndexError, ValueError)) as called:
        roipool.roi_pool(DATA, rois, 2, 4.0)
    with pytest.raises(type(called.value)) as looked:
        roipool.check_rois(rois, 2, 4.0)
    assert str(looked.value) == str(called.value)


def test_turned_boxes():
    rois = np.array([[0, 1, 1, 2, 2, 0.5], [1, 1, 1, 2, -2, 0.5]])
    roipool.check_rois(rois[:1], 2)
    with pytest.raises(ValueError, match=r"rois\[1, 4\] \(height\) is -2.0"):
        roipool.check_rois(rois, 2)


def test_regions_and_padding_rows_pass():
    roipool.check_rois(np.array([[0, 9, 9, 1, 1], [-1, np.nan, 0, 0, 0], [1, 1e30, 0, 0, 0]]), 2)
    roipool.check_rois(np.zeros((0, 5)), 0)


def test_what_is_no_row():
    with pytest.raises(ValueError, match=r"rois has shape \(2, 4\); expected an array \(K, 5\)"):
        roipool.check_rois(np.zeros((2, 4)), 1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int64"])
def test_tensors(dtype):
    torch = pytest.importorskip("torch")
    rois = torch.tensor([[0, 1, 1, 3, 3], [3, 0, 0, 1, 1]], dtype=getattr(torch, dtype))
    roipool.check_rois(rois, 4)
    with pytest.raises(IndexError, match=r"rois\[1\] has batch index 3"):
        roipool.check_rois(rois.requires_grad_(rois.is_floating_point()), 3)
