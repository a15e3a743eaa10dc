"""Regions scaled to their maps, along each axis by itself."""

from collections.abc import Sequence
from typing import Any, NamedTuple

Array = Any


class Maps(NamedTuple):
    """Arrays of feature maps, whose images regions count through: a number for each array.

    Attributes:
        images: How many there are.
        heights: In pixels of the map.
        widths: The same.
        scales: Size of the map / size of the image, along y and along x.
    """

    images: tuple[int, ...]
    heights: tuple[int, ...]
    widths: tuple[int, ...]
    scales: tuple[tuple[float, float], ...]


class Axis(NamedTuple):
    """Regions along one axis, (K,) each; of one array of maps numbers, but for the ends.

    Attributes:
        begin: The first end, in pixels of the map.
        end: The last.
        length: Of the map: a whole number, of several arrays int32.
        last: Its last pixel, or the largest of F before it, which may not hold that.
        border: The same of the length.
        scale: Size of the map / size of the image.
        longest: The length of the longest map.
    """

    begin: Array
    end: Array
    length: Any
    last: Any
    border: Any
    scale: Any
    longest: int


def maps_of(shapes: Sequence[Sequence[int]], scales: Sequence[tuple[float, float]]) -> Maps:
    """Of arrays of feature maps (N, C, H, W) of these shapes."""
    images, _, heights, widths = zip(*shapes, strict=True)
    return Maps(images, heights, widths, tuple(scales))


def float_type(xp: Any, data_dtype: Any, rois_dtype: Any) -> Any:
    """F: half-precision features must not round coordinates."""
    return xp.float64 if data_dtype == xp.float64 and rois_dtype == xp.float64 else xp.float32


def sum_type(xp: Any, data_dtype: Any) -> Any:
    """That of sums of features, and so of weights."""
    return xp.float64 if data_dtype == xp.float64 else xp.float32


def image_index(xp: Any, batch_index: Array, images: int) -> Array:
    """The batch index as int32; −1 for a padding row and for what is no index."""
    known = (batch_index >= 0) & (batch_index < images) & (batch_index == xp.floor(batch_index))
    index = xp.asarray(xp.where(known, batch_index, xp.zeros_like(batch_index)), dtype=xp.int32)
    return xp.where(known, index, -xp.ones_like(index))


def scaled(
    xp: Any, rois: Array, maps: Maps, dtype: Any, scale_type: Any
) -> tuple[Array, tuple[Axis, Axis]]:
    """The image of each row, and what it is along y and x.

    A row that is no region is moved off the map, to −9, where every bin is empty.
    """
    image = image_index(xp, rois[:, 0], sum(maps.images))
    of_region = _of_region(xp, image, maps.images)
    scales = [
        xp.asarray(xp.asarray(of_region(values, scale_type), dtype=scale_type), dtype=dtype)
        for values in zip(*maps.scales, strict=True)
    ]
    ends = [
        product(xp, scale, xp.asarray(rois[:, column], dtype=dtype))
        for column, scale in zip((2, 1, 4, 3), (*scales, *scales), strict=True)
    ]
    # Beyond an eighth of the largest float sums of these could overflow: it counts as infinite.
    finite = xp.all(xp.abs(xp.stack(ends, axis=1)) <= xp.finfo(dtype).max / 8, axis=1)
    image = xp.where(finite, image, -xp.ones_like(image))
    ends = [xp.where(image >= 0, end, xp.full_like(end, -9)) for end in ends]
    digits = 53 if dtype == xp.float64 else 24
    y, x = (
        Axis(
            begin=ends[i],
            end=ends[i + 2],
            length=of_region(sides, xp.int32),
            last=of_region([held(side - 1, digits) for side in sides], dtype),
            border=of_region([held(side, digits) for side in sides], dtype),
            scale=scales[i],
            longest=max(sides),
        )
        for i, sides in enumerate((maps.heights, maps.widths))
    )
    return image, (y, x)


def held(number: int, digits: int) -> int:
    """The largest whole number of so many binary digits that is no larger."""
    lost = max(number.bit_length() - digits, 0)
    return number >> lost << lost


def _of_region(xp: Any, image: Array, images: Sequence[int]) -> Any:
    """What gives each region the value of its array of maps; of a single array, the value."""
    if len(images) == 1:
        return lambda values, dtype: values[0]
    ends = [sum(images[:i]) for i in range(1, len(images))]
    array = sum((xp.asarray(image >= n, dtype=xp.int32) for n in ends), xp.zeros_like(image))
    return lambda values, dtype: xp.asarray(values, dtype=dtype)[array]


def beside_the_map(scale: float) -> list[float]:
    """A row that reads no pixel of any map: a padding row, where one cannot be told.

    It lies from −3 to −3, and what widens it to a pixel ends at −2; far away it would overflow.
    """
    corner = -3.0 / scale
    return [0.0, corner, corner, corner, corner]


def quotient(xp: Any, value: Array, by: Any) -> Array:
    """Of an array and a number or fewer axes: XLA would multiply by the reciprocal of what it sees
    to be the same for several elements.
    """
    by = by if getattr(by, "ndim", 0) else xp.full_like(value, by)
    return value / xp.where(value != value, value, by)


def product(xp: Any, positive: Any, value: Array) -> Array:
    """Their product, for a sum to follow: copying its own sign keeps compilers from fusing both."""
    return xp.copysign(positive * value, value)


def along(value: Any, axes: int) -> Any:
    """What regions have each, against so many further axes; a number of all stays one."""
    return value[(..., *[None] * axes)] if getattr(value, "ndim", 0) else value


def clip(xp: Any, value: Array, most: Any) -> Array:
    """Into [0, most], a number or an array."""
    if not getattr(most, "ndim", 0):
        return xp.clip(value, 0, most)
    most = xp.asarray(most, dtype=value.dtype)
    return xp.minimum(xp.maximum(value, xp.zeros_like(value)), most)
