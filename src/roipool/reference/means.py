"""Means over bins of whole pixels. An empty bin gives 0; regions have no gradient."""

import numpy as np

from roipool.reference.bins import axis_bins, rfcn_bins, torchvision_bins
from roipool.reference.weighing import separable, weighted_sums, weighted_sums_backward

CONVENTIONS = {"rfcn": rfcn_bins, "torchvision": torchvision_bins}


def mean_bins(data, rois, pooled_size, spatial_scale, runs):
    """The taps of bins that are `runs` of pixels along each axis."""

    def axis_taps(*given):
        return [
            [(pixel, 1 / (end - begin), 0, 0) for pixel in range(begin, end)]
            for begin, end in runs(*given)
        ]

    return separable(data, rois, pooled_size, spatial_scale, axis_taps)


def roi_pool_average(data, rois, pooled_size, spatial_scale):
    """Mean over the bins of `roi_pool`."""
    bins = mean_bins(data, rois, pooled_size, np.float32(spatial_scale), axis_bins)
    return weighted_sums(data, rois, pooled_size, bins)


def roi_pool_average_backward(grad, data, rois, spatial_scale):
    """The gradients of `roi_pool_average`: for data, and zeros for rois."""
    bins = mean_bins(data, rois, grad.shape[2:], np.float32(spatial_scale), axis_bins)
    return weighted_sums_backward(grad, data, rois, bins)


def ps_roi_pool(data, rois, pooled_size, spatial_scale, convention):
    """Mean over bins by "rfcn" or "torchvision", each of channels of its own."""
    bins = mean_bins(data, rois, pooled_size, spatial_scale, CONVENTIONS[convention])
    return weighted_sums(data, rois, pooled_size, bins, position_sensitive=True)


def ps_roi_pool_backward(grad, data, rois, spatial_scale, convention):
    """The gradients of `ps_roi_pool`: for data, and zeros for rois."""
    bins = mean_bins(data, rois, grad.shape[2:], spatial_scale, CONVENTIONS[convention])
    return weighted_sums_backward(grad, data, rois, bins, position_sensitive=True)
