"""What tests of roi_align with tensors share. Imported after `pytest.importorskip("torch")`."""

import numpy as np
import pytest
import torch

import roipool
from tensors import some_maps

HOW = [
    {"sampling_ratio": 2},
    {"sampling_ratio": 2, "aligned": False},
    {},
    {"aligned": False},
]
each_way = pytest.mark.parametrize("how", HOW, ids=str)
SCALE = 0.83


def some_rois(dtype=torch.float64):
    """Inside, across a border, of below one pixel, padding: nothing near a pixel or a jump."""
    rois = [
        [0, 0.31, 0.72, 4.13, 5.21],
        [1, -1.13, 2.1, 3.3, 8.7],
        [0, 2.17, 2.23, 2.6, 2.71],
        [-1, 0, 0, 3, 3],
    ]
    return torch.tensor(rois, dtype=dtype)


def double_maps(*shape):
    return some_maps(shape, np.float64)


def with_corners(rois, corners):
    return torch.cat([rois[:, :1], corners], dim=1)


def pool(data, rois):
    return roipool.roi_align(data, rois, (2, 3), SCALE, sampling_ratio=2)
