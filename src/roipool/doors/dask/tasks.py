"""What the tasks of a graph do: NumPy arrays in and out, nothing of Dask.

A bin may lie in several tiles of its plane. Each tile gives the winner among its own pixels, and
winners are combined by the rule that chose them: the larger value, then the smaller position.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from roipool import bins, boxes, checks, geometry
from roipool.doors import numpy


class Tile(NamedTuple):
    """Where a chunk of the feature maps lies: its first image, row and column, of a plane so wide.

    `argmax_dtype` is what positions in the whole plane fit; None where nobody asks for them.
    """

    image: int
    top: int
    left: int
    plane_width: int
    argmax_dtype: Any


class Pooled(NamedTuple):
    """Some regions of a block, pooled over the pixels of some tiles.

    A bin without a pixel there holds 0 and −1, one of nothing but NaN holds NaN and −1: what they
    give if no other tile knows better.

    Attributes:
        regions: (m,) places in the block, ascending.
        values: (m, c, h, w), in the dtype of the features.
        argmax: (m, c, h, w) positions in the whole plane; None where the planes are not divided
            and nobody asks for positions.
    """

    regions: np.ndarray
    values: np.ndarray
    argmax: np.ndarray | None


def bins_of_block(
    rows: Any,
    data_shape: tuple[int, int, int, int],
    pooled_size: tuple[int, int],
    spatial_scale: float,
    data_dtype: Any,
    first: int,
) -> geometry.Bins:
    """The bins of the rows from row `first` of all rois on."""
    rows = boxes.as_rows(rows, data_shape[0])
    return bins.max_bins(rows, data_shape, pooled_size, spatial_scale, data_dtype, first)


def pool_tile(data: Any, tile: Tile, block: geometry.Bins, after: None) -> Pooled:
    """The regions of a block that touch the tile, over its pixels alone; `after` only waits."""
    data = boxes.as_native(numpy.as_maps(data))
    images, _, height, width = data.shape
    touching = (block.image >= tile.image) & (block.image < tile.image + images)
    for side, begin, size in ((block.rows, tile.top, height), (block.cols, tile.left, width)):
        first, last = side[:, 0, 0], side[:, -1, 1]
        touching &= (first < begin + size) & (last > begin)
    regions = np.flatnonzero(touching)
    edges = geometry.Bins(
        block.image[regions] - tile.image,
        np.clip(block.rows[regions] - tile.top, 0, height),
        np.clip(block.cols[regions] - tile.left, 0, width),
    )
    values, argmax = numpy.max_of_bins(data, edges, tile.argmax_dtype)
    if argmax is not None:
        _to_plane(argmax, width, tile)
    return Pooled(regions, values, argmax)


def _to_plane(argmax: np.ndarray, width: int, tile: Tile) -> None:
    """Positions in the tile made positions in the plane, in place."""
    moved: Any = tile.top * tile.plane_width + tile.left
    if 0 < width < tile.plane_width:
        moved += argmax // width * (tile.plane_width - width)
    np.add(argmax, moved, out=argmax, where=argmax >= 0)


def combine(parts: Sequence[Pooled]) -> Pooled:
    """All regions of several parts."""
    if len(parts) == 1:
        return parts[0]
    regions = np.unique(np.concatenate([part.regions for part in parts]))
    return _combined(parts, regions, parts[0].values.shape[1:], parts[0].values.dtype)


def finish(
    parts: Sequence[Pooled],
    shape: tuple[int, int, int, int],
    dtype: Any,
    argmax_dtype: Any,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """A block of the result: values, and positions where a dtype is given for them."""
    if len(parts) == 1 and len(parts[0].regions) == shape[0]:
        whole = parts[0]
    else:
        whole = _combined(parts, np.arange(shape[0]), shape[1:], dtype)
    if argmax_dtype is None:
        return whole.values
    if whole.argmax is None:
        return whole.values, np.full(shape, -1, argmax_dtype)
    return whole.values, whole.argmax


def _combined(
    parts: Sequence[Pooled], regions: np.ndarray, shape: tuple[int, ...], dtype: Any
) -> Pooled:
    values = np.zeros((len(regions), *shape), dtype)
    argmax = None
    if parts and parts[0].argmax is not None:
        argmax = np.full(values.shape, -1, parts[0].argmax.dtype)
    for part in parts:
        at = np.searchsorted(regions, part.regions)
        if argmax is None or part.argmax is None:
            values[at] = part.values  # of no other part's regions: planes are not divided
            continue
        best, where = values[at], argmax[at]
        better = _is_better(part.values, part.argmax, best, where)
        np.copyto(best, part.values, where=better)
        np.copyto(where, part.argmax, where=better)
        values[at], argmax[at] = best, where
    return Pooled(regions, values, argmax)


def _is_better(
    value: np.ndarray, position: np.ndarray, best: np.ndarray, where: np.ndarray
) -> np.ndarray:
    """Whether a winner beats another: any number beats NaN, and NaN beats nothing at all."""
    with np.errstate(invalid="ignore"):  # signalling NaN
        wins = (value > best) | (value == best) & (position < where)
        better = np.where(position >= 0, wins | (where < 0), (value != value) & (where < 0))
    return np.asarray(better)


def images_of_block(rows: Any, images: int, first: int) -> np.ndarray:
    """The image of each row from row `first` of all rois on; −1 for a padding row."""
    return bins.image_index(boxes.as_rows(rows, images), images, first)


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


class Addends(NamedTuple):
    """What a block of regions adds to one band: flat positions and gradients, in the order of k,
    i and j for each position.
    """

    at: np.ndarray
    grad: np.ndarray


def split_block(
    grad: np.ndarray, argmax: np.ndarray, image: np.ndarray, bands: Bands
) -> dict[tuple[int, int], Addends]:
    """The gradients of a block of regions, by the band (n, y) that they are added to."""
    height, width = bands.tops[-1], bands.width
    regions = np.flatnonzero(image >= 0)
    image, argmax = image[regions], argmax[regions]
    if argmax.dtype != np.int32:
        argmax = argmax.astype(np.int64, copy=False)
    highest = argmax.max(axis=(1, 2, 3), initial=-1)
    inside = highest.max(initial=-1) < height * width and argmax.min(initial=-1) == -1
    checks.refuse_argmax_outside(bool(inside), height, width)
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
            parts[n, y] = Addends(at, grad[regions[near]][found])
    return parts


def add(
    total: np.ndarray | None,
    parts: Sequence[Addends | None],
    shape: tuple[int, ...],
    dtype: Any,
    after: None,
) -> np.ndarray:
    """The total of earlier blocks, or zeros, and one by one the gradients of these, as `dtype`.

    Half-precision gradients are summed in float32. `after` only waits.
    """
    sums = np.dtype(np.float32 if np.dtype(dtype).itemsize == 2 else dtype)
    total = np.zeros(shape, sums) if total is None else total.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        for part in parts:
            if part is not None:
                np.add.at(total.reshape(-1), part.at, part.grad.astype(sums, copy=False))
        return total.astype(dtype, copy=False)


def wait(*others: Any) -> None:
    """Nothing: a task that is given this runs after those."""
