"""The graph of the backward pass: each band of rows adds the blocks of regions one by one.

Sums are the same bits in any chunks because a band starts from the total of the blocks before.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
from dask._task_spec import TaskRef

from roipool.doors.dask import chunks, tasks
from roipool.doors.dask.graph import Layer


class Call(NamedTuple):
    """What is to be added, checked; argmax is in the chunks of grad, bins undivided."""

    grad: da.Array
    argmax: da.Array
    data_shape: tuple[int, int, int, int]


class Block(NamedTuple):
    """The images of a chunk of regions or their key, and the chunks of images they may be in."""

    image: Any
    images: Any


def known_blocks(call: Call, image: np.ndarray, images: chunks.Sizes) -> list[Block]:
    """Blocks of regions whose images can be looked at."""
    sizes = call.grad.chunks[0]
    parts = [image[first : first + n] for first, n in zip(chunks.starts(sizes), sizes, strict=True)]
    return [Block(part, {*chunks.of_images(images, part).tolist()}) for part in parts]


def lazy_blocks(layer: Layer, call: Call, rois: da.Array, images: chunks.Sizes) -> list[Block]:
    """Blocks of regions, in the chunks of grad, whose images cannot be looked at."""
    blocks = []
    for b, first in enumerate(chunks.starts(rois.chunks[0])):
        rows = TaskRef((rois.name, b, 0))
        image = layer.put(("images", b), tasks.images_of_block, rows, call.data_shape[0], first)
        blocks.append(Block(image, range(len(images))))
    return blocks


def fill(layer: Layer, call: Call, blocks: Sequence[Block], sizes: Sequence[chunks.Sizes]) -> None:
    """Put the tasks of every chunk of the gradient, of these sizes, into the layer."""
    firsts, tops = chunks.starts(sizes[0]), chunks.starts(sizes[2])
    for n, c, y in np.ndindex(*(len(axis) for axis in sizes[:3])):
        shape = (sizes[0][n], sizes[1][c], sizes[2][y], sizes[3][0])
        band = tasks.Band(firsts[n], tops[y], shape, call.data_shape[2:])
        total = None
        for b, block in enumerate(blocks):
            if n not in block.images:
                continue
            grad, argmax = (TaskRef((array.name, b, c, 0, 0)) for array in call[:2])
            step = ("add", n, c, y, b)
            total = layer.put(step, tasks.add_block, total, grad, argmax, block.image, band)
        layer.put((n, c, y, 0), tasks.round_once, total, shape, call.grad.dtype)
