"""The graph of the forward pass: blocks of regions against the tiles they touch."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
from dask._task_spec import List, TaskRef

from roipool.doors.dask import chunks, tasks, undivided
from roipool.doors.dask.graph import Layer


class Call(NamedTuple):
    """What is to be pooled, checked; `argmax_dtype` is None where positions are not needed."""

    source: tasks.Source
    data: da.Array
    argmax_dtype: Any

    @property
    def channels(self) -> chunks.Sizes:
        """Of the result, in chunks."""
        operator, size = self.source.operator, self.source.call.pooled_size
        return tuple(operator.channels("data", each, size) for each in self.data.chunks[1])

    @property
    def fills(self) -> bool:
        """Whether bins without taps hold what only all tiles of a region together tell."""
        operator, call = self.source.operator, self.source.call
        return operator.divides and operator.filling(call) != 0

    @property
    def divided(self) -> bool:
        """Whether a region may have parts in several tiles."""
        return bool(max(self.data.numblocks[2:]) > 1)

    @property
    def join(self) -> tasks.Join:
        """How parts of a region make one."""
        if not self.divided:
            return tasks.place
        return tasks.outdo if self.source.operator.saved else tasks.add

    @property
    def part_dtype(self) -> Any:
        """Of values of a tile: sums are rounded once, when all are added up."""
        return self.source.sums if self.join is tasks.add else self.data.dtype


class Block(NamedTuple):
    """A run of regions that is a chunk of the result: its first row and their number, the rows or
    their key, and the chunks (n, y, x) of the features that they may touch.
    """

    first: int
    regions: int
    rows: Any
    tiles: Sequence[chunks.Place]


def sizes_of(call: Call, rows: np.ndarray) -> chunks.Sizes:
    """As many rows that can be looked at as fill a chunk with values, or as a structure."""
    height, width = call.source.call.pooled_size
    values = max(call.channels) * height * width * call.data.dtype.itemsize
    return chunks.divided(len(rows), max(values, call.source.bytes_each(rows)))


def known_blocks(
    source: tasks.Source, data: da.Array, rows: np.ndarray, sizes: chunks.Sizes
) -> Iterator[Block]:
    """Blocks of rows that can be looked at; raises for a row that is neither region nor padding."""
    for first, count in zip(chunks.starts(sizes), sizes, strict=True):
        part = rows[first : first + count]
        yield Block(first, count, part, _touched(source, data, part, first))


def _touched(
    source: tasks.Source, data: da.Array, rows: np.ndarray, first: int
) -> list[chunks.Place]:
    if source.operator.divides:
        block = tasks.block_of(source, rows, first)
        return [*chunks.touched(block.found.image, block.spans, data.chunks)]
    image = tasks.images_of_regions(source, rows, first)
    return [(n, 0, 0) for n in chunks.of_images(data.chunks[0], image).tolist()]


def lazy_blocks(data: da.Array, rois: da.Array) -> Iterator[Block]:
    """Blocks of rows that cannot be looked at: each may touch every chunk."""
    images, _, tops, lefts = (range(count) for count in data.numblocks)
    tiles = [*product(images, tops, lefts)]
    sizes = rois.chunks[0]
    for b, (first, count) in enumerate(zip(chunks.starts(sizes), sizes, strict=True)):
        yield Block(first, count, TaskRef((rois.name, b, 0)), tiles)


def structures(layer: Layer, source: tasks.Source, blocks: Sequence[Block]) -> list[TaskRef]:
    """What the regions of each block become."""
    known_of = tasks.block_of if source.operator.divides else undivided.block_of
    return [
        layer.put(("block", b), known_of, source, block.rows, block.first)
        for b, block in enumerate(blocks)
    ]


def fill(layer: Layer, call: Call, blocks: Sequence[Block], with_argmax: bool) -> None:
    """Put the tasks of every block of the result into the layer."""
    found = structures(layer, call.source, blocks)
    # What is smaller may stay in memory. Where that is the result, all blocks of regions stand
    # ready when a chunk of the features comes, so that it can go before the next; else a block
    # visits its chunks and is done before the next.
    regions = sum(block.regions for block in blocks)
    pooled_size = call.source.call.pooled_size
    result_size = regions * sum(call.channels) * math.prod(pooled_size)
    after = layer.after(("blocks",), found) if call.data.size > result_size else None
    for b, block in enumerate(blocks):
        for c, channels in enumerate(call.channels):
            parts = _tiles(layer, call, (b, c), block.tiles, (found[b], after))
            count = chunks.of_channel(call.data.chunks)
            pooled = layer.put(
                ("unfilled", b, c) if call.fills else (b, c, 0, 0),
                tasks.finish,
                List(*layer.combined((b, c), parts, count, call.join)),
                (block.regions, channels, *pooled_size),
                call.data.dtype,
                call.argmax_dtype if with_argmax else None,
                call.join,
            )
            if call.fills:
                layer.put((b, c, 0, 0), tasks.fill, call.source, pooled, found[b])


def _tiles(
    layer: Layer,
    call: Call,
    result: tuple[int, int],
    tiles: Sequence[chunks.Place],
    inputs: tuple[Any, Any],
) -> Mapping[int, TaskRef]:
    """The block's regions in each tile alone, by its number."""
    data, parts = call.data, {}
    pool = tasks.pool_tile if call.source.operator.divides else undivided.pool
    for place, number, corner in chunks.numbered(data.chunks, tiles):
        n, y, x = place
        tile = tasks.Tile(*corner, data.shape[3], call.part_dtype, call.argmax_dtype)
        task = pool, call.source, TaskRef((data.name, n, result[1], y, x)), tile
        parts[number] = layer.put(("tile", *result, *place), *task, *inputs)
    return parts
