"""The samples of roi_align one by one, of which a bin takes the largest."""

from typing import Any, NamedTuple

from roipool.geometry.align import Grid, align_grids, read_of
from roipool.geometry.regions import Array, Maps, along, product, quotient, sum_type
from roipool.geometry.taps import Slopes, Taps

BEYOND = 2  # samples that are listed beyond the map: where rounding may still put one on it
FAR_BEYOND = 8  # the most that are so beside, where their numbers are far apart


def align_samples(
    xp: Any,
    rois: Array,
    maps: Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    *,
    sampling_ratio: int,
    aligned: bool,
    singly: bool,
    traced: bool = False,
) -> tuple[Taps, Slopes]:
    """Bins as taps in pairs: the two pixels of each sample along an axis.

    Where `singly`, the pixels around a sample are samples themselves, each with the weight that it
    has there. Of an adaptive grid's samples beyond the map, which read nothing, a few are listed:
    one is as good as all.
    """
    image, grids = align_grids(
        xp, rois, maps, pooled_size, data_dtype, sampling_ratio=sampling_ratio, aligned=aligned
    )
    sums = sum_type(xp, data_dtype)
    ranges, pixels, weights, slopes = [], [], [], []
    for grid in grids:
        first, step, count, most = listed_samples(xp, grid, sampling_ratio, traced)
        further = xp.arange(most, dtype=grid.size.dtype)
        sample = first[:, :, None] + (product(xp, step[:, :, None], further) + 0.5)
        read = read_of(xp, grid, sample)
        pixel = _paired(xp, read.low, read.high, singly, read.low)
        terms = [
            _paired(xp, low, high, singly, xp.zeros_like(low))
            for low, high in zip(read.of_low, read.of_high, strict=True)
        ]
        ranges.append(_ranges(xp, pixel.shape, count, most))
        pixels.append(xp.reshape(pixel, (-1,)))
        weight, *moving = (xp.reshape(xp.asarray(term, dtype=sums), (-1,)) for term in terms)
        weights.append(weight)
        slopes.append(xp.stack(moving, axis=-1))
    (y_weight, x_weight), (y_taps, x_taps), (y_pixel, x_pixel) = weights, ranges, pixels
    return Taps(image, y_weight, x_weight, y_taps, y_pixel, x_taps, x_pixel), Slopes(*slopes)


class ListedSamples(NamedTuple):
    """Of each bin's samples those that are listed: (K, P) each, but for `most`.

    Attributes:
        first: The number of the first.
        step: How far it is to the next: 1, but where numbers are rounded to more. Samples whose
            number is then the same lie in one place.
        count: How many there are.
        most: Of any bin.
    """

    first: Array
    step: Array
    count: Array
    most: int


def listed_samples(xp: Any, grid: Grid, sampling_ratio: int, traced: bool = False) -> ListedSamples:
    """The samples of each bin that may lie on the map, and some beside it."""
    zero = xp.zeros_like(grid.first)
    samples = zero + xp.where(grid.none, xp.zeros_like(grid.samples), grid.samples)[:, None]
    if sampling_ratio > 0:
        return ListedSamples(zero, zero + 1, samples, sampling_ratio)
    apart = zero + quotient(xp, grid.size, grid.samples)[:, None]
    begin, end = (
        quotient(xp, edge - grid.first, apart) for edge in (-1, along(grid.axis.border, 1))
    )
    rounding = xp.finfo(grid.first.dtype).eps
    # Three roundings lie between an edge and its sample's number, and three to that one's place.
    far = xp.floor(4 * rounding * xp.maximum(xp.abs(begin), xp.abs(end)))
    far = xp.minimum(far, samples)  # which is finite
    first = _within(xp, xp.floor(begin) - BEYOND - far, samples)
    stop = _within(xp, xp.ceil(end) + BEYOND + far, samples)
    step = xp.maximum((first + first * (0.75 * rounding)) - first, zero + 1)
    count = xp.maximum(xp.ceil((stop - first) / step), zero)
    if traced:
        longest = grid.axis.longest + 1
        most = longest + max(longest, 2 * FAR_BEYOND) + 2 * BEYOND + 2
        count = xp.minimum(count, xp.full_like(count, most))
    else:
        most = int(xp.max(count)) if count.shape[0] else 0
    return ListedSamples(first, step, count, most)


def _within(xp: Any, value: Array, most: Array) -> Array:
    return xp.minimum(xp.maximum(value, xp.zeros_like(value)), most)


def _paired(xp: Any, low: Array, high: Array, singly: bool, fill: Array) -> Array:
    """(K, P, samples, 2) what samples have of their two pixels; `singly` each with what fills."""
    if not singly:
        return xp.stack([low, high], axis=-1)
    pairs = xp.stack([low, fill, high, fill], axis=-1)
    return xp.reshape(pairs, (*low.shape[:2], low.shape[2] * 2, 2))


def _ranges(xp: Any, shape: tuple[int, ...], count: Array, most: int) -> Array:
    regions, bins, pairs, _ = shape
    begin = xp.reshape(xp.arange(regions * bins, dtype=xp.int32) * (2 * pairs), (regions, bins))
    each = 2 * pairs // max(most, 1)  # taps of a sample
    return xp.stack([begin, begin + xp.asarray(count, dtype=xp.int32) * each], axis=-1)
