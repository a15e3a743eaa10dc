"""Regions to what kernels reduce over: where every rounding of the library is defined.

A region becomes integer rectangles (`Bins`), lists of weighted pixels along each axis (`Taps`), or
lists of weighted pixels of each bin (`Points`).
Written once against the array-API namespace `xp`, so that NumPy, PyTorch, JAX and their compilers
give the same bits. Four rules keep it so; each was seen to move edges or samples when broken.

- No expression a·b + c feeds a floor, ceil or comparison: a fused multiply-add rounds once where
  the definition rounds twice. `regions.product` stands between where a sum must follow.
- No division by a constant, whatever its shape: XLA multiplies by its reciprocal instead.
- No sum along an axis, whose order a library may choose.
- Everything is computed in F (float64 when features and regions both are, else float32).
"""

from roipool.geometry.align import Grid, align_grids, align_taps, sample_position
from roipool.geometry.areas import (
    Shared,
    average_taps,
    pixels_of,
    position_sensitive_taps,
    shared_out,
)
from roipool.geometry.bins import Bins, Rounded, max_bins, rounded
from roipool.geometry.crop import Spots, crop_positions, crop_taps
from roipool.geometry.integral import Span, integral_bins, integral_taps
from roipool.geometry.levels import levels_of
from roipool.geometry.regions import Maps, beside_the_map, float_type, image_index, maps_of
from roipool.geometry.rotated import Side, rotated_points, rotated_sides, turned
from roipool.geometry.samples import ListedSamples, align_samples, listed_samples
from roipool.geometry.taps import Points, PointSlopes, Slopes, Taps, empty_bins, points_of

__all__ = [
    "Bins",
    "Grid",
    "ListedSamples",
    "Maps",
    "PointSlopes",
    "Points",
    "Rounded",
    "Shared",
    "Side",
    "Slopes",
    "Span",
    "Spots",
    "Taps",
    "align_grids",
    "align_samples",
    "align_taps",
    "average_taps",
    "beside_the_map",
    "crop_positions",
    "crop_taps",
    "empty_bins",
    "float_type",
    "image_index",
    "integral_bins",
    "integral_taps",
    "levels_of",
    "listed_samples",
    "maps_of",
    "max_bins",
    "pixels_of",
    "points_of",
    "position_sensitive_taps",
    "rotated_points",
    "rotated_sides",
    "rounded",
    "sample_position",
    "shared_out",
    "turned",
]
