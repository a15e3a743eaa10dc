"""prroi_pool: the mean over each bin of the surface that is bilinear between pixels, and beside
the map falls to 0 within one.
"""

import math

from roipool.reference.weighing import separable, weighted_sums, weighted_sums_backward


def axis_integrals(c1, c2, length, count, s, F):
    """The taps of one region along one axis."""
    start = F(c1) * s
    w = max(F(c2) * s - start, F(0)) / F(count)
    bins = []
    for p in range(count):
        a = start + F(p) * w
        b = a + w
        pixels = range(max(math.floor(a), 0), min(math.ceil(b) + 1, length)) if w > 0 else ()
        bins.append([(i, *hat(a - F(i), b - F(i), w, p, count, float(s))) for i in pixels])
    return bins


def hat(u, v, w, p, count, s):
    """The mean of a pixel's hat, 1 − |t|, over the bin from u to v, and its slopes by c1 and c2.

    On either side of the pixel the hat is a line: its mean there is its value in the middle, and
    it moves as a sample does that lies in the middle. So nothing cancels, however small the bin.
    """
    weight = by_c1 = by_c2 = 0.0
    for rise, low, high in ((1, -1, 0), (-1, 0, 1)):
        begin, end = max(u, low), min(v, high)
        if begin < end:
            share, middle = float((end - begin) / w), (begin + end) / 2
            t = float(p + (middle - u) / w) / count
            weight += share * float(1 + rise * middle)
            by_c1 += share * rise * s * (1 - t)
            by_c2 += share * rise * s * t
    return weight, by_c1, by_c2


def prroi_pool(data, rois, pooled_size, spatial_scale):
    """Mean of the surface over each bin; 0 where the bin has no area."""
    bins = separable(data, rois, pooled_size, spatial_scale, axis_integrals)
    return weighted_sums(data, rois, pooled_size, bins)


def prroi_pool_backward(grad, data, rois, spatial_scale):
    """The gradients of `prroi_pool` for data and for rois."""
    bins = separable(data, rois, grad.shape[2:], spatial_scale, axis_integrals)
    return weighted_sums_backward(grad, data, rois, bins)
