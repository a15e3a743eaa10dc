"""Chunk arithmetic: how results are divided, and which chunks a block of regions touches."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

import dask
import numpy as np
from dask.array.core import normalize_chunks
from dask.utils import parse_bytes

Sizes = tuple[int, ...]  # of the chunks along one axis
Place = tuple[int, int, int]  # of a chunk of feature maps: n, y, x


def divided(count: int, bytes_each: int) -> Sizes:
    """Chunks of so many things, each of about dask's `array.chunk-size`."""
    limit = parse_bytes(dask.config.get("array.chunk-size"))
    chunks: Sizes = normalize_chunks(max(1, limit // max(bytes_each, 1)), (count,))[0]
    return chunks


def starts(sizes: Sizes) -> Sizes:
    """Where each chunk begins."""
    return tuple(accumulate(sizes[:-1], initial=0))


def of_groups(sizes: Sizes, group: int) -> Sizes:
    """The chunks made longer, so that none ends inside a group of so many."""
    ends = sorted({-(-end // group) * group for end in accumulate(sizes)})
    return tuple(end - begin for begin, end in pairwise([0, *ends]))


def of_planes(
    data_shape: Sequence[int], channels: Sizes, itemsize: int, *, whole: bool = False
) -> tuple[Sizes, Sizes]:
    """Chunks of images, and of rows where a plane is too large for one and need not be whole."""
    images, _, height, width = data_shape
    row = width * max(channels) * itemsize
    heights = (height,) if whole else divided(height, row)
    return divided(images, row * max(heights)), heights


def of_images(sizes: Sizes, image: np.ndarray) -> np.ndarray:
    """The chunks that hold these images, once each; padding rows are in none."""
    return np.unique(_chunk_at(sizes, image[image >= 0]))


def of_channel(chunks: Sequence[Sizes]) -> int:
    """How many chunks of feature maps a chunk of channels has."""
    return len(chunks[0]) * len(chunks[2]) * len(chunks[3])


def numbered(
    chunks: Sequence[Sizes], places: Iterable[Place]
) -> Iterator[tuple[Place, int, tuple[int, int, int]]]:
    """Of chunks of feature maps their number among all, and first image, row and column."""
    images, _, tops, lefts = map(starts, chunks)
    for n, y, x in places:
        number = (n * len(tops) + y) * len(lefts) + x
        yield (n, y, x), number, (images[n], tops[y], lefts[x])


def touched(image: np.ndarray, spans: np.ndarray, chunks: Sequence[Sizes]) -> Iterator[Place]:
    """The chunks (n, y, x) that some region has pixels in, in the order of the array: of regions
    their images, and begin and end along y and along x.
    """
    some = (image >= 0) & (spans[..., 0] < spans[..., 1]).all(1)
    n = _chunk_at(chunks[0], image[some])
    (y0, y1), (x0, x1) = (
        [_chunk_at(chunks[axis + 2], spans[some, axis, end] - end) for end in (0, 1)]
        for axis in (0, 1)
    )
    for each in np.unique(n):
        # +1 where a region's rectangle of chunks begins and −1 where it ends, summed along both
        # axes, is how many regions touch each chunk: no loop over regions.
        at = n == each
        corners = np.zeros((len(chunks[2]) + 1, len(chunks[3]) + 1), np.int64)
        for y, x, sign in ((y0, x0, 1), (y1 + 1, x0, -1), (y0, x1 + 1, -1), (y1 + 1, x1 + 1, 1)):
            np.add.at(corners, (y[at], x[at]), sign)
        for tile_y, tile_x in np.argwhere(corners.cumsum(0).cumsum(1) > 0).tolist():
            yield int(each), tile_y, tile_x


def _chunk_at(sizes: Sizes, position: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.cumsum(sizes), position, side="right")
