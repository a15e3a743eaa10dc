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

    A hat is 1 at its pixel and falls to 0 at the next on either side: interpolation as a sum. On
    either side it is a line, whose mean is its value in the middle.
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
    part = xp.arange(count, dtype=size.dtype)[None, :, None]
    if axis.longest > 2**24:  # whose pixels float32 does not hold
        begin, end = (xp.asarray(edge, dtype=xp.float64) for edge in (begin, end))
    first, stop = _reached(xp, axis, begin, end)
    if taps is None:
        most = xp.max(stop - first) if stop.shape[0] else 0
        taps = max(int(most), 0)
    further = xp.arange(taps, dtype=xp.int32)
    pixel = first[..., None] + further
    inside = (pixel < stop[..., None]) & some
    place = xp.asarray(pixel, dtype=begin.dtype)
    size = along(xp.where(size > 0, size, xp.ones_like(size)), 2)
    # From a bin's ends to the pixel: of positions far from it their squares would lose all digits.
    u, v = (xp.asarray(edge[..., None] - place, dtype=size.dtype) for edge in (begin, end))
    terms = [xp.zeros_like(u) for _ in range(3)]
    for rise, low, high in ((1, -1, 0), (-1, 0, 1)):
        half = xp.clip(u, low, high), xp.clip(v, low, high)
        length, middle = half[1] - half[0], (half[0] + half[1]) / 2
        # As a sample in the middle does, where the line has its mean: nothing cancels.
        t = (part + quotient(xp, middle - u, size)) / count
        moves = rise * length * along(axis.scale, 2)
        parts = product(xp, length, 1 + rise * middle), moves * (1 - t), moves * t
        terms = [term + part for term, part in zip(terms, parts, strict=True)]
    terms = [xp.where(inside, quotient(xp, term, size), xp.zeros_like(term)) for term in terms]
    return Listed(xp.where(inside, pixel, xp.zeros_like(pixel)), terms)


def _reached(xp: Any, axis: Axis, begin: Array, end: Array) -> tuple[Array, Array]:
    """The pixels whose hats a bin may reach: the first, and the one behind the last."""
    length = along(axis.length if begin.dtype == xp.float64 else axis.border, 1)
    bounds = []
    for edge in (xp.floor(begin), xp.ceil(end) + 1):
        edge = xp.minimum(xp.maximum(edge, xp.zeros_like(edge)), xp.zeros_like(edge) + length)
        bounds.append(xp.asarray(edge, dtype=xp.int32))
    return bounds[0], bounds[1]
