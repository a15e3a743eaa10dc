"""Bins of whole pixels, [begin, end), of one region along one axis."""

import math

import numpy as np

from roipool.reference.coordinates import round_half_away, to_float


def axis_bins(c1, c2, length, count, spatial_scale, F):
    """Those of roi_pool: its ends are both inclusive."""
    s = F(np.float32(spatial_scale))
    a = round_half_away(F(c1) * s)
    b = round_half_away(F(c2) * s)
    return whole_bins(a, max(b - a + 1, 1), length, count, F)


def torchvision_bins(c1, c2, length, count, spatial_scale, F):
    """Those of torchvision's ps_roi_pool, which never reads the last row and column."""
    s = F(spatial_scale)
    a = round_half_away(F(c1) * s)
    b = round_half_away(F(c2) * s)
    return whole_bins(a, max(b - a, 1), max(length - 1, 0), count, F)


def whole_bins(a, n, end, count, F):
    """The n pixels from a on in bins, which may overlap, clipped to the map's first `end`."""
    step = to_float(n, F) / F(count)
    return [
        clipped(math.floor(F(p) * step) + a, math.ceil(F(p + 1) * step) + a, end)
        for p in range(count)
    ]


def rfcn_bins(c1, c2, length, count, spatial_scale, F):
    """Those of R-FCN: whole pixels of the image, scaled, and only then cut into bins."""
    s = F(spatial_scale)
    a = F(round_half_away(F(c1))) * s
    e = (F(round_half_away(F(c2))) + F(1)) * s
    step = max(e - a, F(0.1)) / F(count)
    return [
        clipped(math.floor(F(p) * step + a), math.ceil(F(p + 1) * step + a), length)
        for p in range(count)
    ]


def clipped(begin, end, length):
    """What of a bin lies on the map."""
    return min(max(begin, 0), length), min(max(end, 0), length)
