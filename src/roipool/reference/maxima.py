"""roi_pool, the maximum over bins of pixels, and roi_align's maxima over samples.

NaN never wins; where everything is NaN so is the value, and nothing has won.
"""

import numpy as np

from roipool.reference.bins import axis_bins
from roipool.reference.coordinates import float_type, is_region, per_axis
from roipool.reference.samples import axis_samples
from roipool.reference.weighing import crossed, spread, sum_type


def bin_max(plane, rows, cols):
    """The first largest value of a bin that is no NaN, and its position."""
    width = plane.shape[1]
    best, where = plane.dtype.type(0), -1
    for y in range(*rows):
        for x in range(*cols):
            value = plane[y, x]
            if value != value:
                if where < 0:
                    best = value
            elif where < 0 or value > best:
                best, where = value, y * width + x
    return best, where


def roi_pool(data, rois, pooled_size, spatial_scale):
    """Max pooling of rows [image, x1, y1, x2, y2]: values and argmax, (K, C, h, w)."""
    images, channels, height, width = data.shape
    F = float_type(data.dtype, rois.dtype)
    s_y, s_x = per_axis(spatial_scale)
    shape = (len(rois), channels, *pooled_size)
    out = np.zeros(shape, data.dtype)
    argmax = np.full(shape, -1, np.int32 if height * width < 2**31 else np.int64)
    for k, roi in enumerate(rois):
        if not is_region(roi, images, spatial_scale, F):
            continue
        image, (x1, y1, x2, y2) = int(roi[0]), roi[1:]
        rows = axis_bins(y1, y2, height, pooled_size[0], s_y, F)
        cols = axis_bins(x1, x2, width, pooled_size[1], s_x, F)
        for c in range(channels):
            for i, row in enumerate(rows):
                for j, col in enumerate(cols):
                    out[k, c, i, j], argmax[k, c, i, j] = bin_max(data[image, c], row, col)
    return out, argmax


def roi_pool_backward(grad, argmax, rois, data_shape):
    """Add each output's gradient at its argmax, in the order of the outputs.

    Half-precision gradients are summed in float32 and rounded once.
    """
    images, channels, height, width = data_shape
    half = grad.dtype.itemsize == 2
    total = np.zeros((images, channels, height * width), np.float32 if half else grad.dtype)
    for k, c, i, j in np.ndindex(*grad.shape):
        if argmax[k, c, i, j] >= 0:
            total[int(rois[k][0]), c, argmax[k, c, i, j]] += grad[k, c, i, j]
    return total.reshape(data_shape).astype(grad.dtype)


def every_sample(c1, c2, length, count, *how):
    """The bins of one region along one axis: of each its samples' taps, in order.

    Of samples in one place the first stands for all; so it does of those that count as nothing,
    which have no taps.
    """
    bins, samples = axis_samples(c1, c2, length, count, *how, first=True)
    every = []
    for found in bins:
        taps = [of_sample for _, _, of_sample in found]
        first = found[0][0] if found else samples
        after = found[-1][0] + found[-1][1] if found else samples
        every.append([[]] * (first > 0) + taps + [[]] * (after < samples))
    return every


def candidates(y, x, singly):
    """The taps of each value that a bin is the maximum of; of a value that is nothing none.

    `singly` the four pixels of a sample, each times its weight, are values of their own.
    """
    for of_y in y:
        for of_x in x:
            taps = list(crossed(of_y, of_x))
            if singly and taps:
                yield from ([tap] if tap[2] else [] for tap in taps)
            else:
                yield taps


def largest(planes, values):
    """The largest of the values of a bin in each channel, and the taps of the first such."""
    best = np.full(len(planes), np.nan, planes.dtype)
    winners = [[] for _ in best]
    none = True
    for taps in values:
        none = False
        value = np.zeros_like(best)
        for row, col, weight, _ in taps:
            if weight:
                value += weight * planes[:, row, col]
        won = (value > best) | (np.isnan(best) & ~np.isnan(value))
        best[won] = value[won]
        for c in np.flatnonzero(won):
            winners[c] = taps
    return np.zeros_like(best) if none else best, winners


def roi_align_max(data, rois, pooled_size, spatial_scale, sampling_ratio, aligned, singly):
    """Maximum of each bin's samples: values (K, C, h, w), and of each the taps that won, if any.

    A sample is interpolated, or `singly` its pixels times their weights are compared.
    """
    F = float_type(data.dtype, rois.dtype)
    s_y, s_x = (F(s) for s in per_axis(spatial_scale))
    maps = data.astype(sum_type(data.dtype))
    out = np.zeros((len(rois), data.shape[1], *pooled_size), maps.dtype)
    winners = np.empty(out.shape, object)
    for k, roi in enumerate(rois):
        if not is_region(roi, len(data), spatial_scale, F, (s_y, s_x)):
            continue
        x1, y1, x2, y2 = roi[1:]
        how = sampling_ratio, aligned, F
        y = every_sample(y1, y2, data.shape[2], pooled_size[0], s_y, *how)
        x = every_sample(x1, x2, data.shape[3], pooled_size[1], s_x, *how)
        for i, j in np.ndindex(*pooled_size):
            out[k, :, i, j], found = largest(maps[int(roi[0])], candidates(y[i], x[j], singly))
            for c, taps in enumerate(found):
                winners[k, c, i, j] = taps
    return out.astype(data.dtype), winners


def roi_align_max_backward(grad, data, rois, spatial_scale, sampling_ratio, aligned, singly):
    """The gradients of `roi_align_max` for data and for rois: through the winners' taps."""
    how = spatial_scale, sampling_ratio, aligned, singly
    _, winners = roi_align_max(data, rois, grad.shape[2:], *how)
    maps = data.astype(sum_type(data.dtype))
    of_data, of_rois = np.zeros_like(maps), np.zeros(rois.shape, maps.dtype)
    for k, c, i, j in np.ndindex(*grad.shape):
        if winners[k, c, i, j]:
            plane, given = (int(rois[k][0]), c), grad[k, c, i, j].astype(maps.dtype)
            spread(winners[k, c, i, j], given, maps[plane], of_data[plane], of_rois[k])
    return of_data.astype(grad.dtype), of_rois.astype(rois.dtype)
