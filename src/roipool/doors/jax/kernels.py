"""The operators in jax.lax alone, for the platforms that have no native core.

A bin is walked pixel by pixel, all channels at once: one row of a table (N * H * W, C) a step.
Bins are sorted by their area and walked in chunks, so that the bins of a chunk end together and
nothing larger than a few results is ever in memory.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, core, lax

COUNTED = 2**31  # by the int32 that indices are


class _Walks(NamedTuple):
    """Bins as walks over pixels of the table, each (B,) int32; step t is row t // width."""

    base: Array  # the first pixel of the image
    start: Array  # the bin's first pixel, counted from there
    width: Array
    area: Array

    def at(self, t: Array, stride: int) -> Array:
        """Position y * W + x after t steps; a walk that has ended stays at its last pixel."""
        t = jnp.minimum(t, self.area - 1)
        return self.start + t // self.width * stride + t % self.width


def pool(
    data: Array, image: Array, rows: Array, cols: Array, *, argmax: bool, chunk: int = 2**22
) -> list[Array]:
    """Values (K, C, P_h, P_w) and, where asked, positions; `chunk` elements at a time."""
    images, channels, height, width = data.shape
    _refuse_more_than_counted("data", data.shape, images * height * width)
    regions, bins = image.shape[0], (rows.shape[1], cols.shape[1])
    walks = _walks(image, rows, cols, height, width)
    count = walks.area.shape[0]
    if not (data.size and count):
        shape = (regions, channels, *bins)
        return [jnp.zeros(shape, data.dtype), jnp.full(shape, -1, jnp.int32)][: 1 + argmax]

    table = data.transpose(0, 2, 3, 1).reshape(images * height * width, channels)
    size = core.min_dim(count, -(-chunk // channels))
    chunks = -(-count // size)
    order = jnp.argsort(walks.area)
    rank = jnp.zeros_like(order).at[order].set(jnp.arange(count, dtype=order.dtype))
    # What fills the last chunk reads as the last bin does, and is no bin's rank.
    order = jnp.pad(order, (0, chunks * size - count), constant_values=count)
    walks = _Walks(*(part.at[order].get(mode="clip") for part in walks))

    def walk_chunk(i: Array, out: list[Array]) -> list[Array]:
        chosen = _Walks(*(lax.dynamic_slice(part, (i * size,), (size,)) for part in walks))
        found = _walk(table, chosen, width, argmax)
        return [
            lax.dynamic_update_slice(o, f, (i * size, 0)) for o, f in zip(out, found, strict=True)
        ]

    dtypes = [data.dtype, jnp.int32][: 1 + argmax]
    out = [jnp.zeros((chunks * size, channels), dtype) for dtype in dtypes]
    out = lax.fori_loop(0, chunks, walk_chunk, out)
    return [part[rank].reshape(regions, *bins, channels).transpose(0, 3, 1, 2) for part in out]


def _walks(image: Array, rows: Array, cols: Array, height: int, width: int) -> _Walks:
    (top, bottom), (left, right) = (jnp.moveaxis(edges, -1, 0) for edges in (rows, cols))
    top, bottom, left, right = top[:, :, None], bottom[:, :, None], left[:, None], right[:, None]
    parts = (
        (image * (height * width))[:, None, None],
        top * width + left,
        jnp.maximum(right - left, 1),
        (bottom - top) * (right - left),
    )
    return _Walks(*(part.reshape(-1) for part in jnp.broadcast_arrays(*parts)))


def _walk(table: Array, walks: _Walks, stride: int, argmax: bool) -> list[Array]:
    """Values and positions (B, C), in two passes: XLA runs a loop that carries one array faster.

    So it does a loop of two pixels a step.
    """
    floating = jnp.issubdtype(table.dtype, jnp.floating)
    lowest = jnp.nan if floating else jnp.iinfo(table.dtype).min
    shape = (walks.area.shape[0], table.shape[1])
    steps = (jnp.max(walks.area) + 1) // 2

    def pixels(t: Array) -> Array:
        return table.at[walks.base + walks.at(t, stride)].get(mode="clip")

    def larger(step: Array, best: Array) -> Array:
        for t in (2 * step, 2 * step + 1):
            new = pixels(t)
            # NaN, which it begins with, loses to everything; of equal values the first stays.
            best = jnp.where((new > best) | (best != best), new, best)
        return best

    def first(step: Array, position: Array) -> Array:
        for t in (2 * step, 2 * step + 1):
            found = (position < 0) & (pixels(t) == values)
            position = jnp.where(found, walks.at(t, stride)[:, None], position)
        return position

    values = lax.fori_loop(0, steps, larger, jnp.full(shape, lowest, table.dtype))
    pooled = (walks.area > 0)[:, None]
    out = [jnp.where(pooled, values, 0)]
    if argmax:
        position = lax.fori_loop(0, steps, first, jnp.full(shape, -1, jnp.int32))
        out.append(jnp.where(pooled, position, -1))
    return out


def scatter(grad: Array, argmax: Array, image: Array, *, data_shape: tuple[int, ...]) -> Array:
    """Each gradient added at its argmax, in the order of the regions where XLA keeps to it."""
    sums = jnp.zeros(_flat(data_shape), grad.dtype if grad.dtype.itemsize > 2 else jnp.float32)
    sums = sums.at[_pixels(argmax, image, data_shape)].add(grad.astype(sums.dtype), mode="drop")
    return sums.reshape(data_shape).astype(grad.dtype)


def gather(data: Array, argmax: Array, image: Array) -> Array:
    """The value at each argmax; 0 where nothing was pooled."""
    pixels = _pixels(argmax, image, data.shape)
    return data.reshape(_flat(data.shape)).at[pixels].get(mode="fill", fill_value=0)


def _flat(data_shape: tuple[int, ...]) -> tuple[int, ...]:
    """All pixels of all planes in one axis, where int32 can count them: one index is faster."""
    pixels = math.prod(data_shape)
    return (pixels,) if pixels < COUNTED else (data_shape[0], math.prod(data_shape[1:]))


def _pixels(argmax: Array, image: Array, data_shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Indices into the array of that shape; beyond its end where nothing was pooled."""
    _, channels, height, width = data_shape
    _refuse_more_than_counted("the map", data_shape, channels * height * width)
    image = image[:, None, None, None]
    channel = jnp.arange(channels, dtype=jnp.int32)[None, :, None, None]
    pixel = channel * (height * width) + argmax.astype(jnp.int32)
    pooled = (image >= 0) & (argmax >= 0) & (argmax < height * width)
    if len(_flat(data_shape)) == 1:
        return (jnp.where(pooled, image * (channels * height * width) + pixel, 2**31 - 1),)
    return image, jnp.where(pooled, pixel, 2**31 - 1)


def _refuse_more_than_counted(name: str, shape: tuple[int, ...], pixels: int) -> None:
    if pixels >= COUNTED:
        raise ValueError(
            f"{name} has shape {shape}; jax.lax indexes fewer than 2**31 pixels of all images, and "
            "of all channels: pool the images, or the channels, in several calls"
        )
