"""What tasks do where planes are not divided: rows of a block and chunks of whole planes.

Each region lies in one chunk of images, so that the NumPy door's answer for that chunk and the rows
of its images is all of theirs, to the bit. No structure leaves a task.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from roipool import rois
from roipool.doors import numpy
from roipool.doors.dask.adding import Bands
from roipool.doors.dask.tasks import Pooled, Source, Tile, images_of_block


class Block(NamedTuple):
    """A run of regions as rows, the image of each, and how many rows came before them."""

    rows: np.ndarray
    image: np.ndarray
    first: int

    def within(self, image: int, images: int) -> tuple[np.ndarray, np.ndarray]:
        """The regions in so many images from one on, and their rows, which count from that."""
        regions = np.flatnonzero((self.image >= image) & (self.image < image + images))
        wide = np.float64 if self.rows.dtype == np.float64 else np.float32
        rows = self.rows[regions].astype(wide)  # a half type counts no further than 2048
        rows[:, 0] = self.image[regions] - image
        return regions, rows


def block_of(source: Source, rows: Any, first: int) -> Block:
    """The rows from row `first` of all rois on."""
    operator, images = source.operator, sum(source.maps.images)
    rows = rois.as_rows(rows, images, operator.rows)
    return Block(rows, images_of_block(operator, images, rows, first), first)


@contextmanager
def _counted(places: np.ndarray) -> Iterator[None]:
    """Errors tell the place that a row has among all rois."""
    try:
        yield
    except rois.RowError as error:
        place = int(places[error.row])
        raise type(error)(place, error.column, error.reason, error.rows) from None


def pool(source: Source, data: Any, tile: Tile, block: Block, after: None) -> Pooled:
    """The regions of a block that lie in the tile's images; `after` only waits."""
    regions, rows = block.within(tile.image, len(data))
    positions = tile.argmax_dtype is not None
    with _counted(block.first + regions):
        found = numpy.pool(source.operator, data, rows, source.call, positions, None)
    return Pooled(regions, *found) if isinstance(found, tuple) else Pooled(regions, found)


def weigh(
    source: Source, data: Any, tile: Tile, block: Block, after: None, *of_bins: np.ndarray
) -> Pooled:
    """The gradient of those regions, by that of their values and what was saved of these."""
    regions, rows = block.within(tile.image, len(data))
    grad, *saved = (array[regions] for array in of_bins)
    known = _named(source, saved)
    with _counted(block.first + regions):
        moved = numpy.backward_rois(source.operator, grad, data, rows, source.call, known)
    return Pooled(regions, moved)


class Part(NamedTuple):
    """What a block of regions adds to some images: its places among all rois, rows that count from
    the first of the images, and the gradient and all else there is of each bin.
    """

    places: np.ndarray
    rows: np.ndarray
    of_bins: tuple[np.ndarray, ...]


def split(*given: Any) -> dict[tuple[int, int], Part]:
    """(grad, *saved, block, bands) to what is added to each chunk of images."""
    *of_bins, block, bands = given
    assert isinstance(block, Block)
    assert isinstance(bands, Bands)
    parts = {}
    for n in range(len(bands.images) - 1):
        window = bands.window(n, 0)
        regions, rows = block.within(window.image, window.images)
        if len(regions):
            own = tuple(array[regions] for array in of_bins)
            parts[n, 0] = Part(block.first + regions, rows, own)
    return parts


def add(source: Source, total: np.ndarray, parts: Sequence[Part]) -> np.ndarray:
    """In the place of zeros the sum of all that there is, regions ascending."""
    places, rows, of_bins = zip(*parts, strict=True)
    grad, *saved = map(np.concatenate, zip(*of_bins, strict=True))
    regions = grad.astype(total.dtype, copy=False), np.concatenate(rows), [total.shape]
    with _counted(np.concatenate(places)):
        numpy.backward(source.operator, *regions, source.call, _named(source, saved), False, total)
    return total


def _named(source: Source, saved: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return dict(zip(source.operator.saved, saved, strict=True))
