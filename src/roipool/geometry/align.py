"""Samples at equal distances, interpolated between pixels: roi_align, its taps merged by pixel."""

from typing import Any, NamedTuple

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
)
from roipool.geometry.taps import Listed, Slopes, Taps, taps_of

# Samples of an adaptive grid are at least half a pixel apart, or one a bin: at most 4 weigh on a
# pixel, and one more on either side may be there by rounding.
NEAR = 6


def align_taps(
    xp: Any,
    rois: Array,
    maps: Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    *,
    sampling_ratio: int,
    aligned: bool = True,
    each: bool = False,
    traced: bool = False,
) -> tuple[Taps, Slopes]:
    """Bins of roi_align: a grid of samples each, interpolated between pixels.

    `rois` is (K, 5), in image pixels, of any real dtype. Where `traced`, no value is looked at: an
    adaptive grid then has as many taps as the longest map has pixels. `each`: see `taps_of`.
    """
    image, grids = align_grids(
        xp, rois, maps, pooled_size, data_dtype, sampling_ratio=sampling_ratio, aligned=aligned
    )
    y, x = (_listed(xp, grid, sampling_ratio, traced) for grid in grids)
    return taps_of(xp, image, (y, x), data_dtype, each=each)


def _listed(xp: Any, grid: "Grid", sampling_ratio: int, traced: bool) -> Listed:
    if sampling_ratio > 0:
        pixel, terms = _sampled(xp, grid, sampling_ratio)
    else:
        pixel, terms = _run(xp, grid, grid.axis.longest if traced else None)
    samples = along(grid.samples, 2)
    return Listed(pixel, [quotient(xp, term, samples) for term in terms])


class Grid(NamedTuple):
    """Samples of all bins along one axis: (K,) each, but for `first` (K, P).

    Attributes:
        axis: Where the ends of regions lie.
        begin: Where a region begins, pixel k being at k.
        extent: Of a region, as it is divided into bins.
        first: Where a bin begins.
        size: Of a bin; negative where the region is mirrored.
        samples: Of a bin, at least 1.
        none: Whether there is none after all.
        reach: How far its size moves with its ends in the image; 0 where it is clamped.
    """

    axis: Axis
    begin: Array
    extent: Array
    first: Array
    size: Array
    samples: Array
    none: Array
    reach: Array


class Read(NamedTuple):
    """The two pixels that samples read, and what weighs them: weight, and its slopes."""

    low: Array
    high: Array
    of_low: list[Array]
    of_high: list[Array]


def align_grids(
    xp: Any,
    rois: Array,
    maps: Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    *,
    sampling_ratio: int,
    aligned: bool,
) -> tuple[Array, tuple[Grid, Grid]]:
    """The image of each row, and its samples along y and x."""
    dtype = float_type(xp, data_dtype, rois.dtype)
    image, (y, x) = scaled(xp, rois, maps, dtype, scale_type=dtype)
    height, width = pooled_size
    return image, (
        _grid(xp, y, height, sampling_ratio, aligned),
        _grid(xp, x, width, sampling_ratio, aligned),
    )


def _grid(xp: Any, axis: Axis, count: int, sampling_ratio: int, aligned: bool) -> Grid:
    offset = 0.5 if aligned else 0.0
    begin, end = axis.begin - offset, axis.end - offset
    extent = end - begin
    reach = xp.zeros_like(extent) + axis.scale
    if not aligned:
        reach = xp.where(extent < 1, xp.zeros_like(reach), reach)
        extent = xp.where(extent < 1, xp.ones_like(extent), extent)
    size = quotient(xp, extent, count)
    samples = xp.full_like(size, sampling_ratio) if sampling_ratio > 0 else xp.ceil(size)
    none = samples <= 0
    samples = xp.where(none, xp.ones_like(samples), samples)
    size = xp.where(none, xp.ones_like(size), size)
    part = xp.arange(count, dtype=size.dtype)
    first = begin[:, None] + product(xp, part[None, :], size[:, None])
    return Grid(axis, begin, extent, first, size, samples, none, reach)


def sample_position(xp: Any, grid: Grid, sample: Array) -> Array:
    """Where samples (K, P, …) lie; the number of a bin's first is 0.5, that of the next 1.5."""
    axes = sample.ndim - 1
    inside = quotient(xp, sample * along(grid.size, axes), along(grid.samples, axes))
    return along(grid.first, axes - 1) + inside


