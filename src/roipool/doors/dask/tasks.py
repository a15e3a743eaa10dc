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


def pool_tile(block: geometry.Bins, data: Any, tile: Tile) -> Pooled:
    """The regions of a block that touch the tile, over its pixels alone."""
    data = boxes.as_native(numpy.as_maps(data))
    images, _, height, width = data.shape
    image = block.image - tile.image
    rows = np.clip(block.rows - tile.top, 0, height)
    cols = np.clip(block.cols - tile.left, 0, width)
    touching = (block.image >= 0) & (image >= 0) & (image < images)
    for edges in (rows, cols):
        touching &= edges[:, 0, 0] < edges[:, -1, 1]
    regions = np.flatnonzero(touching)
    edges = geometry.Bins(image[regions], rows[regions], cols[regions])
    values, argmax = numpy.max_of_bins(data, edges, tile.argmax_dtype)
    if argmax is not None:
        _to_plane(argmax, width, tile)
    return Pooled(regions, values, argmax)


def _to_plane(argmax: np.ndarray, width: int, tile: Tile) -> None:
    """Positions in the tile made positions in the plane, in place."""
    moved = argmax // width * (tile.plane_width - width) if width else 0
    moved += tile.top * tile.plane_width + tile.left
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
    rows = boxes.as_rows(rows, images)
    with np.errstate(invalid="ignore"):
        image = geometry.image_index(np, rows[:, 0], images)
    boxes.refuse_batch_indices(rows, image, images, first)
    return np.asarray(image)


class Band(NamedTuple):
    """A chunk of the gradient: whole rows of some images, which are a run of positions."""

    image: int
    top: int
    shape: tuple[int, int, int, int]
    plane: tuple[int, int]


def add_block(
    total: np.ndarray | None,
    grad: np.ndarray,
    argmax: np.ndarray,
    image: np.ndarray,
    band: Band,
) -> np.ndarray:
    """The total of earlier blocks and, added to it in the order of k, i and j, of this one.

    Half-precision gradients are summed in float32.
    """
    images, channels, height, width = band.shape
    dtype = np.float32 if grad.dtype.itemsize == 2 else grad.dtype
    total = np.zeros(band.shape, dtype) if total is None else total.copy()
    of_band = (image >= band.image) & (image < band.image + images)
    grad, argmax = grad[of_band], argmax[of_band]
    last = band.plane[0] * band.plane[1] - 1
    inside = argmax.size == 0 or bool(argmax.min() >= -1 and argmax.max() <= last)
    checks.refuse_argmax_outside(inside, *band.plane)

    first = band.top * width
    found = (argmax >= first) & (argmax < first + height * width)
    plane = (image[of_band, None].astype(np.intp) - band.image) * channels + np.arange(channels)
    at = np.broadcast_to(plane[:, :, None, None], argmax.shape)[found] * (height * width)
    at += argmax[found].astype(np.intp) - first
    with np.errstate(over="ignore", invalid="ignore"):
        np.add.at(total.reshape(-1), at, grad[found].astype(dtype, copy=False))
    return total


def round_once(total: np.ndarray | None, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Sums in the dtype of the gradient; zeros where nothing was added."""
    if total is None:
        return np.zeros(shape, dtype)
    with np.errstate(over="ignore"):
        return total.astype(dtype, copy=False)
