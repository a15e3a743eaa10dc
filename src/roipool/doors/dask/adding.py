"""What the tasks of the backward pass do: regions' gradients split by bands, and added in order.

A band starts from the total of the blocks of regions before: the same sums in the same order, so
the same bits, whatever the chunks.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from roipool import checks, memory, native, windows
from roipool.doors.dask.tasks import Block, Source


class Bands(NamedTuple):
    """The chunks of a gradient: whole rows of some images, so a run of positions in each plane.

    Attributes:
        images: Where each chunk of images begins and, closing the list, where the last ends.
        tops: The same of rows.
        width: Of a plane.
    """

    images: tuple[int, ...]
    tops: tuple[int, ...]
    width: int

    def window(self, n: int, y: int) -> windows.Window:
        """The pixels of a band."""
        image, top = self.images[n], self.tops[y]
        return windows.Window(
            image, top, 0, self.images[n + 1] - image, self.tops[y + 1] - top, self.width
        )


# Adds parts of blocks of regions to a total, one after the other.
Add = Callable[[np.ndarray, Sequence[Any]], np.ndarray]


def add(
    total: np.ndarray | None,
    parts: Sequence[Any],
    shape: tuple[int, ...],
    dtype: Any,
    adding: Add,
    after: None,
) -> np.ndarray:
    """The total of earlier blocks, or zeros, and one by one the gradients of these, as `dtype`.

    Half-precision gradients are summed in float32. `after` only waits.
    """
    sums = np.dtype(np.float32 if np.dtype(dtype).itemsize == 2 else dtype)
    parts = [part for part in parts if part is not None]
    total = np.zeros(shape, sums) if total is None else total
    with np.errstate(over="ignore", invalid="ignore"):
        if parts:
            total = adding(total, parts)
        return total.astype(dtype, copy=False)


class AtPositions(NamedTuple):
    """What a block of regions adds to one band: flat positions and gradients, in the order of k,
    i and j for each position.
    """

    at: np.ndarray
    grad: np.ndarray


def split_positions(
    grad: np.ndarray, argmax: np.ndarray, image: np.ndarray, bands: Bands
) -> dict[tuple[int, int], AtPositions]:
    """The gradients of a block of regions, by the band (n, y) that they are added to."""
    height, width = bands.tops[-1], bands.width
    regions = np.flatnonzero(image >= 0)
    image, argmax = image[regions], argmax[regions]
    if argmax.dtype != np.int32:
        argmax = argmax.astype(np.int64, copy=False)
    highest = argmax.max(axis=(1, 2, 3), initial=-1)
    inside = highest.max(initial=-1) < height * width and argmax.min(initial=-1) == -1
    checks.refuse_argmax_outside(bool(inside), [(bands.images[-1], 0, height, width)])
    lowest = argmax.min(axis=(1, 2, 3), initial=np.iinfo(argmax.dtype).max, where=argmax >= 0)

    parts = {}
    for n, y in np.ndindex(len(bands.images) - 1, len(bands.tops) - 1):
        begin, end = bands.tops[y] * width, bands.tops[y + 1] * width
        near = (image >= bands.images[n]) & (image < bands.images[n + 1])
        near &= (lowest < end) & (highest >= begin)
        if near.any():
            plane = image[near].astype(np.intp) - bands.images[n]
            found = (argmax[near] >= begin) & (argmax[near] < end)
            first = (plane[:, None] * grad.shape[1] + np.arange(grad.shape[1])) * (end - begin)
            at = np.broadcast_to(first[:, :, None, None], found.shape)[found]
            at += argmax[near][found].astype(np.intp) - begin
            parts[n, y] = AtPositions(at, grad[regions[near]][found])
    return parts


def add_positions(total: np.ndarray, parts: Sequence[AtPositions]) -> np.ndarray:
    """To the total, what stands at positions of it."""
    total = total.copy()
    for part in parts:
        np.add.at(total.reshape(-1), part.at, part.grad.astype(total.dtype, copy=False))
    return total


def split_structure(
    grad: np.ndarray, block: Block, bands: Bands
) -> dict[tuple[int, int], Mapping[str, Any]]:
    """What a linear kernel takes of a block of regions, by the band (n, y) that it adds to."""
    parts: dict[tuple[int, int], Mapping[str, Any]] = {}
    for n, y in np.ndindex(len(bands.images) - 1, len(bands.tops) - 1):
        window = bands.window(n, y)
        regions = windows.touching(block.found.image, block.spans, window)
        if len(regions):
            found, _ = windows.within(block.found, regions, window)
            parts[n, y] = {"pooled": grad[regions], **found._asdict()}
    return parts


def add_structure(
    source: Source, total: np.ndarray, parts: Sequence[Mapping[str, Any]]
) -> np.ndarray:
    """To the total, what a linear kernel adds.

    In one call of it, where before the regions come others, which add the total's own pixels.
    """
    calls = [{**part, "pooled": part["pooled"].astype(total.dtype, copy=False)} for part in parts]
    if total.any():
        calls.insert(0, windows.pixels(total, source.call.pooled_size))
    kernel = source.operator.backward
    inputs = windows.joined(kernel.inputs, calls)
    result = memory.empty(total.shape, total.dtype)
    native.run(kernel, total.dtype.name, inputs, [[result]])
    return result
