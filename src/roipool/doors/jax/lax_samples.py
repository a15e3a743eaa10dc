"""The kernels of samples in jax.lax alone, for the platforms that have no native core.

The largest is found by a walk through each bin's samples, those along x within those along y. What
reads, adds or weighs at the largest then takes, of every bin and channel, its two taps along y by
its two along x.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from roipool.doors.jax.lax_taps import Walks, prepared
from roipool.doors.jax.lax_walks import NOWHERE, as_bins, table, untabled

PAIRS = list(itertools.product((0, 1), repeat=2))  # of a tap along y and one along x


class _Taps(NamedTuple):
    """One along either axis, of each bin, or of each bin and channel; 0 and weightless of none."""

    y: Array
    x: Array
    pixel: Array
    y_weight: Array
    x_weight: Array

    @property
    def weight(self) -> Array:
        return self.y_weight * self.x_weight


def _taps(known: Mapping[str, Any], walks: Walks, number: Array, there: Array) -> Iterator[_Taps]:
    """Those of samples by their numbers, where there are any."""
    across = jnp.maximum(walks.across, 1)
    for i, j in PAIRS:
        y = jnp.where(there, walks.y + 2 * (number // across) + i, 0)
        x = jnp.where(there, walks.x + 2 * (number % across) + j, 0)
        weights = [
            # A weight that is the result counts as 1 wherever it may be asked for.
            jnp.where(there, known[name][at] if name in known else 1, 0)
            for name, at in (("y_weight", y), ("x_weight", x))
        ]
        pixel = walks.base + known["y_pixel"][y] * walks.stride + known["x_pixel"][x]
        yield _Taps(y, x, jnp.where(there, pixel, 0), *weights)


def _max(
    known: Mapping[str, Any], *, maps: Sequence[Any], results: int, chunk: int, **_: Any
) -> list[Array]:
    pixels, chunks, walks = prepared(known, maps, chunk, 2)
    shape = (known["image"].shape[0], known["y_taps"].shape[1], known["x_taps"].shape[1])
    channels, dtype = maps[0][1], known["data"][0].dtype
    if chunks is None:  # samples, if any, read nothing
        first = jnp.where(walks.steps > 0, 0, -1).astype(jnp.int32)
        first = jnp.broadcast_to(first[:, None], (first.shape[0], channels))
        found = [jnp.zeros(first.shape, dtype), first][:results]
        return [as_bins(part, *shape) for part in found]

    def walk(chosen: Walks) -> list[Array]:
        start = [jnp.full((chunks.size, channels), jnp.nan, known["y_weight"].dtype)]
        start += [jnp.full((chunks.size, channels), -1, jnp.int32)][: results - 1]
        larger = partial(_larger, known, pixels, chosen)
        value, *number = lax.fori_loop(0, jnp.max(chosen.steps), larger, start)
        return [jnp.where((chosen.steps > 0)[:, None], value, 0).astype(dtype), *number]

    like = [(channels, dtype), (channels, jnp.int32)][:results]
    return [as_bins(part, *shape) for part in chunks.results(walks, walk, like)]


def _larger(
    known: Mapping[str, Any], pixels: Array, walks: Walks, t: Array, best: list[Array]
) -> list[Array]:
    """The largest so far and perhaps its number, step t among them."""
    live = t < walks.steps
    value = jnp.zeros_like(best[0])
    for taps in _taps(known, walks, t, live):
        weight = taps.weight[:, None]
        # Of weight 0 nothing is read: NaN times 0 would be NaN.
        value += jnp.where(weight != 0, weight * pixels[taps.pixel].astype(value.dtype), 0)
    # NaN, which it begins with, loses to everything; of equal values the first stays.
    larger = live[:, None] & (value == value) & ~(best[0] >= value)
    return [jnp.where(larger, new, old) for new, old in zip((value, t), best, strict=False)]


def _of_largest(known: Mapping[str, Any], walks: Walks, numbers: Array) -> Iterator[_Taps]:
    """The taps of each bin's and channel's, of all bins' numbers (bins, C)."""
    number = numbers[walks.bin]
    each = Walks(*(part[:, None] for part in walks))
    return _taps(known, each, number, (number >= 0) & (number < each.steps))


