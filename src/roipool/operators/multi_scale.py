"""A region's own level of a feature pyramid, by its size; and any operator over all levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from roipool import checks
from roipool.descriptions import CORNERS, OPERATORS, Rows
from roipool.doors import door_with
from roipool.operators.crop_and_resize import CROP_AND_RESIZE
from roipool.operators.roi_align_rotated import TURNED


def assign_levels(
    rois: Any,
    lowest: int,
    highest: int,
    *,
    canonical_size: float = 224.0,
    canonical_level: int = 4,
) -> Any:
    """The level of a feature pyramid that each region is pooled from, by its area.

        level = canonical_level + the largest k with
            area >= canonical_size ** 2 * 4 ** k * (1 - 2 ** -20)
        clipped to [lowest, highest]; of an area that is not positive, the lowest

    Args:
        rois: Regions in image pixels: (K, 5) rows [batch_index, x1, y1, x2, y2], or rows (K, 6) as
            `roipool.roi_align_rotated` takes them; or a sequence of arrays, one per image.
        lowest: The finest level, such as 2 of maps at a scale of 1 / 4.
        highest: The coarsest.
        canonical_size: The side of a square that belongs to the canonical level.
        canonical_level: That level.

    Returns:
        (K,) int32, an array of the library of `rois`.

    Raises:
        ValueError: A shape that is not as above, or levels that do not ascend.

    Source: T.-Y. Lin et al., "Feature Pyramid Networks", CVPR 2017, equation 1; found by
    comparisons, so that every library and device finds the same. Two of ten million random boxes
    are elsewhere by torchvision's logarithm.

    Example:
        >>> import numpy as np, roipool
        >>> sides = np.array([20, 112, 223, 224, 900])
        >>> rois = np.stack([0 * sides, 0 * sides, 0 * sides, sides, sides], 1)
        >>> roipool.assign_levels(rois, 2, 5)
        array([2, 3, 3, 4, 5], dtype=int32)
    """
    if lowest > highest:
        raise ValueError(f"lowest is {lowest} and highest {highest}; expected the finest first")
    several = isinstance(rois, (list, tuple))
    door = door_with("xp", rois[0] if several and len(rois) else rois)
    kind = TURNED if _columns(rois) == TURNED.width - _is_boxes(rois) else CORNERS
    rows = door.as_rows(rois, len(rois) if _is_boxes(rois) else 1, kind)
    return _levels(door.xp, rows, kind, lowest, highest, canonical_size, canonical_level)


def _is_boxes(rois: Any) -> bool:
    """Whether these are boxes of each image, without its index."""
    return isinstance(rois, (list, tuple)) and any(np.ndim(each) == 2 for each in rois)


def _columns(rois: Any) -> int:
    shapes = [np.shape(each) for each in rois] if _is_boxes(rois) else [np.shape(rois)]
    return max((shape[-1] for shape in shapes if shape), default=0)


def _levels(
    xp: Any,
    rows: Any,
    kind: Rows,
    lowest: int,
    highest: int,
    canonical_size: float,
    canonical_level: int,
) -> Any:
    from roipool import geometry  # a door has: importing roipool need not

    F = xp.float64 if rows.dtype == xp.float64 else xp.float32
    if hasattr(rows, "detach"):  # no level moves with a region, and PyTorch warns of such a cast
        rows = rows.detach()
    rows = xp.asarray(rows, dtype=F)
    if kind is TURNED:
        area = rows[:, 3] * rows[:, 4]
    else:
        area = (rows[:, 3] - rows[:, 1]) * (rows[:, 4] - rows[:, 2])
    return geometry.levels_of(xp, area, lowest, highest, canonical_size, canonical_level)


def multi_scale(
    operator: Callable[..., Any],
    maps: Sequence[Any],
    rois: Any,
    pooled_size: int | tuple[int, int],
    scales: Sequence[float],
    *,
    canonical_size: float = 224.0,
    canonical_level: int = 4,
    lowest_level: int | None = None,
    **options: Any,
) -> Any:
    """Any operator over a feature pyramid: each region is pooled from the level of its size.

    One call into one result, in the order of the regions: nothing is gathered or scattered for each
    level. Levels are those of `roipool.assign_levels`.

    Args:
        operator: A function of this library, such as `roipool.roi_align`.
        maps: The levels, the finest first: feature maps (N, C, H_l, W_l) of the same N images, of
            NumPy, PyTorch, JAX, MXNet or another library with DLPack.
        rois: Regions in image pixels, in any form that the operator takes.
        pooled_size: (h, w), or one int for both.
        scales: Size of the map / size of the image, for each level, falling.
        canonical_size: The side of a square that belongs to the canonical level.
        canonical_level: That level.
        lowest_level: The number of the first of `maps`; by default -log2 of its scale, rounded.
        options: Further arguments of the operator.

    Returns:
        What the operator returns: pooled values (K, C, h, w). Differentiable as the operator is,
        with respect to all levels and, but for MXNet's arrays, to `rois`.

    Raises:
        TypeError: An operator that takes no regions in pixels, or one array of maps.
        ValueError: As many scales as levels are not given, or levels of other images.
        IndexError: A batch index is N or more.

    Source: T.-Y. Lin et al., "Feature Pyramid Networks", CVPR 2017, section 4.2.

    Example:
        >>> import numpy as np, roipool
        >>> maps = [np.full((1, 1, 64 >> i, 64 >> i), i, np.float32) for i in range(4)]
        >>> rois = np.array([[0, 0, 0, 200, 200], [0, 0, 0, 30, 20]], np.float32)
        >>> scales = [1 / 4, 1 / 8, 1 / 16, 1 / 32]
        >>> roipool.multi_scale(roipool.roi_pool, maps, rois, 1, scales).ravel()
        array([1., 0.], dtype=float32)
    """
    kind = _rows_of(operator)
    images = _images_of(maps, scales)
    door = door_with("xp", maps)
    rows = door.as_rows(rois, images, kind, maps[0])
    known = door.looked_at(rows)
    xp = door.xp
    if lowest_level is None:
        lowest_level = round(-math.log2(checks.spatial_scale(_one(scales[0]))))
    highest = lowest_level + len(maps) - 1
    level = _levels(xp, rows, kind, lowest_level, highest, canonical_size, canonical_level)
    if known is not None:
        _refuse_indices(known, images, kind)
    index = rows[:, :1]
    further = xp.asarray((level - lowest_level) * images, dtype=index.dtype)[:, None]
    # What is no index stays none: behind the last image of the last level.
    past = index >= images
    further = xp.where(past, xp.full_like(further, len(maps) * images), further)
    index = xp.where(index >= 0, index + further, index)
    rows = xp.concatenate([index, rows[:, 1:]], axis=1)
    return operator(list(maps), rows, pooled_size, list(scales), **options)


def _rows_of(operator: Any) -> Rows:
    name = getattr(operator, "__name__", "")
    if name not in OPERATORS or OPERATORS[name] is CROP_AND_RESIZE:
        raise TypeError(
            f"operator is {name or operator!r}; expected a function of roipool's that pools "
            "regions in image pixels, such as roipool.roi_align"
        )
    return OPERATORS[name].rows


def _images_of(maps: Any, scales: Any) -> int:
    if not checks.is_several(maps):
        raise TypeError("maps is one array; expected a sequence of levels, the finest first")
    if not isinstance(scales, (tuple, list)) or len(scales) != len(maps):
        raise ValueError(
            f"scales is {scales!r}; expected one number for each of the {len(maps)} levels in maps"
        )
    counts = [1 if len(each.shape) == 3 else each.shape[0] for each in maps]
    for i, count in enumerate(counts):
        if count != counts[0]:
            raise ValueError(
                f"maps[{i}] holds {count} images, but maps[0] {counts[0]}; levels are of the same "
                "images: for maps of several images give the operator itself a list"
            )
    return int(counts[0])


def _one(scale: Any) -> Any:
    return math.sqrt(scale[0] * scale[1]) if isinstance(scale, (tuple, list)) else scale


def _refuse_indices(rows: np.ndarray, images: int, kind: Rows) -> None:
    from roipool import geometry
    from roipool import rois as regions

    with np.errstate(invalid="ignore"):
        image = geometry.image_index(np, rows[:, 0], images)
    regions.refuse_batch_indices(rows, image, images, kind=kind)
