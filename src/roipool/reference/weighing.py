"""Weighted sums of pixels and their gradients: one loop for every operator that is linear.

A bin is a list of taps (row, col, weight, slopes), where slopes tell how the weight moves with the
columns of the region's row, after its image. A weight or a slope of 0 is none: it reads no pixel.
"""

import math

import numpy as np

from roipool.reference.coordinates import float_type, is_region, per_axis


def sum_type(dtype):
    """What features are summed in: half precision in float32."""
    return np.float64 if dtype == np.float64 else np.float32


def separable(data, rois, pooled_size, spatial_scale, axis_taps):
    """The bins of rows [image, x1, y1, x2, y2], where each axis has weights of its own.

    `axis_taps(c1, c2, length, count, s, F)` lists for each bin (pixel, weight, slopes by c1, c2).
    """
    F = float_type(data.dtype, rois.dtype)
    s_y, s_x = (F(s) for s in per_axis(spatial_scale))

    def bins(roi):
        if not is_region(roi, len(data), spatial_scale, F, (s_y, s_x)):
            return
        x1, y1, x2, y2 = roi[1:]
        y = axis_taps(y1, y2, data.shape[2], pooled_size[0], s_y, F)
        x = axis_taps(x1, x2, data.shape[3], pooled_size[1], s_x, F)
        for i, j in np.ndindex(*pooled_size):
            yield i, j, crossed(y[i], x[j])

    return bins


def crossed(y, x):
    """The taps of a bin, or of a sample, from its taps along either axis."""
    for row, of_row, by_y1, by_y2 in y:
        for col, of_col, by_x1, by_x2 in x:
            slopes = of_row * by_x1, by_y1 * of_col, of_row * by_x2, by_y2 * of_col
            yield row, col, of_row * of_col, slopes


def channels_of(i, j, pooled_size, position_sensitive):
    """The channels that a bin reads: all, or of each group the one that is its own."""
    if not position_sensitive:
        return slice(None)
    return slice(i * pooled_size[1] + j, None, math.prod(pooled_size))


def weighted_sums(data, rois, pooled_size, bins, position_sensitive=False):
    """The values (K, C, h, w) of the bins that `bins(roi)` yields as (i, j, taps)."""
    maps = data.astype(sum_type(data.dtype))
    channels = data.shape[1] // (math.prod(pooled_size) if position_sensitive else 1)
    out = np.zeros((len(rois), channels, *pooled_size), maps.dtype)
    for k, roi in enumerate(rois):
        for i, j, taps in bins(roi):
            read = maps[int(roi[0]), channels_of(i, j, pooled_size, position_sensitive)]
            for row, col, weight, _ in taps:
                if weight:
                    out[k, :, i, j] += weight * read[:, row, col]
    return out.astype(data.dtype)


def weighted_sums_backward(grad, data, rois, bins, position_sensitive=False):
    """The gradients of `weighted_sums` for data, summed region by region, and for rois."""
    maps = data.astype(sum_type(data.dtype))
    of_data, of_rois = np.zeros_like(maps), np.zeros(rois.shape, maps.dtype)
    for k, roi in enumerate(rois):
        for i, j, taps in bins(roi):
            read = int(roi[0]), channels_of(i, j, grad.shape[2:], position_sensitive)
            given = grad[k, :, i, j].astype(maps.dtype)
            spread(taps, given, maps[read], of_data[read], of_rois[k])
    return of_data.astype(grad.dtype), of_rois.astype(rois.dtype)


def spread(taps, given, features, of_features, of_roi):
    """Add one bin's gradient at its pixels, and to its region by how its weights move."""
    for row, col, weight, slopes in taps:
        if weight:
            of_features[..., row, col] += weight * given
        if any(slopes):
            value = np.sum(given * features[..., row, col])
            for column, slope in enumerate(slopes, 1):
                if slope:
                    of_roi[column] += slope * value
