"""The kernels of max in jax.lax alone, for the platforms that have no native core."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from roipool.doors.jax import lax_walks
from roipool.doors.jax.lax_walks import as_bins, in_chunks, in_table, table


class _Walks(NamedTuple):
    """Bins as walks over pixels of the table, each (B,) int32; step t is row t // width."""

    base: Array  # the first pixel of the image
    start: Array  # the bin's first pixel, counted from there
    stride: Array  # the image's width
    width: Array
    area: Array

    def at(self, t: Array) -> Array:
        """Position y * W + x after t steps; a walk that has ended stays at its last pixel."""
        t, width = jnp.minimum(t, self.area - 1), jnp.maximum(self.width, 1)
        return self.start + t // width * self.stride + t % width


def pool(
    maps: Sequence[Array],
    image: Array,
    y_bins: Array,
    x_bins: Array,
    *,
    argmax: bool,
    chunk: int = 2**22,
) -> list[Array]:
    """Values (K, C, P_h, P_w) and, where asked, positions; `chunk` elements at a time."""
    shapes = [array.shape for array in maps]
    regions, channels, dtype = image.shape[0], shapes[0][1], maps[0].dtype
    bins = (y_bins.shape[1], x_bins.shape[1])
    walks = _walks(image, y_bins, x_bins, shapes)
    pixels = table(maps)
    if not (pixels.size and regions):
        shape = (regions, channels, *bins)
        return [jnp.zeros(shape, dtype), jnp.full(shape, -1, jnp.int32)][: 1 + argmax]
    like = [(channels, dtype), (channels, jnp.int32)][: 1 + argmax]
    chunks = in_chunks(walks.area, channels, chunk)
    found = chunks.results(walks, lambda chosen: _walk(pixels, chosen, argmax), like)
    return [as_bins(part, regions, *bins) for part in found]


def _walks(image: Array, y_bins: Array, x_bins: Array, shapes: Sequence[Sequence[int]]) -> _Walks:
    base, stride = in_table(image, shapes)
    (top, bottom), (left, right) = (jnp.moveaxis(edges, -1, 0) for edges in (y_bins, x_bins))
    top, bottom, left, right = top[:, :, None], bottom[:, :, None], left[:, None], right[:, None]
    stride = jnp.broadcast_to(stride, image.shape)[:, None, None]
    parts = (
        base[:, None, None],
        top * stride + left,
        stride,
        right - left,
        (bottom - top) * (right - left),
    )
    return _Walks(*(part.reshape(-1) for part in jnp.broadcast_arrays(*parts)))


def _walk(pixels: Array, walks: _Walks, argmax: bool) -> list[Array]:
    """Values and positions (B, C), in two passes: XLA runs a loop that carries one array faster.

    So it does a loop of two pixels a step.
    """
    floating = jnp.issubdtype(pixels.dtype, jnp.floating)
    lowest = jnp.nan if floating else jnp.iinfo(pixels.dtype).min
    shape = (walks.area.shape[0], pixels.shape[1])
    steps = (jnp.max(walks.area) + 1) // 2

    def read(t: Array) -> Array:
        return pixels.at[walks.base + walks.at(t)].get(mode="clip")

    def larger(step: Array, best: Array) -> Array:
        for t in (2 * step, 2 * step + 1):
            new = read(t)
            # NaN, which it begins with, loses to everything; of equal values the first stays.
            best = jnp.where((new > best) | (best != best), new, best)
        return best

    def first(step: Array, position: Array) -> Array:
        for t in (2 * step, 2 * step + 1):
            found = (position < 0) & (read(t) == values)
            position = jnp.where(found, walks.at(t)[:, None], position)
        return position

    values = lax.fori_loop(0, steps, larger, jnp.full(shape, lowest, pixels.dtype))
    pooled = (walks.area > 0)[:, None]
    out = [jnp.where(pooled, values, 0)]
    if argmax:
        position = lax.fori_loop(0, steps, first, jnp.full(shape, -1, jnp.int32))
        out.append(jnp.where(pooled, position, -1))
    return out


def scatter(grad: Array, argmax: Array, image: Array, *, data_shape: Sequence[int]) -> Array:
    """Each gradient added at its argmax, in the order of the regions where XLA keeps to it."""
    sums = jnp.zeros(_flat(data_shape), grad.dtype if grad.dtype.itemsize > 2 else jnp.float32)
    sums = sums.at[_pixels(argmax, image, data_shape)].add(grad.astype(sums.dtype), mode="drop")
    return sums.reshape(data_shape).astype(grad.dtype)


def gather(data: Array, argmax: Array, image: Array) -> Array:
    """The value at each argmax; 0 where nothing was pooled."""
    pixels = _pixels(argmax, image, data.shape)
    return data.reshape(_flat(data.shape)).at[pixels].get(mode="fill", fill_value=0)


def _flat(data_shape: Sequence[int]) -> tuple[int, ...]:
    """All pixels of all planes in one axis, where int32 can count them: one index is faster."""
    pixels = math.prod(data_shape)
    return (pixels,) if pixels < lax_walks.COUNTED else (data_shape[0], math.prod(data_shape[1:]))


def _pixels(argmax: Array, image: Array, data_shape: Sequence[int]) -> tuple[Array, ...]:
    """Indices into the array of that shape; beyond its end where nothing was pooled."""
    images, channels, height, width = data_shape
    lax_walks.refuse_more_than_counted("the map", [data_shape], channels * height * width)
    image = image[:, None, None, None]
    channel = jnp.arange(channels, dtype=jnp.int32)[None, :, None, None]
    pixel = channel * (height * width) + argmax.astype(jnp.int32)
    pooled = (image >= 0) & (image < images) & (argmax >= 0) & (argmax < height * width)
    if len(_flat(data_shape)) == 1:
        return (jnp.where(pooled, image * (channels * height * width) + pixel, 2**31 - 1),)
    return image, jnp.where(pooled, pixel, 2**31 - 1)


def _max(known: Mapping[str, Any], *, results: int, chunk: int, **_: Any) -> list[Array]:
    bins = known["image"], known["y_bins"], known["x_bins"]
    return pool(known["data"], *bins, argmax=results > 1, chunk=chunk)


def _max_read(known: Mapping[str, Any], *, maps: Sequence[Any], **_: Any) -> list[Array]:
    argmax, first = known["argmax"], 0
    read = jnp.zeros(argmax.shape, known["data"][0].dtype)
    for array, shape in zip(known["data"], maps, strict=True):  # each gives 0 for the others
        image = known["image"] - first
        here = ((image >= 0) & (image < shape[0]))[:, None, None, None]
        read = jnp.where(here, gather(array, argmax, image), read)
        first += shape[0]
    return [read]


def _max_add(known: Mapping[str, Any], *, maps: Sequence[Any], **_: Any) -> list[Array]:
    added, first = [], 0
    for shape in maps:
        image = known["image"] - first
        added.append(scatter(known["pooled"], known["argmax"], image, data_shape=shape))
        first += shape[0]
    return added


KERNELS: dict[str, Callable[..., list[Array]]] = {
    "max": _max,
    "max_read": _max_read,
    "max_add": _max_add,
}