def _read(known: Mapping[str, Any], *, maps: Sequence[Any], chunk: int, **_: Any) -> list[Array]:
    pixels, chunks, walks = prepared(known, maps, chunk, 2)
    shape = (known["image"].shape[0], known["y_taps"].shape[1], known["x_taps"].shape[1])
    channels, dtype = maps[0][1], known["data"][0].dtype
    if chunks is None:
        return [jnp.zeros((shape[0], channels, *shape[1:]), dtype)]
    numbers, sums, channel = table([known["argmax"]]), known["y_weight"].dtype, _each(channels)

    def walk(chosen: Walks) -> list[Array]:
        value = jnp.zeros((chunks.size, channels), sums)
        for taps in _of_largest(known, chosen, numbers):
            product = taps.weight * pixels[taps.pixel, channel].astype(sums)
            value += jnp.where(taps.weight != 0, product, 0)
        return [value.astype(dtype)]

    (found,) = chunks.results(walks, walk, [(channels, dtype)])
    return [as_bins(found, *shape)]


def _add(known: Mapping[str, Any], *, maps: Sequence[Any], chunk: int, **_: Any) -> list[Array]:
    _, chunks, walks = prepared(known, maps, chunk, 2)
    pooled, sums = known["pooled"], known["y_weight"].dtype
    if chunks is None:
        return [jnp.zeros(shape, pooled.dtype) for shape in maps]
    rows, numbers, channel = table([pooled]), table([known["argmax"]]), _each(maps[0][1])

    def body(_: Array, chosen: Walks, total: Array) -> Array:
        grad = rows[chosen.bin].astype(sums)
        for taps in _of_largest(known, chosen, numbers):
            at = jnp.where(taps.weight != 0, taps.pixel, NOWHERE)
            total = total.at[at, channel].add(taps.weight * grad, mode="drop")
        return total

    count = sum(images * height * width for images, _, height, width in maps)
    total = chunks.each(walks, body, jnp.zeros((count, maps[0][1]), sums))
    return [each.astype(pooled.dtype) for each in untabled(total, maps)]


def _weigh(
    along: str, known: Mapping[str, Any], *, maps: Sequence[Any], chunk: int, **_: Any
) -> list[Array]:
    pixels, chunks, walks = prepared(known, maps, chunk, 2)
    other = "x_weight" if along == "y" else "y_weight"
    sums = known[other].dtype
    weights = jnp.zeros(known[along + "_pixel"].shape, sums)
    if chunks is None:
        return [weights]
    rows, numbers = table([known["pooled"]]), table([known["argmax"]])
    channel = _each(maps[0][1])

    def body(_: Array, chosen: Walks, weights: Array) -> Array:
        pooled = rows[chosen.bin].astype(sums)
        for taps in _of_largest(known, chosen, numbers):
            weight: Array = getattr(taps, other)
            product = weight * pooled * pixels[taps.pixel, channel].astype(sums)
            at = jnp.where(weight != 0, getattr(taps, along), NOWHERE)
            weights = weights.at[at].add(product, mode="drop")
        return weights

    return [chunks.each(walks, body, weights)]


def _each(channels: int) -> Array:
    return jnp.arange(channels, dtype=jnp.int32)[None]


KERNELS: dict[str, Callable[..., list[Array]]] = {
    "samples_max": _max,
    "samples_read": _read,
    "samples_add": _add,
    "samples_weigh_y": partial(_weigh, "y"),
    "samples_weigh_x": partial(_weigh, "x"),
    "samples_weigh": lambda *known, **how: [
        *_weigh("y", *known, **how),
        *_weigh("x", *known, **how),
    ],
}
