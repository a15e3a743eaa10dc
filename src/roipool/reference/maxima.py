"""roi_pool: the maximum over bins of pixels.

NaN never wins; where everything is NaN so is the value, and nothing has won.
"""

import numpy as np

from roipool.reference.bins import axis_bins
from roipool.reference.coordinates import float_type, is_region, per_axis


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
