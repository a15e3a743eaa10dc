"""The graph of the backward pass: blocks of regions split by bands of rows, and added in order.

Sums are the same bits in any chunks because a band starts from the total of the blocks before.
"""

import math
from collections.abc import Collection, Sequence
from itertools import product
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
from dask._task_spec import List, TaskRef

from roipool.doors.dask import chunks, tasks
from roipool.doors.dask.graph import Layer


class Call(NamedTuple):
    """What is to be added, checked: argmax in the chunks of grad, bins undivided; and the sizes of
    the chunks of the result.
    """

    grad: da.Array
    argmax: da.Array
    sizes: tuple[chunks.Sizes, chunks.Sizes, chunks.Sizes, chunks.Sizes]


class Block(NamedTuple):
    """The images of a chunk of regions or their key, and the chunks of images they may be in."""

    image: Any
    touched: Collection[int]


def known_blocks(call: Call, image: np.ndarray) -> list[Block]:
    """Blocks of regions whose images can be looked at."""
    sizes = call.grad.chunks[0]
    parts = [image[first : first + n] for first, n in zip(chunks.starts(sizes), sizes, strict=True)]
    return [Block(part, {*chunks.of_images(call.sizes[0], part).tolist()}) for part in parts]


def lazy_blocks(layer: Layer, call: Call, rois: da.Array) -> list[Block]:
    """Blocks of regions, in the chunks of grad, whose images cannot be looked at."""
    images = sum(call.sizes[0])
    blocks = []
    for b, first in enumerate(chunks.starts(rois.chunks[0])):
        rows = TaskRef((rois.name, b, 0))
        image = layer.put(("images", b), tasks.images_of_block, rows, images, first)
        blocks.append(Block(image, range(len(call.sizes[0]))))
    return blocks


def fill(layer: Layer, call: Call, blocks: Sequence[Block]) -> None:
    """Put the tasks of every chunk of the gradient into the layer."""
    images, channels, heights, (width,) = call.sizes
    # What is smaller may stay in memory: the gradients of the regions, all split before the first
    # band begins, or the totals of all bands, each given one block's part after the other.
    split_first = math.prod(map(sum, call.sizes)) > call.grad.size
    for c, count in enumerate(channels):
        parts = _split(layer, call, blocks, c)
        every = [part for band in parts.values() for part in band]
        after = layer.after(("parts", c), every) if split_first else None
        # Of regions spread evenly, as many parts as there are bands are about one block.
        at_once = len(parts) if split_first else 1
        for (n, y), band in parts.items():
            shape = (images[n], count, heights[y], width)
            _sum(layer, (n, c, y), band, at_once, shape, call.grad.dtype, after)


def _sum(
    layer: Layer,
    place: chunks.Place,
    parts: list[TaskRef],
    at_once: int,
    shape: tuple[int, ...],
    dtype: Any,
    after: Any,
) -> None:
    """Put the tasks of one band into the layer: from the total of the parts before to the next."""
    steps = [parts[i : i + at_once] for i in range(0, len(parts), at_once)] or [[]]
    wide = np.float32 if dtype.itemsize == 2 else dtype
    total = None
    for i, step in enumerate(steps[:-1]):
        total = layer.put(("add", *place, i), tasks.add, total, List(*step), shape, wide, after)
    layer.put((*place, 0), tasks.add, total, List(*steps[-1]), shape, dtype, after)


def _split(
    layer: Layer, call: Call, blocks: Sequence[Block], c: int
) -> dict[tuple[int, int], list[TaskRef]]:
    """For each band of a chunk of channels its part of each block, in the order of blocks."""
    images, _, heights, (width,) = call.sizes
    bands = tasks.Bands(
        (*chunks.starts(images), sum(images)), (*chunks.starts(heights), sum(heights)), width
    )
    parts: dict[tuple[int, int], list[TaskRef]] = {
        band: [] for band in product(range(len(images)), range(len(heights)))
    }
    for b, block in enumerate(blocks):
        grad, argmax = (TaskRef((array.name, b, c, 0, 0)) for array in call[:2])
        place = ("split", b, c)
        split = layer.put(place, tasks.split_block, grad, argmax, block.image, bands)
        for n, y in product(range(len(images)), range(len(heights))):
            if n in block.touched:
                part = layer.put(("part", b, n, c, y), dict.get, split, (n, y))
                parts[n, y].append(part)
    return parts
