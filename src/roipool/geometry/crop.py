"""Boxes whose corners are the centres of their outermost samples: crop_and_resize."""

from typing import Any

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
    dtype = float_type(xp, data_dtype, boxes.dtype)
    order = xp.asarray([0, 2, 1, 4, 3])
    image, axes = scaled(xp, boxes[:, order], maps, dtype, scale_type=dtype)
    y, x = (
        _samples(xp, axis, count, method == "nearest", tensorflow)
        for axis, count in zip(axes, pooled_size, strict=True)
    )
    return taps_of(xp, image, (y, x), data_dtype)


def _samples(xp: Any, axis: Axis, count: int, nearest: bool, tensorflow: bool) -> Listed:
    begin, end, last = axis.begin, axis.end, axis.last
    if count == 1:
        position = ((begin + end) * 0.5 * last)[:, None]
        share = xp.full_like(position, 0.5)
    else:
        step = quotient(xp, (end - begin) * last, count - 1)
        part = xp.arange(count, dtype=begin.dtype)[None, :]
        inside = product(xp, part, step[:, None])
        position = product(xp, last, begin)[:, None] + inside
        if not tensorflow:
            position = xp.where(part == count - 1, (end * last)[:, None], position)
        share = xp.zeros_like(position) + part / (count - 1)
    most = along(axis.last, 1)
    counts = (position >= 0) & (position <= most) & (most >= 0)
    where = clip(xp, position, most)
    low = round_half_away(xp, where) if nearest else xp.floor(where)
    part_of_next = where - low
    low = xp.asarray(low, dtype=xp.int32)
    low = xp.maximum(low, xp.zeros_like(low))
    if nearest:
        weight = xp.asarray(counts, dtype=begin.dtype)
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
