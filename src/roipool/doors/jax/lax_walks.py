"""What the kernels in jax.lax share: feature maps as a table of pixels, and bins walked in chunks.

A bin is walked step by step, all channels at once: one row of a table (pixels of all maps, C) a
step. Bins are sorted by their steps and walked in chunks, so that the bins of a chunk end together
and nothing larger than a few results is ever in memory.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, core, lax

COUNTED = 2**31  # by the int32 that indices are
NOWHERE = COUNTED - 1  # an index that no array has


class Chunks(NamedTuple):
    """Bins in the order of their steps, so many at a time.

    Attributes:
        order: The bin at each place; what fills the last chunk is none, a walk of zeros.
        rank: The place of each bin.
        size: Of a chunk.
        chunks: How many there are.
    """

    order: Array
    rank: Array
    size: int
    chunks: int

    def each(self, walks: Any, body: Callable[[Array, Any, Any], Any], carried: Any) -> Any:
        """Runs `body` (first place, walks of a chunk, carried) over all chunks."""
        walks = type(walks)(*(part.at[self.order].get(mode="fill", fill_value=0) for part in walks))

        def chunk(i: Array, carried: Any) -> Any:
            first = i * self.size
            chosen = (lax.dynamic_slice(part, (first,), (self.size,)) for part in walks)
            return body(first, type(walks)(*chosen), carried)

        return lax.fori_loop(0, self.chunks, chunk, carried)

    def results(self, walks: Any, walk: Callable[[Any], Sequence[Array]], like: Any) -> list[Array]:
        """What `walk` gives for each bin: (bins, C), arrays of as many channels and dtypes."""

        def body(first: Array, chosen: Any, out: list[Array]) -> list[Array]:
            found = walk(chosen)
            return [
                lax.dynamic_update_slice(o, f, (first, 0)) for o, f in zip(out, found, strict=True)
            ]

        out = [jnp.zeros((self.chunks * self.size, channels), dtype) for channels, dtype in like]
        return [part[self.rank] for part in self.each(walks, body, out)]


def in_chunks(steps: Array, channels: int, chunk: int) -> Chunks:
    """Of bins that take so many steps each, chunks of so many elements."""
    count = steps.shape[0]
    size = core.min_dim(count, -(-chunk // channels))
    chunks = -(-count // size)
    order = jnp.argsort(steps)
    rank = jnp.zeros_like(order).at[order].set(jnp.arange(count, dtype=order.dtype))
    order = jnp.pad(order, (0, chunks * size - count), constant_values=count)
    return Chunks(order, rank, size, chunks)


def table(maps: Sequence[Array]) -> Array:
    """The pixels of all maps, one after the other: (pixels, C)."""
    parts = []
    for array in maps:
        images, channels, height, width = array.shape
        parts.append(array.transpose(0, 2, 3, 1).reshape(images * height * width, channels))
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)


def untabled(pixels: Array, shapes: Sequence[Sequence[int]]) -> list[Array]:
    """The maps of these shapes, of their table."""
    maps, first = [], 0
    for images, channels, height, width in shapes:
        count = images * height * width
        part = pixels[first : first + count].reshape(images, height, width, channels)
        maps.append(part.transpose(0, 3, 1, 2))
        first += count
    return maps


def in_table(image: Array, shapes: Sequence[Sequence[int]]) -> tuple[Array, Array]:
    """Where the image of each region begins in the table, and its width."""
    pixels = sum(images * height * width for images, _, height, width in shapes)
    refuse_more_than_counted("data", shapes, pixels)
    (images, _, height, width), *others = shapes
    base, stride = image * (height * width), jnp.asarray(width, jnp.int32)
    first, begin = images, images * height * width
    for images, _, height, width in others:
        behind = image >= first
        base = jnp.where(behind, begin + (image - first) * (height * width), base)
        stride = jnp.where(behind, width, stride)
        first, begin = first + images, begin + images * height * width
    return base, stride


def heights(image: Array, shapes: Sequence[Sequence[int]]) -> Array:
    """That of the image of each region."""
    height, first = jnp.full_like(image, shapes[0][2]), shapes[0][0]
    for images, _, other, _ in shapes[1:]:
        height, first = jnp.where(image >= first, other, height), first + images
    return height


def refuse_more_than_counted(name: str, shapes: Sequence[Sequence[int]], pixels: Any) -> None:
    """Raise where an index would not hold so many."""
    if pixels >= COUNTED:
        said = tuple(shapes[0]) if len(shapes) == 1 else [tuple(shape) for shape in shapes]
        raise ValueError(
            f"{name} has shape {said}; jax.lax indexes fewer than 2**31 pixels of all images, and "
            "of all channels: pool the images, or the channels, in several calls"
        )


def pixels_of(shape: Sequence[int]) -> int:
    """How many numbers an array of that shape holds."""
    return math.prod(shape)


def as_bins(rows: Array, regions: int, height: int, width: int) -> Array:
    """Bins (K * h * w, C) in the shape of pooled values."""
    return rows.reshape(regions, height, width, rows.shape[1]).transpose(0, 3, 1, 2)
