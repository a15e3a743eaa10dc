"""Regions to what kernels reduce over: where every rounding of the library is defined.

A region becomes integer rectangles (`Bins`) or lists of weighted pixels along each axis (`Taps`).
Written once against the array-API namespace `xp`, so that NumPy, PyTorch, JAX and their compilers
give the same bits. Four rules keep it so; each was seen to move edges or samples when broken.

- No expression a·b + c feeds a floor, ceil or comparison: a fused multiply-add rounds once where
  the definition rounds twice. `regions.product` stands between where a sum must follow.
- No division by a constant, whatever its shape: XLA multiplies by its reciprocal instead.
- No sum along an axis, whose order a library may choose.
- Everything is computed in F (float64 when features and regions both are, else float32).
"""

from roipool.geometry.bins import Bins, Rounded, max_bins, rounded
from roipool.geometry.regions import Maps, beside_the_map, float_type, image_index, maps_of
from roipool.geometry.taps import (
    ENDS,
    Grid,
    Slopes,
    Taps,
    align_grids,
    align_taps,
    sample_position,
)

__all__ = [
    "ENDS",
    "Bins",
    "Grid",
    "Maps",
    "Rounded",
    "Slopes",
    "Taps",
    "align_grids",
    "align_taps",
    "beside_the_map",
    "float_type",
    "image_index",
    "maps_of",
    "max_bins",
    "rounded",
    "sample_position",
]
