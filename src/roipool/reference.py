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


def is_region(roi, images, spatial_scale, F, s=None):
    """Whether a row is a region; any other row gives zeros and argmax −1.

    The scale `s` is rounded through float32 unless given.
    """
    s = F(np.float32(spatial_scale)) if s is None else s
    index, *corners = roi
    if not (index >= 0 and index < images and index == math.floor(index)):
        return False
    limit = np.finfo(F).max / 8  # a product beyond counts as infinite
    with np.errstate(over="ignore", invalid="ignore"):
        return all(abs(F(c) * s) <= limit for c in corners)


def sample_taps(c1, c2, length, count, spatial_scale, sampling_ratio, aligned, F):
    """The bins of one region along one axis: the weight of each pixel, how these move with c1 and
    c2, and the number of samples that they are sums of.
    """
    s, offset = F(spatial_scale), F(0.5 if aligned else 0)
    start = F(c1) * s - offset
    size = (F(c2) * s - offset) - start
    clamped = not aligned and size < 1
    step = F(1 if clamped else size) / F(count)
    samples = sampling_ratio if sampling_ratio > 0 else max(math.ceil(step), 0)

    def position(p, i):
        return (start + F(p) * step) + ((F(i) + F(0.5)) * step) / F(samples)

    bins = []
    for p in range(count):
        weights, slopes = {}, {}
        for i, times in inside(lambda i, p=p: position(p, i), samples, length):
            q = min(max(position(p, i), F(0)), F(length - 1))
            k = math.floor(q)
            t = (p + (i + times / 2) / samples) / count  # their mean, from end to end of the region
            reach = 0 if clamped else s
            moves = 0 <= position(p, i) < length - 1
            for pixel, weight, sign in ((k, 1 - (q - k), -1), (k + 1, q - k, 1)):
                if pixel < length:
                    weights[pixel] = weights.get(pixel, 0) + times * weight
                    slope = np.array([s - reach * t, reach * t]) * (sign * moves * times)
                    slopes[pixel] = slopes.get(pixel, 0) + slope
        bins.append((weights, slopes))
    return bins, samples


def inside(position, samples, length):
    """The samples that count, in either order along the axis, and how many lie at each position:
    far from the map, where floats are far apart, many do.
    """

    def first(reached):
        low, high = 0, samples
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if reached(position(middle)) else (middle + 1, high)
        return low

    if length == 0 or samples == 0:
        return
    if position(0) <= position(samples - 1):
        i, stop = first(lambda x: x >= -1), first(lambda x: x > length)
        past = lambda x, at: x > at  # noqa: E731
    else:
        i, stop = first(lambda x: x <= length), first(lambda x: x < -1)
        past = lambda x, at: x < at  # noqa: E731
    while i < stop:
        here = position(i)
        after = min(first(lambda x, here=here: past(x, here)), stop)
        yield i, after - i
        i = after


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


def align_axes(roi, data_shape, pooled_size, spatial_scale, sampling_ratio, aligned, F):
    """Bins of one region along y and along x, and the divisor of their sums."""
    x1, y1, x2, y2 = roi[1:]
    options = spatial_scale, sampling_ratio, aligned, F
    y, of_y = sample_taps(y1, y2, data_shape[2], pooled_size[0], *options)
    x, of_x = sample_taps(x1, x2, data_shape[3], pooled_size[1], *options)
    return y, x, max(of_y * of_x, 1)


def roi_align(data, rois, pooled_size, spatial_scale, sampling_ratio, aligned):
    """Mean of each bin's samples, of rows [image, x1, y1, x2, y2]: (K, C, h, w)."""
    F = float_type(data.dtype, rois.dtype)
    sums = np.float64 if data.dtype == np.float64 else np.float32
    out = np.zeros((len(rois), data.shape[1], *pooled_size), sums)
    for k, roi in enumerate(rois):
        if not is_region(roi, len(data), spatial_scale, F, F(spatial_scale)):
            continue
        plane = data[int(roi[0])].astype(sums)
        y, x, samples = align_axes(
            roi, data.shape, pooled_size, spatial_scale, sampling_ratio, aligned, F
        )
        for i, j in np.ndindex(*pooled_size):
            for row, of_row in y[i][0].items():
                for col, of_col in x[j][0].items():
                    if of_row and of_col:  # a weight of 0 is no tap
                        out[k, :, i, j] += of_row * of_col / samples * plane[:, row, col]
    return out.astype(data.dtype)


def roi_align_backward(grad, data, rois, spatial_scale, sampling_ratio, aligned):
    """The gradients of `roi_align` for data, summed region by region, and for rois."""
    F = float_type(data.dtype, rois.dtype)
    sums = np.float64 if data.dtype == np.float64 else np.float32
    of_data, of_rois = np.zeros(data.shape, sums), np.zeros(rois.shape, sums)
    for k, roi in enumerate(rois):
        if not is_region(roi, len(data), spatial_scale, F, F(spatial_scale)):
            continue
        n, g = int(roi[0]), grad[k].astype(sums)
        y, x, samples = align_axes(
            roi, data.shape, grad.shape[2:], spatial_scale, sampling_ratio, aligned, F
        )
        for i, j in np.ndindex(*grad.shape[2:]):
            for row, of_row in y[i][0].items():
                for col, of_col in x[j][0].items():
                    if of_row and of_col:
                        of_data[n, :, row, col] += of_row * of_col / samples * g[:, i, j]
                    value = np.sum(g[:, i, j] * data[n, :, row, col].astype(sums)) / samples
                    of_rois[k, [1, 3]] += value * of_row * x[j][1][col]
                    of_rois[k, [2, 4]] += value * of_col * y[i][1][row]
    return of_data.astype(grad.dtype), of_rois.astype(rois.dtype)