def read_of(xp: Any, grid: Grid, sample: Array) -> Read:
    """What samples read; what weighs is 0 where a sample counts as nothing."""
    axes = sample.ndim - 1
    samples, last = along(grid.samples, axes), along(grid.axis.last, axes)
    position = sample_position(xp, grid, sample)
    counts = (position >= -1) & (position <= along(grid.axis.border, axes)) & (sample < samples)
    counts = counts & ~along(grid.none, axes) & (last >= 0)
    inside = clip(xp, position, last)
    low = xp.floor(inside)
    share = inside - low

    bins = grid.first.shape[1]
    part = along(xp.arange(bins, dtype=position.dtype), axes - 1)
    t = (part[None, ...] + sample / samples) / bins  # from end to end of the region
    moves = counts & (position >= 0) & (position < last)
    slopes = [
        along(grid.axis.scale, axes) - along(grid.reach, axes) * t,
        along(grid.reach, axes) * t,
    ]
    slopes = [xp.where(moves, slope, xp.zeros_like(position)) for slope in slopes]
    of_low, of_high = (xp.where(counts, w, xp.zeros_like(w)) for w in (1 - share, share))
    low = xp.asarray(low, dtype=xp.int32)
    high = clip(xp, low + 1, along(grid.axis.length - 1, axes))  # which F may not hold
    low, high = (xp.maximum(pixel, xp.zeros_like(pixel)) for pixel in (low, high))  # of no pixel
    return Read(
        low,
        high,
        [of_low, *(-slope for slope in slopes)],
        [of_high, *slopes],
    )


def _sampled(xp: Any, grid: Grid, count: int) -> tuple[Array, list[Array]]:
    """So many samples a bin: a tap for either pixel of each, merged into the first of a pixel."""
    sample = xp.arange(count, dtype=grid.size.dtype)[None, None, :] + 0.5
    mirrored = (grid.size < 0)[:, None, None]  # whose pixels descend
    sample = xp.where(mirrored, count - sample, sample)
    read = read_of(xp, grid, sample)
    shape = (*grid.first.shape, 2 * count)
    pixel = xp.reshape(xp.stack([read.low, read.high], axis=-1), shape)
    terms = [
        xp.reshape(xp.stack(pair, axis=-1), shape)
        for pair in zip(read.of_low, read.of_high, strict=True)
    ]
    place = xp.arange(2 * count)
    totals, repeated = [xp.zeros_like(term) for term in terms], pixel != pixel
    for i in range(2 * count):
        same = pixel[:, :, i : i + 1] == pixel
        repeated = repeated | (same & (place > i))
        totals = [
            total + xp.where(same, term[:, :, i : i + 1], xp.zeros_like(term))
            for total, term in zip(totals, terms, strict=True)
        ]
    return pixel, [xp.where(repeated, xp.zeros_like(total), total) for total in totals]


def _run(xp: Any, grid: Grid, taps: int | None) -> tuple[Array, list[Array]]:
    """Samples less than a pixel apart: a tap for each pixel from the first that is read on."""
    first = xp.zeros_like(grid.first)[:, :, None] + 0.5
    last = along(grid.samples, 2) - first
    begin, end = read_of(xp, grid, first).low, read_of(xp, grid, last).high
    if taps is None:
        reached = sample_position(xp, grid, first) <= along(grid.axis.border, 2)
        reached = reached & (sample_position(xp, grid, last) >= -1) & ~along(grid.none, 2)
        sizes = xp.where(reached, end - begin + 1, xp.zeros_like(end))
        taps = int(xp.max(sizes)) if sizes.shape[0] else 0
    further = xp.arange(taps, dtype=xp.int32)
    pixel = begin + further
    place = xp.asarray(pixel, dtype=grid.size.dtype)
    samples = along(grid.samples, 2)
    apart = quotient(xp, grid.size, grid.samples)[:, None, None]
    near = xp.floor(quotient(xp, place - 1 - grid.first[:, :, None], apart) - 0.5) - 1
    near = xp.minimum(xp.maximum(near, xp.zeros_like(near)), samples)
    totals = [xp.zeros_like(place) for _ in range(3)]
    for i in range(NEAR):
        read = read_of(xp, grid, near + (i + 0.5))
        for pixels, terms in ((read.low, read.of_low), (read.high, read.of_high)):
            totals = [
                total + xp.where(pixels == pixel, term, xp.zeros_like(term))
                for total, term in zip(totals, terms, strict=True)
            ]
    return xp.where(further > end - begin, end, pixel), totals
