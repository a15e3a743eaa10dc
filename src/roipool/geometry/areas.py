"""Whole pixels averaged: bins of roi_pool, and the position-sensitive ones of R-FCN."""

from typing import Any, NamedTuple

from roipool.geometry.bins import between, max_bins, round_half_away
from roipool.geometry.regions import (
    Array,
    Axis,
    Maps,
    along,
    clip,
    float_type,
    product,
    quotient,
    scaled,
    sum_type,
)
from roipool.geometry.taps import Listed, Taps, taps_of


def average_taps(
    xp: Any,
    rois: Array,
    maps: Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    *,
    traced: bool = False,
) -> Taps:
    """The bins of `max_bins`, each pixel of the same weight."""
    image, *axes = max_bins(xp, rois, maps, pooled_size, data_dtype)
    y, x = (
        _ones(xp, bins, max(sides) if traced else None, data_dtype)
        for bins, sides in zip(axes, (maps.heights, maps.widths), strict=True)
    )
    return taps_of(xp, image, (y, x), data_dtype)[0]


def position_sensitive_taps(
    xp: Any,
    rois: Array,
    maps: Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    *,
    convention: str,
    traced: bool = False,
) -> Taps:
    """Each bin by itself, in an image of its own: the planes of its place among bins.

    "rfcn" rounds corners in the image, both ends inclusive, and divides what is between them on the
    map; "torchvision" rounds on the map, and never reads its last row and column.
    """
    image, shared = shared_out(xp, rois, maps, pooled_size, data_dtype, convention=convention)
    y, x = (
        _ones(xp, each.bins, each.axis.longest if traced else None, data_dtype) for each in shared
    )
    return taps_of(xp, image, (y, x), data_dtype, each=True)[0]


class Shared(NamedTuple):
    """Regions along one axis, shared out among bins: (K,) each, but for `bins`.

    Attributes:
        axis: Where their ends lie.
        begin: Where a region begins on the map, pixel k reaching from k to k + 1.
        end: Where it ends.
        size: What is between, as it is divided.
        bins: (K, P, 2) int32 the pixels that each bin touches, begin and end.
    """

    axis: Axis
    begin: Array
    end: Array
    size: Array
    bins: Array


def shared_out(
    xp: Any,
    rois: Array,
    maps: Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    *,
    convention: str,
) -> tuple[Array, tuple[Shared, Shared]]:
    """The image of each row, and its bins along y and x, by either convention."""
    dtype = float_type(xp, data_dtype, rois.dtype)
    rfcn = convention == "rfcn"
    if rfcn:
        rois = pixels_of(xp, rois, dtype)
    image, (y, x) = scaled(xp, rois, maps, dtype, scale_type=dtype)
    of_axis = _rfcn_bins if rfcn else _torchvision_bins
    return image, (of_axis(xp, y, pooled_size[0]), of_axis(xp, x, pooled_size[1]))


def pixels_of(xp: Any, rois: Array, dtype: Any) -> Array:
    """Rows whose corners are rounded to pixels of the image, and reach around these."""
    corners = round_half_away(xp, xp.asarray(rois[:, 1:], dtype=dtype))
    last = xp.asarray([0, 0, 1, 1], dtype=dtype)
    kind = xp.float64 if rois.dtype == xp.float64 else dtype  # rounded, an index may seem whole
    columns = rois[:, :1], corners + last[None, :]
    return xp.concatenate([xp.asarray(each, dtype=kind) for each in columns], axis=1)


def _rfcn_bins(xp: Any, axis: Axis, count: int) -> Shared:
    size = axis.end - axis.begin
    size = xp.where(size < 0.1, xp.full_like(size, 0.1), size)
    step = quotient(xp, size, count)
    part = xp.arange(count + 1, dtype=size.dtype)
    edges = product(xp, part[None, :], step[:, None]) + axis.begin[:, None]
    bins = between(xp, axis, xp.zeros_like(size), edges, along(axis.length, 2))
    return Shared(axis, axis.begin, axis.end, size, bins)


def _torchvision_bins(xp: Any, axis: Axis, count: int) -> Shared:
    begin, end = round_half_away(xp, axis.begin), round_half_away(xp, axis.end)
    size = end - begin
    size = xp.where(size < 1, xp.ones_like(size), size)
    step = quotient(xp, size, count)
    part = xp.arange(count + 1, dtype=size.dtype)
    edges = part[None, :] * step[:, None]
    last = axis.length - 1
    last = clip(xp, last, axis.longest) if getattr(last, "ndim", 0) else max(last, 0)
    bins = between(xp, axis, begin, edges, along(last, 2))
    return Shared(axis, begin, end, size, bins)


def _ones(xp: Any, bins: Array, taps: int | None, data_dtype: Any) -> Listed:
    """The pixels of each bin [begin, end), weighing 1 / their number, rounded only as sums are."""
    dtype = sum_type(xp, data_dtype)
    begin, end = bins[..., 0], bins[..., 1]
    size = xp.maximum(end - begin, xp.zeros_like(begin))
    if taps is None:
        taps = int(xp.max(size)) if size.shape[0] else 0
    further = xp.arange(taps, dtype=xp.int32)
    inside = further < size[..., None]
    weight = 1 / xp.asarray(xp.where(size > 0, size, xp.ones_like(size)), dtype=dtype)[..., None]
    weight = xp.where(inside, weight, xp.zeros_like(weight))
    pixel = xp.where(inside, begin[..., None] + further, xp.zeros_like(further))
    return Listed(pixel, [weight])
