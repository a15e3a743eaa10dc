"""The definition, as loops: slow, meant to be read, and the oracle of every test.

Nothing here is shared with the fast path. docs/semantics.md says the same in words.
"""

import math

import numpy as np


def float_type(data_dtype, rois_dtype):
    """F: what coordinates are computed in, whatever the feature dtype is."""
    both = data_dtype == np.float64 and rois_dtype == np.float64
    return np.float64 if both else np.float32


def round_half_away(value):
    """Round as C does; returns an unbounded integer."""
    whole = math.floor(abs(value))
    whole += 2 * abs(float(value)) - 2 * whole >= 1  # exact: a float's fraction never rounds
    return -whole if value < 0 else whole


def to_float(n, F):
    """Round the integer n to the nearest F, ties to even, once."""
    near = F(float(n))
    nearby = [np.nextafter(near, F(-np.inf)), near, np.nextafter(near, F(np.inf))]
    bits = {np.float32: np.int32, np.float64: np.int64}[F]
    return min(nearby, key=lambda f: (abs(int(f) - n), int(f.view(bits)) % 2))


def axis_bins(c1, c2, length, count, spatial_scale, F):
    """The bins [begin, end) of one region along one axis."""
    s = F(np.float32(spatial_scale))
    a = round_half_away(F(c1) * s)
    b = round_half_away(F(c2) * s)
    n = max(b - a + 1, 1)
    step = to_float(n, F) / F(count)
    bins = []
    for p in range(count):
        begin = math.floor(F(p) * step) + a
        end = math.ceil(F(p + 1) * step) + a
        bins.append((min(max(begin, 0), length), min(max(end, 0), length)))
    return bins


def is_region(roi, images, spatial_scale, F):
    """Whether a row is a region; any other row gives zeros and argmax −1."""
    index, *corners = roi
    if not (index >= 0 and index < images and index == math.floor(index)):
        return False
    limit = np.finfo(F).max / 8  # a product beyond counts as infinite
    with np.errstate(over="ignore", invalid="ignore"):
        return all(abs(F(c) * F(np.float32(spatial_scale))) <= limit for c in corners)


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
    shape = (len(rois), channels, *pooled_size)
    out = np.zeros(shape, data.dtype)
    argmax = np.full(shape, -1, np.int32 if height * width < 2**31 else np.int64)
    for k, roi in enumerate(rois):
        if not is_region(roi, images, spatial_scale, F):
            continue
        image, (x1, y1, x2, y2) = int(roi[0]), roi[1:]
        rows = axis_bins(y1, y2, height, pooled_size[0], spatial_scale, F)
        cols = axis_bins(x1, x2, width, pooled_size[1], spatial_scale, F)
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
