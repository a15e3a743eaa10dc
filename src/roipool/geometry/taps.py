"""Regions as weighted pixels: lists along each axis (`Taps`), or of a bin's pixels (`Points`)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from roipool.geometry.regions import Array, along, sum_type


class Taps(NamedTuple):
    """The bins of K regions: along x as along y. A tap of weight 0 reads nothing.

    Attributes:
        image: (K,) int32 index of the feature map; −1 for a row that is no region.
        y_weight: (Y,) weight of each tap of all bins, in the type of sums.
        y_taps: (K, P_h, 2) int32 where each bin's taps begin and end among them.
        y_pixel: (Y,) int32 the row that each tap reads; of those with a weight, ascending in a bin.
    """

    image: Array
    y_weight: Array
    x_weight: Array
    y_taps: Array
    y_pixel: Array
    x_taps: Array
    x_pixel: Array


class Slopes(NamedTuple):
    """How weights move with the first and the last end of their region: (Y, 2) and (X, 2)."""

    y: Array
    x: Array


class Points(NamedTuple):
    """The bins of K regions whose pixels are no rows and columns; a weight of 0 reads nothing.

    Attributes:
        image: (K,) int32 index of the feature map; −1 for a row that is no region.
        weight: (S,) weight of each point of all bins, in the type of sums.
        points: (K, P_h, P_w, 2) int32 where each bin's points begin and end among them.
        y_pixel: (S,) int32 the row that each point reads.
        x_pixel: (S,) int32 its column.
    """

    image: Array
    weight: Array
    points: Array
    y_pixel: Array
    x_pixel: Array


class PointSlopes(NamedTuple):
    """How weights move with all that a row says of its region: (S, columns)."""

    weight: Array


class Listed(NamedTuple):
    """The taps of bins along one axis: (K, P, T) each, as many of every bin.

    Attributes:
        pixel: int32.
        terms: Weight, and its slopes for the first and the last end of the region.
        empty: (K, P) whether a bin has none, if that matters.
    """

    pixel: Array
    terms: Sequence[Array]
    empty: Array | None = None


def taps_of(
    xp: Any, image: Array, axes: tuple[Listed, Listed], data_dtype: Any, *, each: bool = False
) -> tuple[Taps, Slopes]:
    """Bins along y and x in lists. Where `each`, every bin is a region of one bin, in an image of
    its own: planes of a position-sensitive map, counted through.
    """
    sums = sum_type(xp, data_dtype)
    if each:
        image, axes = _each_bin(xp, image, axes)
    ranges, weights, slopes = [], [], []
    for listed in axes:
        weight, *moving = (xp.reshape(xp.asarray(t, dtype=sums), (-1,)) for t in listed.terms)
        moving = moving or [xp.zeros_like(weight)] * 2
        ranges.append(ranges_of(xp, listed.pixel, listed.empty))
        weights.append(weight)
        slopes.append(xp.stack(moving, axis=-1))
    y, x = (xp.reshape(xp.asarray(listed.pixel, dtype=xp.int32), (-1,)) for listed in axes)
    (y_weight, x_weight), (y_taps, x_taps) = weights, ranges
    return Taps(image, y_weight, x_weight, y_taps, y, x_taps, x), Slopes(*slopes)


def ranges_of(xp: Any, pixel: Array, empty: Array | None = None) -> Array:
    """Where bins begin and end in a list of as many of each."""
    *bins, taps = pixel.shape
    count = 1
    for side in bins:
        count = count * side
    begin = xp.reshape(xp.arange(count, dtype=xp.int32) * taps, tuple(bins))
    end = begin + taps if empty is None else xp.where(empty, begin, begin + taps)
    return xp.stack([begin, end], axis=-1)


def points_of(
    xp: Any, image: Array, pixel: Array, weight: Array, shapes: Sequence[Sequence[int]], dtype: Any
) -> Points:
    """Points that are given as (K, P_h, P_w, S) positions y * W + x in planes, and weights."""
    planes = [(height, width) for images, _, height, width in shapes for _ in range(images)]
    pixel = xp.asarray(pixel, dtype=xp.int64 if _is_wide(planes) else xp.int32)
    if len(set(planes)) > 1:
        sizes = xp.asarray(planes, dtype=pixel.dtype)[xp.maximum(image, xp.zeros_like(image))]
        height, width = along(sizes[:, 0], 3), along(sizes[:, 1], 3)
    else:
        height, width = planes[0] if planes else (0, 0)
    last = xp.zeros_like(pixel) + height * width
    pixel = xp.minimum(xp.maximum(pixel, xp.zeros_like(pixel) - 1), last)  # what lies outside stays
    wide = xp.maximum(xp.zeros_like(pixel) + width, xp.ones_like(pixel))
    sums = sum_type(xp, dtype)
    return Points(
        xp.asarray(image, dtype=xp.int32),
        xp.reshape(xp.asarray(weight, dtype=sums), (-1,)),
        ranges_of(xp, pixel),
        xp.reshape(xp.asarray(pixel // wide, dtype=xp.int32), (-1,)),
        xp.reshape(xp.asarray(pixel % wide, dtype=xp.int32), (-1,)),
    )


def _is_wide(planes: Sequence[tuple[int, int]]) -> bool:
    return any(height * width >= 2**31 - 1 for height, width in planes)


def empty_bins(xp: Any, image: Array, y_taps: Array, x_taps: Array) -> Array:
    """(K, P_h, P_w) which bins of regions have no taps at all."""
    y, x = (taps[..., 0] >= taps[..., 1] for taps in (y_taps, x_taps))
    empty: Array = (y[:, :, None] | x[:, None, :]) & (image >= 0)[:, None, None]
    return empty


def _each_bin(
    xp: Any, image: Array, axes: tuple[Listed, Listed]
) -> tuple[Array, tuple[Listed, Listed]]:
    y, x = axes
    regions, height, _ = y.pixel.shape
    width = x.pixel.shape[1]
    bins = xp.reshape(xp.arange(height * width, dtype=xp.int32), (1, -1))
    own = xp.where(along(image, 1) >= 0, along(image, 1) * (height * width) + bins, -1 + 0 * bins)

    def spread(listed: Listed, along_y: bool) -> Listed:
        def of_bins(values: Array) -> Array:
            taps = values.shape[2]
            wide = values[:, :, None] if along_y else values[:, None]
            wide = xp.broadcast_to(wide, (regions, height, width, taps))
            return xp.reshape(wide, (regions * height * width, 1, taps))

        return Listed(of_bins(listed.pixel), [of_bins(term) for term in listed.terms])

    image = xp.asarray(xp.reshape(own, (-1,)), dtype=xp.int32)
    return image, (spread(y, True), spread(x, False))
