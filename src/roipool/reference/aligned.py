"""roi_align, the mean of each bin's samples, and its position-sensitive form."""

from roipool.reference.samples import sample_taps
from roipool.reference.weighing import separable, weighted_sums, weighted_sums_backward


def align_bins(data, rois, pooled_size, spatial_scale, sampling_ratio, aligned):
    """The taps of every bin: samples that meet the same pixel are one."""

    def axis_taps(c1, c2, length, count, s, F):
        bins, samples = sample_taps(c1, c2, length, count, s, sampling_ratio, aligned, F)
        return [
            [
                (pixel, weights[pixel] / samples, *(slopes[pixel] / samples).tolist())
                for pixel in weights
            ]
            for weights, slopes in bins
        ]

    return separable(data, rois, pooled_size, spatial_scale, axis_taps)


def roi_align(data, rois, pooled_size, spatial_scale, sampling_ratio, aligned):
    """Mean of each bin's samples, of rows [image, x1, y1, x2, y2]: (K, C, h, w)."""
    bins = align_bins(data, rois, pooled_size, spatial_scale, sampling_ratio, aligned)
    return weighted_sums(data, rois, pooled_size, bins)


def roi_align_backward(grad, data, rois, spatial_scale, sampling_ratio, aligned):
    """The gradients of `roi_align` for data, summed region by region, and for rois."""
    bins = align_bins(data, rois, grad.shape[2:], spatial_scale, sampling_ratio, aligned)
    return weighted_sums_backward(grad, data, rois, bins)


def ps_roi_align(data, rois, pooled_size, spatial_scale, sampling_ratio):
    """`roi_align`, aligned, where each bin reads channels of its own: (K, C / h / w, h, w)."""
    bins = align_bins(data, rois, pooled_size, spatial_scale, sampling_ratio, True)
    return weighted_sums(data, rois, pooled_size, bins, position_sensitive=True)


def ps_roi_align_backward(grad, data, rois, spatial_scale, sampling_ratio):
    """The gradients of `ps_roi_align` for data and for rois."""
    bins = align_bins(data, rois, grad.shape[2:], spatial_scale, sampling_ratio, True)
    return weighted_sums_backward(grad, data, rois, bins, position_sensitive=True)
