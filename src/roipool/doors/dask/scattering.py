"""The graph of the backward pass: blocks of regions split by bands of rows, and added in order."""

import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
from dask._task_spec import List, TaskRef

from roipool.descriptions import Operator
from roipool.doors.dask import adding, chunks, tasks, undivided
from roipool.doors.dask.graph import Layer


class Call(NamedTuple):
    """What is to be added, checked, and how.

    Attributes:
        grad: Its bins undivided.
        saved: What else there is of each bin, in its chunks.
        sizes: Of the chunks of the result.
        found: (rows, first) to what is known of a block of regions.
        images: (rows, first) to the image of each; raises for a row that is neither region nor
            padding, as far as that matters.
        split: (grad, *saved, found, bands) to its part for each band.
        add: Adds such parts to a total.
        continues: Whether to any total: else to zeros, so that all parts are there at once.
    """

    grad: da.Array
    saved: tuple[da.Array, ...]
    sizes: tuple[chunks.Sizes, ...]
    found: Callable[..., Any]
    images: Callable[..., np.ndarray]
    split: Callable[..., Any]
    add: adding.Add
    continues: bool = True


def at_positions(
    operator: Operator, grad: da.Array, saved: Sequence[da.Array], sizes: tuple[chunks.Sizes, ...]
) -> Call:
    """Each gradient at the position of the winner, which was saved."""
    images = partial(tasks.images_of_block, operator, sum(sizes[0]))
    given = grad, tuple(saved), sizes, images, images
    return Call(*given, adding.split_positions, adding.add_positions)


def at_structure(
    source: tasks.Source, grad: da.Array, saved: Sequence[da.Array], sizes: tuple[chunks.Sizes, ...]
) -> Call:
    """Each gradient at all that was read."""
    given = grad, tuple(saved), sizes
    images = partial(tasks.images_of_regions, source)
    if source.operator.divides:
        block_of, add = partial(tasks.block_of, source), partial(adding.add_structure, source)
        return Call(*given, block_of, images, adding.split_structure, add)
    rows_of, add = partial(undivided.block_of, source), partial(undivided.add, source)
    return Call(*given, rows_of, images, undivided.split, add, continues=False)


class Block(NamedTuple):
    """What is known of a chunk of regions, by its key, and the chunks of images they may be in."""

    found: TaskRef
    touched: Collection[int]


def blocks_of(layer: Layer, call: Call, rows: Any) -> list[Block]:
    """Blocks of regions, in the chunks of grad; raises for a row that is seen to be none."""
    sizes, images = call.grad.chunks[0], call.sizes[0]
    blocks = []
    touched: Collection[int]
    for b, (first, count) in enumerate(zip(chunks.starts(sizes), sizes, strict=True)):
        if isinstance(rows, da.Array):
            part, touched = TaskRef((rows.name, b, 0)), range(len(images))
        else:
            part = rows[first : first + count]
            touched = {*chunks.of_images(images, call.images(part, first)).tolist()}
        blocks.append(Block(layer.put(("block", b), call.found, part, first), touched))
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
        if not call.continues:
            at_once = max(len(blocks), 1)
        for (n, y), band in parts.items():
            shape = (images[n], count, heights[y], width)
            _sum(layer, call, (n, c, y), band, at_once, shape, after)


def _sum(
    layer: Layer,
    call: Call,
    place: chunks.Place,
    parts: list[TaskRef],
    at_once: int,
    shape: tuple[int, ...],
    after: Any,
) -> None:
    """Put the tasks of one band into the layer: from the total of the parts before to the next."""
    dtype = call.grad.dtype
    steps = [parts[i : i + at_once] for i in range(0, len(parts), at_once)] or [[]]
    wide = np.float32 if dtype.itemsize == 2 else dtype
    total = None
    for i, step in enumerate(steps[:-1]):
        given = total, List(*step), shape, wide, call.add, after
        total = layer.put(("add", *place, i), adding.add, *given)
    given = total, List(*steps[-1]), shape, dtype, call.add, after
    layer.put((*place, 0), adding.add, *given)


def _split(
    layer: Layer, call: Call, blocks: Sequence[Block], c: int
) -> dict[tuple[int, int], list[TaskRef]]:
    """For each band of a chunk of channels its part of each block, in the order of blocks."""
    images, _, heights, (width,) = call.sizes
    bands = adding.Bands(
        (*chunks.starts(images), sum(images)), (*chunks.starts(heights), sum(heights)), width
    )
    parts: dict[tuple[int, int], list[TaskRef]] = {
        band: [] for band in product(range(len(images)), range(len(heights)))
    }
    for b, block in enumerate(blocks):
        given = [TaskRef((array.name, b, c, 0, 0)) for array in (call.grad, *call.saved)]
        split = layer.put(("split", b, c), call.split, *given, block.found, bands)
        for n, y in product(range(len(images)), range(len(heights))):
            if n in block.touched:
                part = layer.put(("part", b, n, c, y), dict.get, split, (n, y))
                parts[n, y].append(part)
    return parts
