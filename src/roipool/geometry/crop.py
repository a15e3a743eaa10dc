"""Boxes whose corners are the centres of their outermost samples: crop_and_resize."""

from typing import Any, NamedTuple

from roipool.geometry.bins import round_half_away
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


def crop_taps(
    xp: Any,
    boxes: Array,
    maps: Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    *,
    method: str,
    tensorflow: bool,
    traced: bool = False,
) -> tuple[Taps, Slopes]:
    """One sample a bin, the first and the last at a box's ends; outside of the map there is none.

    `boxes` is (K, 5) rows [image, y1, x1, y2, x2], 1 being the centre of the last pixel. Where
    `tensorflow`, the last position is reached step by step, and may lie just beyond the map.
    """
    image, spots = crop_positions(xp, boxes, maps, pooled_size, data_dtype, tensorflow=tensorflow)
    y, x = (_samples(xp, each, method == "nearest") for each in spots)
    return taps_of(xp, image, (y, x), data_dtype)


class Spots(NamedTuple):
    """Samples along one axis, one a bin: pixel k is at k.

    Attributes:
        axis: Where the ends of boxes lie, 1 being the last pixel.
        begin: (K,) the same in pixels.
        end: (K,)
        position: (K, P) of each sample.
        share: How much of the way from the first end to the last that is.
        counts: (K, P) whether it lies on the map.
    """

    axis: Axis
    begin: Array
    end: Array
    position: Array
    share: Array
    counts: Array


def crop_positions(
    xp: Any,
    boxes: Array,
    maps: Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    *,
    tensorflow: bool,
) -> tuple[Array, tuple[Spots, Spots]]:
    """The image of each row, and its samples along y and x."""
    dtype = float_type(xp, data_dtype, boxes.dtype)
    order = xp.asarray([0, 2, 1, 4, 3])
    image, (y, x) = scaled(xp, boxes[:, order], maps, dtype, scale_type=dtype)
    height, width = pooled_size
    return image, (_spots(xp, y, height, tensorflow), _spots(xp, x, width, tensorflow))


def _spots(xp: Any, axis: Axis, count: int, tensorflow: bool) -> Spots:
    begin, end, last = axis.begin, axis.end, axis.last
    first, final = product(xp, last, begin), end * last
    if count == 1:
        position = ((begin + end) * 0.5 * last)[:, None]
        share = xp.full_like(position, 0.5)
    else:
        step = quotient(xp, (end - begin) * last, count - 1)
        part = xp.arange(count, dtype=begin.dtype)[None, :]
        position = first[:, None] + product(xp, part, step[:, None])
        if not tensorflow:
            position = xp.where(part == count - 1, final[:, None], position)
        share = xp.zeros_like(position) + part / (count - 1)
    most = along(axis.last, 1)
    counts = (position >= 0) & (position <= most) & (most >= 0)
    return Spots(axis, first, final, position, share, counts)


def _samples(xp: Any, spots: Spots, nearest: bool) -> Listed:
    axis, _, _, position, share, counts = spots
    most = along(axis.last, 1)
    where = clip(xp, position, most)
    low = round_half_away(xp, where) if nearest else xp.floor(where)
    part_of_next = where - low
    low = xp.asarray(low, dtype=xp.int32)
    low = xp.maximum(low, xp.zeros_like(low))
    if nearest:
        weight = xp.asarray(counts, dtype=position.dtype)
        terms = [weight, *[xp.zeros_like(weight)] * 2]
        return Listed(low[..., None], [term[..., None] for term in terms], ~counts)
    high = xp.maximum(clip(xp, low + 1, along(axis.length - 1, 1)), xp.zeros_like(low))
    zero = xp.zeros_like(position)
    moves = counts & (position < most)
    ends = [xp.where(moves, most * t, zero) for t in (1 - share, share)]
    weights = [xp.where(counts, w, zero) for w in (1 - part_of_next, part_of_next)]
    terms = [
        xp.stack(pair, axis=-1) for pair in (weights, (-ends[0], ends[0]), (-ends[1], ends[1]))
    ]
    return Listed(xp.stack([low, high], axis=-1), terms, ~counts)
