"""Boxes turned by an angle: their samples as points, which are no rows and columns of the map."""

from typing import Any, NamedTuple

from roipool.geometry.regions import (
    Array,
    Axis,
    Maps,
    along,
    clip,
    float_type,
    quotient,
    scaled,
    sum_type,
)
from roipool.geometry.taps import Points, PointSlopes, ranges_of

MOST_SAMPLES = 2**10  # along an axis of a bin


def rotated_points(
    xp: Any,
    rois: Array,
    maps: Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    *,
    sampling_ratio: int,
    aligned: bool,
    clockwise: bool,
    traced: bool = False,
) -> tuple[Points, PointSlopes]:
    """Bins of roi_align_rotated: a grid of samples each, the four pixels around each a point.

    `rois` is (K, 6) rows [image, centre x, centre y, width, height, angle]. Where `traced`, no
    value is looked at, so that an adaptive grid would have no known size: it is refused.
    """
    if traced and sampling_ratio <= 0:
        raise ValueError(
            "sampling_ratio is 0; a traced or differentiated call of roi_align_rotated needs to "
            "know how many samples a bin has: give a sampling_ratio, such as 2"
        )
    image, sides, angle = rotated_sides(
        xp,
        rois,
        maps,
        pooled_size,
        data_dtype,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
        clockwise=clockwise,
    )
    read = _read(xp, sides, angle, image, -1 if clockwise else 1)
    return _points(xp, image, read, data_dtype)


class Side(NamedTuple):
    """Samples along one side of boxes, before they are turned: (K, h, w, G, G) or what spreads.

    Attributes:
        axis: Of the map; its ends hold the centre and the size.
        centre: Pixel k being at k.
        size: (K,) of a box.
        offset: Of samples from the centre.
        share: The same, of the box's size.
        counts: Whether there is such a sample.
        samples: Of a bin.
        reach: How far the size moves with that in the image; 0 where it is clamped.
    """

    axis: Axis
    centre: Array
    size: Array
    offset: Array
    share: Array
    counts: Array
    samples: Array
    reach: Array


def rotated_sides(
    xp: Any,
    rois: Array,
    maps: Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    *,
    sampling_ratio: int,
    aligned: bool,
    clockwise: bool,
) -> tuple[Array, tuple[Side, Side], Array]:
    """The image of each row, its samples along both sides, and its angle counter-clockwise."""
    dtype = float_type(xp, data_dtype, rois.dtype)
    image, (y, x) = scaled(xp, rois[:, :5], maps, dtype, scale_type=dtype)
    angle = xp.asarray(rois[:, 5], dtype=dtype)
    known = (y.end >= 0) & (x.end >= 0) & xp.isfinite(angle)
    image = xp.where(known, image, -xp.ones_like(image))
    angle = xp.where(known, -angle if clockwise else angle, xp.zeros_like(angle))
    height, width = pooled_size
    down = _side(xp, y, height, sampling_ratio, aligned, True)
    return image, (down, _side(xp, x, width, sampling_ratio, aligned, False)), angle


def turned(xp: Any, down: Array, across: Array, angle: Array) -> tuple[Array, Array]:
    """Offsets from the centre of boxes, along their sides, as those along the map's."""
    cos, sin = (along(turn, down.ndim - 1) for turn in (xp.cos(angle), xp.sin(angle)))
    return down * cos - across * sin, down * sin + across * cos


def _side(
    xp: Any, axis: Axis, count: int, sampling_ratio: int, aligned: bool, along_y: bool
) -> Side:
    centre, size = axis.begin - (0.5 if aligned else 0.0), axis.end
    size = xp.where(size >= 0, size, xp.zeros_like(size))
    reach = xp.zeros_like(size) + axis.scale
    if not aligned:
        reach = xp.where(size < 1, xp.zeros_like(reach), reach)
        size = xp.where(size < 1, xp.ones_like(size), size)
    bin_size = quotient(xp, size, count)
    if sampling_ratio > 0:
        most, samples = sampling_ratio, xp.full_like(size, sampling_ratio)
    else:
        samples = xp.ceil(bin_size)
        most = int(xp.max(samples)) if samples.shape[0] else 0
        if most > MOST_SAMPLES:
            raise ValueError(
                f"sampling_ratio is 0, and a region has {most} pixels along an axis of a bin; "
                f"expected at most {MOST_SAMPLES}: give a sampling_ratio, or clip the regions to "
                "the image"
            )
    part = xp.arange(count, dtype=size.dtype)[:, None]
    sample = xp.arange(most, dtype=size.dtype)[None, :]
    of_bin = along(bin_size, 2)
    divisor = along(xp.where(samples > 0, samples, xp.ones_like(samples)), 2)
    inside = quotient(xp, (sample + 0.5) * of_bin, divisor)
    offset = (along(-size / 2, 2) + part * of_bin) + inside
    share = (part + (sample + 0.5) / divisor) / count - 0.5
    counts = (sample < along(samples, 2)) & (part >= 0)

    def spread(values: Array) -> Array:
        return values[:, :, None, :, None] if along_y else values[:, None, :, None, :]

    offset, share, counts = map(spread, (offset, share, counts))
    return Side(axis, along(centre, 4), size, offset, share, counts, samples, along(reach, 4))


