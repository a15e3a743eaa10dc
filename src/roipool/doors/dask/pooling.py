"""The graph of the forward pass: blocks of regions against the tiles they touch."""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
from dask._task_spec import List, TaskRef

from roipool.doors.dask import chunks, tasks
from roipool.doors.dask.graph import Layer

AT_ONCE = 4  # parts that one task combines, as in Dask's own reductions


class Call(NamedTuple):
    """What is to be pooled, checked; `argmax_dtype` is None where the planes are not divided and
    nobody asks for positions.
    """

    data: da.Array
    pooled_size: tuple[int, int]
    spatial_scale: float
    argmax_dtype: Any

    def bins(self, rows: Any, first: int) -> tuple[Any, ...]:
        """The arguments of `tasks.bins_of_block`."""
        return rows, self.data.shape, self.pooled_size, self.spatial_scale, self.data.dtype, first


class Block(NamedTuple):
    """A run of regions that is a chunk of the result: its first row and their number, the rows or
    their key, and the chunks (n, y, x) of the features that they may touch.
    """

    first: int
    regions: int
    rows: Any
    tiles: Sequence[chunks.Place]


def known_blocks(call: Call, rows: np.ndarray) -> Iterator[Block]:
    """Blocks of rows that can be looked at; raises for a row that is neither region nor padding."""
    data, (height, width) = call.data, call.pooled_size
    values = max(data.chunks[1]) * height * width * data.dtype.itemsize
    sizes = chunks.divided(len(rows), max(values, 8 * (height + width)))  # or the bins' edges
    for first, count in zip(chunks.starts(sizes), sizes, strict=True):
        part = rows[first : first + count]
        bins = tasks.bins_of_block(*call.bins(part, first))
        yield Block(first, count, part, [*chunks.touched(bins, data.chunks)])


def lazy_blocks(call: Call, rois: da.Array) -> Iterator[Block]:
    """Blocks of rows that cannot be looked at: each may touch every chunk."""
    images, _, tops, lefts = (range(count) for count in call.data.numblocks)
    tiles = [*product(images, tops, lefts)]
    sizes = rois.chunks[0]
    for b, (first, count) in enumerate(zip(chunks.starts(sizes), sizes, strict=True)):
        yield Block(first, count, TaskRef((rois.name, b, 0)), tiles)


def fill(layer: Layer, call: Call, blocks: Sequence[Block], with_argmax: bool) -> None:
    """Put the tasks of every block of the result into the layer."""
    bins = [
        layer.put(("bins", b), tasks.bins_of_block, *call.bins(block.rows, block.first))
        for b, block in enumerate(blocks)
    ]
    # What is smaller may stay in memory. Where that is the result, all blocks of regions stand
    # ready when a chunk of the features comes, so that it can go before the next; else a block
    # visits its chunks and is done before the next.
    regions = sum(block.regions for block in blocks)
    result_size = regions * call.data.shape[1] * math.prod(call.pooled_size)
    after = layer.after(("bins",), bins) if call.data.size > result_size else None
    for b, block in enumerate(blocks):
        for c, channels in enumerate(call.data.chunks[1]):
            tiles = _tiles(layer, call, (b, c), block.tiles, (bins[b], after))
            layer.put(
                (b, c, 0, 0),
                tasks.finish,
                List(*_combined(layer, (b, c), tiles)),
                (block.regions, channels, *call.pooled_size),
                call.data.dtype,
                call.argmax_dtype if with_argmax else None,
            )


def _tiles(
    layer: Layer,
    call: Call,
    result: tuple[int, int],
    tiles: Sequence[chunks.Place],
    inputs: tuple[Any, Any],
) -> list[TaskRef]:
    """The block's regions in each tile alone."""
    images, tops, lefts = (chunks.starts(call.data.chunks[axis]) for axis in (0, 2, 3))
    parts = []
    for n, y, x in tiles:
        tile = tasks.Tile(images[n], tops[y], lefts[x], call.data.shape[3], call.argmax_dtype)
        data = TaskRef((call.data.name, n, result[1], y, x))
        parts.append(layer.put(("tile", *result, n, y, x), tasks.pool_tile, data, tile, *inputs))
    return parts


def _combined(layer: Layer, result: tuple[int, int], parts: list[TaskRef]) -> list[TaskRef]:
    """Few enough parts for one task, each combined of a few others; they never all meet."""
    level = 0
    while len(parts) > AT_ONCE:
        groups = [parts[i : i + AT_ONCE] for i in range(0, len(parts), AT_ONCE)]
        parts = [
            layer.put(("combine", *result, level, i), tasks.combine, List(*group))
            for i, group in enumerate(groups)
        ]
        level += 1
    return parts
