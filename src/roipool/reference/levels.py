"""Which of several feature maps a region is pooled from."""

import math

import numpy as np

from roipool.reference.coordinates import float_type


def assign_levels(rois, levels, canonical_size, canonical_level):
    """The level of each row [image, x1, y1, x2, y2], by its area in the image.

    A region of canonical_size² is of the canonical level, one of four times that of the next. The
    last bits of an area do not count: 2⁻²⁰ less will do. Logarithms differ from one library to the
    next, comparisons do not.
    """
    F = float_type(rois.dtype, rois.dtype)
    lowest, highest = levels
    found = []
    for _, x1, y1, x2, y2 in rois:
        with np.errstate(over="ignore", invalid="ignore"):
            area = (F(x2) - F(x1)) * (F(y2) - F(y1))
        level = lowest
        while level < highest and area >= least_area(level + 1, canonical_size, canonical_level, F):
            level += 1
        found.append(level)
    return found


def least_area(level, canonical_size, canonical_level, F):
    """Of a region of this level."""
    size = F(canonical_size)
    return size * size * F(math.ldexp(1, 2 * (level - canonical_level))) * F(1 - 2**-20)