class _Corners(NamedTuple):
    """Two pixels along an axis that a sample lies between: weights, and how these move with it."""

    pixels: tuple[Array, Array]
    weights: tuple[Array, Array]
    slopes: tuple[Array, Array]


def _corners(xp: Any, axis: Axis, position: Array, counts: Array) -> _Corners:
    axes = position.ndim - 1
    last = along(axis.last, axes)
    inside = clip(xp, position, last)
    low = xp.floor(inside)
    share = inside - low
    moves = xp.asarray(counts & (position >= 0) & (position < last), dtype=position.dtype)
    low = xp.asarray(low, dtype=xp.int32)
    high = clip(xp, low + 1, along(axis.length - 1, axes))
    low, high = (xp.maximum(pixel, xp.zeros_like(pixel)) for pixel in (low, high))
    zero = xp.zeros_like(share)
    weights = (xp.where(counts, 1 - share, zero), xp.where(counts, share, zero))
    return _Corners((low, high), weights, (-moves, moves))


class _Read(NamedTuple):
    """What samples read: pixels, weights, and these times the slopes of their positions."""

    y_pixel: list[Array]
    x_pixel: list[Array]
    weight: list[Array]
    slopes: list[list[Array]]


def _read(xp: Any, sides: tuple[Side, Side], angle: Array, image: Array, turn: int) -> _Read:
    y, x = sides
    cos, sin = along(xp.cos(angle), 4), along(xp.sin(angle), 4)
    down, across = turned(xp, y.offset, x.offset, angle)
    positions = down + y.centre, across + x.centre
    counts = y.counts & x.counts & along(image >= 0, 4)
    for side, position in zip(sides, positions, strict=True):
        counts = counts & (position >= -1) & (position <= along(side.axis.border, 4))
        counts = counts & (along(side.axis.last, 4) >= 0)
    samples = y.samples * x.samples
    samples = along(xp.where(samples > 0, samples, xp.ones_like(samples)), 4)
    of_y, of_x = (
        _corners(xp, side.axis, position, counts)
        for side, position in zip(sides, positions, strict=True)
    )
    # By the centre's x and y, the width, the height and the angle.
    zero = xp.zeros_like(down)
    across_by, down_by = x.share * x.reach, y.share * y.reach
    by_center_x, by_center_y = (along(s.axis.scale, 4) + 0 * s.reach for s in (x, y))
    y_moves = [zero, by_center_y, -sin * across_by, cos * down_by, -turn * across]
    x_moves = [by_center_x, zero, cos * across_by, sin * down_by, turn * down]
    read = _Read([], [], [], [])
    for row in (0, 1):
        for column in (0, 1):
            wy, wx = of_y.weights[row], of_x.weights[column]
            by_y, by_x = of_y.slopes[row] * wx, of_x.slopes[column] * wy
            read.y_pixel.append(of_y.pixels[row])
            read.x_pixel.append(of_x.pixels[column])
            read.weight.append(wy * wx / samples)
            read.slopes.append(
                [(by_y * dy + by_x * dx) / samples for dy, dx in zip(y_moves, x_moves, strict=True)]
            )
    return read


def _points(xp: Any, image: Array, read: _Read, data_dtype: Any) -> tuple[Points, PointSlopes]:
    sums = sum_type(xp, data_dtype)
    regions, height, width, *grid = read.weight[0].shape
    each = grid[0] * grid[1] * 4

    def listed(corners: list[Array], dtype: Any) -> Array:
        spread = xp.stack([xp.broadcast_to(c, read.weight[0].shape) for c in corners], axis=-1)
        return xp.asarray(xp.reshape(spread, (regions, height, width, each)), dtype=dtype)

    y_pixel, x_pixel = listed(read.y_pixel, xp.int32), listed(read.x_pixel, xp.int32)
    weight = listed(read.weight, sums)
    moving = [listed(list(part), sums) for part in zip(*read.slopes, strict=True)]
    slopes = xp.reshape(xp.stack(moving, axis=-1), (-1, 5))
    points = Points(
        image,
        xp.reshape(weight, (-1,)),
        ranges_of(xp, weight),
        xp.reshape(y_pixel, (-1,)),
        xp.reshape(x_pixel, (-1,)),
    )
    return points, PointSlopes(slopes)
