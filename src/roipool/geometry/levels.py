"""The level of a feature pyramid that suits a region's size."""

from typing import Any

from roipool.geometry.regions import Array

NEARLY = 1 - 2.0**-20  # of a threshold counts as reaching it, as torchvision's 1e-6 has it


def levels_of(
    xp: Any, area: Array, lowest: int, highest: int, canonical_size: float, canonical_level: int
) -> Array:
    """(K,) int32, from lowest to highest: one more for each fourfold of the canonical area.

    Found by comparisons: logarithms differ by library and device.
    """
    level = xp.full_like(area, lowest)
    for step in range(lowest + 1, highest + 1):
        least = canonical_size**2 * 4.0 ** (step - canonical_level) * NEARLY
        level = level + xp.asarray(area >= least, dtype=area.dtype)
    return xp.asarray(level, dtype=xp.int32)
