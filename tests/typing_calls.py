"""Calls as a type checker sees them; tests/test_typing.py reads the comments."""

from typing import reveal_type

import numpy as np
import torch

import roipool

array, tensor = np.zeros((1, 1, 4, 4), np.float32), torch.zeros(1, 1, 4, 4)
rois = np.zeros((1, 5), np.float32)
many: bool = len(rois) > 1

reveal_type(roipool.roi_pool(array, rois, 2))  # ndarray
reveal_type(roipool.roi_pool(tensor, rois, 2))  # Tensor
reveal_type(roipool.roi_pool([[[[1.0, 2.0]]]], rois, (2, 2), 0.5))  # ndarray
reveal_type(roipool.roi_pool([tensor, tensor], rois, 2, [1.0, 0.5]))  # Tensor
reveal_type(roipool.roi_pool(array, rois, 2, return_argmax=True))  # tuple ndarray ndarray
reveal_type(roipool.roi_pool(tensor, rois, 2, return_argmax=True))  # tuple Tensor Tensor
reveal_type(roipool.roi_pool(array, rois, 2, return_argmax=many))  # ndarray tuple ndarray ndarray
reveal_type(roipool.roi_align(array, rois, 2))  # ndarray
reveal_type(roipool.roi_align(tensor, rois, 2, (0.5, 0.25), sampling_ratio=2))  # Tensor
reveal_type(roipool.roi_align([array, array], rois, 2, aligned=False))  # ndarray
reveal_type(roipool.roi_align(array, rois, 2, return_argmax=True))  # tuple ndarray ndarray

roipool.roi_pool(7, rois, 2)  # error
roipool.roi_pool(array, rois, "2")  # error
roipool.roi_pool(array, rois, 2, "1/16")  # error
roipool.roi_pool(array, rois, 2, out=[0.0])  # error
roipool.roi_pool(array, rois, 2, return_argmax=True, out=array)  # error
roipool.roi_align(array, rois, 2, sampling_ratio=None)  # error
roipool.roi_align(array, rois)  # error
