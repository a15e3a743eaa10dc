"""The kernels of taps in jax.lax alone, for the platforms that have no native core.

All four walk each bin over the pairs of its taps, those along x within those along y:

    taps_read      sums    weight y · weight x · pixel              per bin
    taps_add       adds    weight y · weight x · pooled             at the pixel
    taps_weigh_y   adds    weight x · (pooled, pixel)               at the tap along y; _x as well
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from roipool.doors.jax.lax_walks import (
    NOWHERE,
    Chunks,
    as_bins,
    in_chunks,
    in_table,
    table,
    untabled,
)


class Walks(NamedTuple):
    """Bins, each (B,) int32; step t is the tap y + t // across along y, x + t % across along x.

    Where `each` taps of a list are a step, it is the first of those.
    """

    bin: Array
    base: Array  # the first pixel of the image in the table
    stride: Array  # the image's width
    y: Array
    x: Array
    across: Array
    steps: Array


class _Step(NamedTuple):
    """Where walks stand, each (B,): 0 and weightless once they have ended."""

    y: Array
    x: Array
    pixel: Array
    y_weight: Array
    x_weight: Array


def _walks(known: Mapping[str, Any], maps: Sequence[Any], each: int) -> Walks:
    image = known["image"]
    base, stride = in_table(image, maps)
    (y, y_end), (x, x_end) = (jnp.moveaxis(known[name], -1, 0) for name in ("y_taps", "x_taps"))
    y, y_end, x, x_end = y[:, :, None], y_end[:, :, None], x[:, None], x_end[:, None]
    here = (image >= 0)[:, None, None]
    bins = image.shape[0] * y.shape[1] * x.shape[2]
    parts = (
        jnp.arange(bins, dtype=jnp.int32).reshape(image.shape[0], y.shape[1], x.shape[2]),
        base[:, None, None],
        jnp.broadcast_to(stride, image.shape)[:, None, None],
        y,
        x,
        (x_end - x) // each,
        jnp.where(here, (y_end - y) // each * ((x_end - x) // each), 0),
    )
    return Walks(*(part.reshape(-1) for part in jnp.broadcast_arrays(*parts)))


def _step(known: Mapping[str, Any], walks: Walks, t: Array) -> _Step:
    live, across = t < walks.steps, jnp.maximum(walks.across, 1)
    y = jnp.where(live, walks.y + t // across, 0)
    x = jnp.where(live, walks.x + t % across, 0)
    pixel = walks.base + known["y_pixel"][y] * walks.stride + known["x_pixel"][x]
    weights = [
        # A weight that is the result counts as 1 wherever it may be asked for.
        jnp.where(live, known[name][at] if name in known else 1, 0)
        for name, at in (("y_weight", y), ("x_weight", x))
    ]
    return _Step(y, x, jnp.where(live, pixel, 0), *weights)


def _read(known: Mapping[str, Any], *, maps: Sequence[Any], chunk: int, **_: Any) -> list[Array]:
    pixels, chunks, walks = prepared(known, maps, chunk)
    shape = (known["image"].shape[0], known["y_taps"].shape[1], known["x_taps"].shape[1])
    channels, dtype = maps[0][1], known["data"][0].dtype
    if chunks is None:
        return [jnp.zeros((shape[0], channels, *shape[1:]), dtype)]
    sums = known["y_weight"].dtype

    def walk(chosen: Walks) -> list[Array]:
        def add(t: Array, sum: Array) -> Array:
            step = _step(known, chosen, t)
            weight = (step.y_weight * step.x_weight)[:, None]
            # Of weight 0 nothing is read: NaN times 0 would be NaN.
            return sum + jnp.where(weight != 0, weight * pixels[step.pixel].astype(sums), 0)

        start = jnp.zeros((chunks.size, channels), sums)
        return [lax.fori_loop(0, jnp.max(chosen.steps), add, start).astype(dtype)]

    (found,) = chunks.results(walks, walk, [(channels, dtype)])
    return [as_bins(found, *shape)]


def _add(known: Mapping[str, Any], *, maps: Sequence[Any], chunk: int, **_: Any) -> list[Array]:
    _, chunks, walks = prepared(known, maps, chunk)
    pooled, sums = known["pooled"], known["y_weight"].dtype
    if chunks is None:
        return [jnp.zeros(shape, pooled.dtype) for shape in maps]
    rows = table([pooled])

    def body(_: Array, chosen: Walks, total: Array) -> Array:
        grad = rows[chosen.bin].astype(sums)

        def add(t: Array, total: Array) -> Array:
            step = _step(known, chosen, t)
            weight = step.y_weight * step.x_weight
            at = jnp.where(weight != 0, step.pixel, NOWHERE)
            return total.at[at].add(weight[:, None] * grad, mode="drop")

        return lax.fori_loop(0, jnp.max(chosen.steps), add, total)

    count = sum(images * height * width for images, _, height, width in maps)
    total = chunks.each(walks, body, jnp.zeros((count, maps[0][1]), sums))
    return [each.astype(pooled.dtype) for each in untabled(total, maps)]


def _weigh(
    along: str, known: Mapping[str, Any], *, maps: Sequence[Any], chunk: int, **_: Any
) -> list[Array]:
    pixels, chunks, walks = prepared(known, maps, chunk)
    across = "x" if along == "y" else "y"
    sums = known[across + "_weight"].dtype
    weights = jnp.zeros(known[along + "_pixel"].shape, sums)
    if chunks is None:
        return [weights]
    rows = table([known["pooled"]])

    def body(_: Array, chosen: Walks, weights: Array) -> Array:
        pooled = rows[chosen.bin].astype(sums)

        def add(t: Array, weights: Array) -> Array:
            step = _step(known, chosen, t)._asdict()
            weight = step["x_weight"] if across == "x" else step["y_weight"]
            product = jnp.sum(pooled * pixels[step["pixel"]].astype(sums), axis=1)
            at = jnp.where(weight != 0, step[along], NOWHERE)
            return weights.at[at].add(weight * product, mode="drop")

        return lax.fori_loop(0, jnp.max(chosen.steps), add, weights)

    return [chunks.each(walks, body, weights)]


def prepared(
    known: Mapping[str, Any], maps: Sequence[Any], chunk: int, each: int = 1
) -> tuple[Any, Chunks | None, Walks]:
    """The table of pixels, if features go in, and the bins; None where there is nothing to walk."""
    walks = _walks(known, maps, each)
    channels = maps[0][1]
    pixels = table(known["data"]) if "data" in known else None
    count = sum(images * height * width for images, _, height, width in maps)
    lists = known["y_pixel"].shape[0] * known["x_pixel"].shape[0]
    if not (count and channels and lists and walks.bin.shape[0]):
        return pixels, None, walks
    return pixels, in_chunks(walks.steps, channels, chunk), walks


KERNELS: dict[str, Callable[..., list[Array]]] = {
    "taps_read": _read,
    "taps_add": _add,
    "taps_weigh_y": partial(_weigh, "y"),
    "taps_weigh_x": partial(_weigh, "x"),
    "taps_weigh": lambda *known, **how: [*_weigh("y", *known, **how), *_weigh("x", *known, **how)],
}
