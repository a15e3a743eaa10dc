"""The kernels of points in jax.lax alone, for the platforms that have no native core.

All three walk each bin over its points:

    points_read     sums    weight · pixel         per bin
    points_add      adds    weight · pooled        at the pixel
    points_weigh    puts    (pooled, pixel)        at the point
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from roipool.doors.jax.lax_walks import (
    NOWHERE,
    Chunks,
    as_bins,
    heights,
    in_chunks,
    in_table,
    table,
    untabled,
)


class _Walks(NamedTuple):
    """Bins, each (B,) int32; step t is the point `first` + t."""

    bin: Array
    base: Array  # the first pixel of the image in the table
    height: Array  # of the image
    width: Array
    first: Array
    steps: Array


class _Step(NamedTuple):
    """Where walks stand, each (B,); nowhere once they have ended, and outside the image."""

    there: Array
    point: Array
    pixel: Array


def _walks(known: Mapping[str, Any], maps: Sequence[Any]) -> _Walks:
    image, points = known["image"], known["points"]
    base, width = in_table(image, maps)
    begin, end = points[..., 0], points[..., 1]
    of_regions = (base, heights(image, maps), jnp.broadcast_to(width, image.shape))
    parts = (
        jnp.arange(begin.size, dtype=jnp.int32).reshape(begin.shape),
        *(part[:, None, None] for part in of_regions),
        begin,
        jnp.where((image >= 0)[:, None, None], end - begin, 0),
    )
    return _Walks(*(part.reshape(-1) for part in jnp.broadcast_arrays(*parts)))


def _step(known: Mapping[str, Any], walks: _Walks, t: Array) -> _Step:
    live = t < walks.steps
    point = jnp.where(live, walks.first + t, 0)
    y, x = known["y_pixel"][point], known["x_pixel"][point]
    there = live & (y >= 0) & (y < walks.height) & (x >= 0) & (x < walks.width)
    return _Step(there, point, jnp.where(there, walks.base + y * walks.width + x, 0))


def _weight(known: Mapping[str, Any], step: _Step) -> Array:
    """Of each point: 0 where there is none."""
    return jnp.where(step.there, known["weight"][step.point], 0)


def _read(known: Mapping[str, Any], *, maps: Sequence[Any], chunk: int, **_: Any) -> list[Array]:
    walks, chunks = _prepared(known, maps, chunk)
    regions, height, width, _two = known["points"].shape
    channels, dtype = maps[0][1], known["data"][0].dtype
    if chunks is None:
        return [jnp.zeros((regions, channels, height, width), dtype)]
    pixels, sums = table(known["data"]), known["weight"].dtype

    def walk(chosen: _Walks) -> list[Array]:
        def add(t: Array, total: Array) -> Array:
            step = _step(known, chosen, t)
            weight = _weight(known, step)[:, None]
            # Of weight 0 nothing is read: NaN times 0 would be NaN.
            return total + jnp.where(weight != 0, weight * pixels[step.pixel].astype(sums), 0)

        start = jnp.zeros((chunks.size, channels), sums)
        return [lax.fori_loop(0, jnp.max(chosen.steps), add, start).astype(dtype)]

    (found,) = chunks.results(walks, walk, [(channels, dtype)])
    return [as_bins(found, regions, height, width)]


def _add(known: Mapping[str, Any], *, maps: Sequence[Any], chunk: int, **_: Any) -> list[Array]:
    walks, chunks = _prepared(known, maps, chunk)
    pooled, sums = known["pooled"], known["weight"].dtype
    if chunks is None:
        return [jnp.zeros(shape, pooled.dtype) for shape in maps]
    rows = table([pooled])

    def body(_: Array, chosen: _Walks, total: Array) -> Array:
        grad = rows[chosen.bin].astype(sums)

        def add(t: Array, total: Array) -> Array:
            step = _step(known, chosen, t)
            weight = _weight(known, step)
            at = jnp.where(weight != 0, step.pixel, NOWHERE)
            return total.at[at].add(weight[:, None] * grad, mode="drop")

        return lax.fori_loop(0, jnp.max(chosen.steps), add, total)

    count = sum(images * height * width for images, _, height, width in maps)
    total = chunks.each(walks, body, jnp.zeros((count, maps[0][1]), sums))
    return [each.astype(pooled.dtype) for each in untabled(total, maps)]


def _weigh(known: Mapping[str, Any], *, maps: Sequence[Any], chunk: int, **_: Any) -> list[Array]:
    walks, chunks = _prepared(known, maps, chunk)
    sums = jnp.float64 if known["pooled"].dtype == jnp.float64 else jnp.float32
    weights = jnp.zeros(known["y_pixel"].shape, sums)
    if chunks is None:
        return [weights]
    pixels, rows = table(known["data"]), table([known["pooled"]])

    def body(_: Array, chosen: _Walks, weights: Array) -> Array:
        pooled = rows[chosen.bin].astype(sums)

        def put(t: Array, weights: Array) -> Array:
            step = _step(known, chosen, t)
            product = jnp.sum(pooled * pixels[step.pixel].astype(sums), axis=1)
            at = jnp.where(step.there, step.point, NOWHERE)
            return weights.at[at].set(product, mode="drop")

        return lax.fori_loop(0, jnp.max(chosen.steps), put, weights)

    return [chunks.each(walks, body, weights)]


def _prepared(
    known: Mapping[str, Any], maps: Sequence[Any], chunk: int
) -> tuple[_Walks, Chunks | None]:
    """The bins; and in chunks, unless there is nothing to walk."""
    walks, channels = _walks(known, maps), maps[0][1]
    pixels = sum(images * height * width for images, _, height, width in maps)
    if not (pixels and channels and known["y_pixel"].shape[0] and walks.bin.shape[0]):
        return walks, None
    return walks, in_chunks(walks.steps, channels, chunk)


KERNELS: dict[str, Callable[..., list[Array]]] = {
    "points_read": _read,
    "points_add": _add,
    "points_weigh": _weigh,
}
