"""Regions as integer rectangles: the bins of ROIPooling."""

from typing import Any, NamedTuple

from roipool.geometry.regions import Array, Axis, Maps, along, clip, float_type, quotient, scaled


class Bins(NamedTuple):
    """The bins of K regions; a row that is no region has only empty ones.

    Attributes:
        image: (K,) int32 index of the feature map; −1 for a row that is no region.
        y_bins: (K, P_h, 2) int32 begin and end of each bin along y, inside [0, H].
        x_bins: (K, P_w, 2) int32 begin and end of each bin along x, inside [0, W].
    """

    image: Array
    y_bins: Array
    x_bins: Array


class Rounded(NamedTuple):
    """Regions along one axis in whole pixels of the map, held as floats: (K,) each.

    Attributes:
        axis: Where their ends lie.
        begin: The pixel that the first end is rounded to.
        end: The same of the last: both belong to a region.
        size: In pixels, at least 1.
    """

    axis: Axis
    begin: Array
    end: Array
    size: Array


def max_bins(
    xp: Any, rois: Array, maps: Maps, pooled_size: tuple[int, int], data_dtype: Any
) -> Bins:
    """Corners rounded half away from zero, both ends inclusive.

    `rois` is (K, 5), in image pixels, of any real dtype.
    """
    image, axes = rounded(xp, rois, maps, data_dtype)
    bins = (_axis_bins(xp, axis, count) for axis, count in zip(axes, pooled_size, strict=True))
    return Bins(image, *bins)


def rounded(
    xp: Any, rois: Array, maps: Maps, data_dtype: Any
) -> tuple[Array, tuple[Rounded, Rounded]]:
    """The image of each row, and its pixels along y and x."""
    dtype = float_type(xp, data_dtype, rois.dtype)
    image, (y, x) = scaled(xp, rois, maps, dtype, scale_type=xp.float32)
    return image, (_rounded(xp, y), _rounded(xp, x))


def _rounded(xp: Any, axis: Axis) -> Rounded:
    begin, end = round_half_away(xp, axis.begin), round_half_away(xp, axis.end)
    return Rounded(axis, begin, end, inclusive_size(xp, begin, end))


def _axis_bins(xp: Any, pixels: Rounded, count: int) -> Array:
    axis, begin, _, size = pixels
    step = quotient(xp, size, count)
    part = xp.arange(count + 1, dtype=size.dtype)
    edges = part[None, :] * step[:, None]
    return between(xp, axis, begin, edges, along(axis.length, 2))


def between(xp: Any, axis: Axis, begin: Array, edges: Array, most: Any) -> Array:
    """(K, P, 2) int32 in [0, most]: the pixels from edge to edge (K, P + 1), whole at either end.

    Edges are counted from each region's pixel (K,).
    """
    offsets = xp.stack([xp.floor(edges[:, :-1]), xp.ceil(edges[:, 1:])], axis=-1)
    begin = begin[:, None, None]
    # Exact wherever the sum lies inside the map, as long as the map's length is exact in the type.
    if axis.longest > 2**24:
        offsets, begin = (xp.asarray(v, dtype=xp.float64) for v in (offsets, begin))
    return xp.asarray(clip(xp, offsets + begin, most), dtype=xp.int32)


def round_half_away(xp: Any, value: Array) -> Array:
    """Round as C does. The usual floor(|v| + 0.5) is wrong at 0.49999997; a fraction is exact."""
    size = xp.abs(value)
    whole = xp.floor(size)
    return xp.sign(value) * (whole + xp.asarray(size - whole >= 0.5, dtype=value.dtype))


def inclusive_size(xp: Any, begin: Array, end: Array) -> Array:
    """max(end − begin + 1, 1) of integers held as floats, rounded once.

    Rounding the difference and then the sum would be twice. `lost` is what the difference lost
    (Knuth's two-sum), so `near + (lost + 1)` rounds once, but for one case: where `lost` is half a
    unit of `near` the + 1 is what breaks the tie, and may be too small to be seen.
    """
    near = end - begin
    back = near - end
    lost = (end - (near - back)) - (begin + back)
    above = near + lost * 2
    size = xp.where((lost > 0) & (above - near == lost * 2), above, near + (lost + 1))
    return xp.where(size < 1, xp.ones_like(size), size)
