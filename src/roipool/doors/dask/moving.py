"""The gradient of the regions: what moves their weights, summed over tiles and channels."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
from dask._task_spec import List, TaskRef

from roipool import native, windows
from roipool.doors.dask import chunks, tasks, undivided
from roipool.doors.dask.graph import Layer
from roipool.doors.dask.pooling import Block, structures


class Call(NamedTuple):
    """Checked: `grad` has the channels of `data` in the same chunks, its bins undivided, as has
    what else was `saved` of each bin; `dtype` is that of the result.
    """

    source: tasks.Source
    data: da.Array
    grad: da.Array
    saved: tuple[da.Array, ...]
    dtype: Any


def fill(layer: Layer, call: Call, blocks: Sequence[Block]) -> None:
    """Put the tasks of every block of the result into the layer."""
    data, grad = call.data, call.grad
    found = structures(layer, call.source, blocks)
    channels = range(data.numblocks[1])
    # As of values: the smaller may stay in memory, here of the features and the gradient.
    every = [
        TaskRef((array.name, b, c, 0, 0))
        for array in (grad, *call.saved)
        for b in range(len(blocks))
        for c in channels
    ]
    after = layer.after(("blocks",), [*found, *every]) if data.size > grad.size else None
    for b, block in enumerate(blocks):
        parts = _tiles(layer, call, b, block.tiles, (found[b], after))
        layer.put(
            (b, 0),
            tasks.finish,
            List(*layer.combined((b,), parts, math.prod(data.numblocks), tasks.add)),
            (block.regions, call.source.operator.rows.width),
            call.dtype,
            None,
            tasks.add,
        )


def _tiles(
    layer: Layer,
    call: Call,
    b: int,
    tiles: Sequence[chunks.Place],
    inputs: tuple[Any, Any],
) -> Mapping[int, TaskRef]:
    """What each tile has of the block's gradient, by its number."""
    data, parts = call.data, {}
    weigh = weigh_tile if call.source.operator.divides else undivided.weigh
    for c in range(data.numblocks[1]):
        before = c * chunks.of_channel(data.chunks)
        for (n, y, x), number, corner in chunks.numbered(data.chunks, tiles):
            tile = tasks.Tile(*corner, data.shape[3], call.source.sums, None)
            pixels = TaskRef((data.name, n, c, y, x))
            of_bins = [TaskRef((each.name, b, c, 0, 0)) for each in (call.grad, *call.saved)]
            task = weigh, call.source, pixels, tile, *inputs, *of_bins
            parts[before + number] = layer.put(("tile", b, c, n, y, x), *task)
    return parts


def weigh_tile(
    source: tasks.Source, data: Any, tile: tasks.Tile, block: tasks.Block, _: None, grad: np.ndarray
) -> tasks.Pooled:
    """The gradient of a block's regions as far as its weights are of pixels in the tile."""
    data, window, regions = tasks.touching(data, tile, block)
    found, slopes = windows.within(block.found, regions, window, block.slopes)
    pooled = np.ascontiguousarray(grad[regions])
    known = {"data": [data], "pooled": pooled, **found._asdict()}
    moved = native.gradient_of_rois(source.operator, data.dtype.name, known, slopes, source.sums)
    return tasks.Pooled(regions, moved)
