"""The interpolated map integrated over bins: Precise RoI Pooling."""

from typing import Any, NamedTuple

from roipool.geometry.regions import Array, Axis, Maps, along, float_type, product, quotient, scaled
from roipool.geometry.taps import Listed, Slopes, Taps, taps_of


def integral_taps(
    xp: Any,
    rois: Array,
    maps: Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    *,
    traced: bool = False,
) -> tuple[Taps, Slopes]:
    """Each pixel weighs as much as the hat around it has in a bin, of the bin's own size.

    A hat is 1 at its pixel and falls to 0 at the next on either side: interpolation as a sum.
    """
    image, spans = integral_bins(xp, rois, maps, pooled_size, data_dtype)
    y, x = (_hats(xp, span, span.axis.longest if traced else None) for span in spans)
    return taps_of(xp, image, (y, x), data_dtype)


class Span(NamedTuple):
    """Bins along one axis, as they lie between pixels: pixel k is at k.

    Attributes:
        axis: Where the ends of regions lie.
        size: (K,) of a bin; 0 where a region has no area.
        begin: (K, P) where each bin begins.
        end: (K, P) where it ends.
    """

    axis: Axis
    size: Array
    begin: Array
    end: Array


def integral_bins(
    xp: Any, rois: Array, maps: Maps, pooled_size: tuple[int, int], data_dtype: Any
) -> tuple[Array, tuple[Span, Span]]:
    """The image of each row, and its bins along y and x."""
    dtype = float_type(xp, data_dtype, rois.dtype)
    image, (y, x) = scaled(xp, rois, maps, dtype, scale_type=dtype)
    return image, (_span(xp, y, pooled_size[0]), _span(xp, x, pooled_size[1]))


def _span(xp: Any, axis: Axis, count: int) -> Span:
    size = axis.end - axis.begin
    size = quotient(xp, xp.where(size > 0, size, xp.zeros_like(size)), count)
    part = xp.arange(count, dtype=size.dtype)[None, :]
    begin = axis.begin[:, None] + product(xp, part, size[:, None])
    return Span(axis, size, begin, begin + size[:, None])


def _hats(xp: Any, span: Span, taps: int | None) -> Listed:
    axis, size, begin, end = span
    count = begin.shape[1]
    some = (size > 0)[:, None, None]
    part = xp.arange(count, dtype=size.dtype)[None, :]
    first, stop = _reached(xp, axis, begin, end)
    if taps is None:
        most = xp.max(stop - first) if stop.shape[0] else 0
        taps = max(int(most), 0)
    further = xp.arange(taps, dtype=xp.int32)
    pixel = first[..., None] + further
    inside = (pixel < stop[..., None]) & some
    place = xp.asarray(pixel, dtype=size.dtype)
    size = along(xp.where(size > 0, size, xp.ones_like(size)), 2)
    # From a bin's ends to the pixel: of positions far from it their squares would lose all digits.
    u, v = begin[..., None] - place, end[..., None] - place
    weight = quotient(xp, _area(xp, u, v), size)
    of_end = quotient(xp, _hat(xp, v) - weight, size)
    of_begin = quotient(xp, weight - _hat(xp, u), size)
    slopes = []
    scale = along(axis.scale, 2)
    for sign, from_end in ((-1, 1), (1, 0)):  # how both ends of a bin move with those of the region
        at_begin, at_end = (
            scale * (from_end + sign * (part + n) / count)[..., None] for n in (0, 1)
        )
        slopes.append(of_begin * at_begin + of_end * at_end)
    terms = [xp.where(inside, term, xp.zeros_like(term)) for term in (weight, *slopes)]
    return Listed(xp.where(inside, pixel, xp.zeros_like(pixel)), terms)


def _reached(xp: Any, axis: Axis, begin: Array, end: Array) -> tuple[Array, Array]:
    """The pixels whose hats a bin may reach: the first, and the one behind the last."""
    length = along(axis.border, 1)
    bounds = []
    for edge in (xp.floor(begin), xp.ceil(end) + 1):
        edge = xp.minimum(xp.maximum(edge, xp.zeros_like(edge)), xp.zeros_like(edge) + length)
        bounds.append(xp.asarray(edge, dtype=xp.int32))
    return bounds[0], bounds[1]


def _area(xp: Any, u: Array, v: Array) -> Array:
    """Of the hat between u and v, in either half by itself."""

    def between(x: Array, low: float, high: float) -> Array:
        return xp.clip(x, low, high)

    rise = between(u, -1, 0), between(v, -1, 0)
    fall = between(u, 0, 1), between(v, 0, 1)
    left = (rise[1] - rise[0]) * (1 + (rise[0] + rise[1]) / 2)
    right = (fall[1] - fall[0]) * (1 - (fall[0] + fall[1]) / 2)
    return left + right


def _hat(xp: Any, x: Array) -> Array:
    return xp.clip(1 - xp.abs(x), 0, None)
