"""What the tasks of a graph do: NumPy arrays in and out, nothing of Dask.

A bin may lie in several tiles of its plane. Each tile gives what is of its own pixels, and these
parts are joined: winners by the rule that chose them, the larger value, then the smaller position;
sums by adding them up.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from roipool import memory, native, rois, windows
from roipool.descriptions import Call, Operator, shapes
from roipool.doors import numpy
from roipool.geometry import Maps

# Rows that become a structure at once: that of an operator may have as many taps for each as for
# the largest, before those that count for nothing are left out.
ROWS = 2**9


def as_declared(chunk: Any, argument: str, block_info: Any = None) -> Any:
    """The chunk, if it has the shape that its array says."""
    told = block_info[0]
    shape = tuple(end - begin for begin, end in told["array-location"])
    if np.shape(chunk) != shape:
        place = ", ".join(map(str, told["chunk-location"]))
        raise ValueError(
            f"chunk ({place}) of {argument} has shape {np.shape(chunk)}, but its array says "
            f"{shape}; tell Dask the true sizes, as with map_blocks(..., chunks=...)"
        )
    return chunk


class Source(NamedTuple):
    """What regions are turned into a structure by; `moving`: and how that moves with them."""

    operator: Operator
    maps: Maps
    data_dtype: str
    call: Call
    moving: bool = False

    @property
    def sums(self) -> Any:
        """The type of sums."""
        return np.float64 if self.data_dtype == "float64" else np.float32

    def structure(
        self, rows: np.ndarray, first: int = 0, *, refuse: bool = True
    ) -> tuple[Any, Any]:
        """That of the rows from row `first` of all rois on, and how it moves."""
        operator, maps, dtype, call, moving = self
        given = operator, rows, maps, dtype, call, first
        return windows.listed(*native.structure(*given, refuse=refuse, moving=moving))

    def bytes_each(self, rows: np.ndarray) -> int:
        """What a row is as a structure, on average over some of them."""
        some = rows[:: max(1, len(rows) // ROWS)]
        found, _ = self.structure(some, refuse=False)
        return int(sum(array.nbytes for array in found)) // max(1, len(some))


class Block(NamedTuple):
    """A run of regions as a structure, how it moves with them, and the rectangle of each."""

    found: Any
    slopes: Any
    spans: np.ndarray


def block_of(source: Source, rows: Any, first: int) -> Block:
    """The rows from row `first` of all rois on."""
    rows = rois.as_rows(rows, sum(source.maps.images), source.operator.rows)
    starts = range(0, max(len(rows), 1), ROWS)
    parts = [source.structure(rows[at : at + ROWS], first + at) for at in starts]
    found, slopes = parts[0]
    if len(parts) > 1:
        structures, moving = zip(*parts, strict=True)
        calls = [each._asdict() for each in structures]
        found = type(found)(**windows.joined(source.operator.forward.inputs, calls))
        slopes = slopes and type(slopes)(*map(np.concatenate, zip(*moving, strict=True)))
    return Block(found, slopes, windows.spans(found))


def images_of_block(operator: Operator, images: int, rows: Any, first: int) -> np.ndarray:
    """The image of each row from row `first` of all rois on; −1 for a padding row."""
    rows = rois.as_rows(rows, images, operator.rows)
    return native.image_index(rows, images, first, operator.rows)


def images_of_regions(source: Source, rows: np.ndarray, first: int) -> np.ndarray:
    """The same, of rows that are refused unless each is a region or padding."""
    given = source.maps, source.data_dtype, source.call
    for at in range(0, len(rows), ROWS):
        native.structure(source.operator, rows[at : at + ROWS], *given, first + at)
    return images_of_block(source.operator, sum(source.maps.images), rows, first)


class Tile(NamedTuple):
    """Where a chunk of the feature maps lies: its first image, row and column, of a plane so wide.

    Its values have a dtype, and `argmax_dtype` is what positions in the whole plane fit; None where
    nobody asks for them.
    """

    image: int
    top: int
    left: int
    plane_width: int
    dtype: Any
    argmax_dtype: Any


class Pooled(NamedTuple):
    """Some regions of a block, pooled over the pixels of some tiles.

    A bin without a pixel there holds 0 and −1, one of nothing but NaN holds NaN and −1: what they
    give if no other tile knows better.

    Attributes:
        regions: (m,) places in the block, ascending.
        values: (m, c, h, w), or what else there is of each region.
        argmax: (m, c, h, w) positions in the whole plane; None where they are not needed.
    """

    regions: np.ndarray
    values: np.ndarray
    argmax: np.ndarray | None = None


def pool_tile(source: Source, data: Any, tile: Tile, block: Block, after: None) -> Pooled:
    """The regions of a block that touch the tile, over its pixels alone; `after` only waits."""
    data, window, regions = touching(data, tile, block)
    found, _ = windows.within(block.found, regions, window)
    data = (data if len(regions) else data[:0]).astype(tile.dtype, copy=False)
    kernel, (height, width) = source.operator.forward, source.call.pooled_size
    sizes = {"K": len(regions), "C": data.shape[1], "h": height, "w": width}
    dtypes = [tile.dtype] if tile.argmax_dtype is None else [tile.dtype, tile.argmax_dtype]
    results = [
        memory.empty(shape, np.dtype(dtype))
        for shape, dtype in zip(shapes(kernel, sizes), dtypes, strict=False)
    ]
    native.run(kernel, data.dtype.name, {"data": [data], **found._asdict()}, results)
    for argmax in results[1:]:
        _to_plane(argmax, window.width, tile)
    return Pooled(regions, *results)


def touching(data: Any, tile: Tile, block: Block) -> tuple[np.ndarray, windows.Window, np.ndarray]:
    """The tile's pixels, what window they are, and the regions of a block that touch it."""
    (data,) = numpy.as_maps(data)
    window = windows.Window(tile.image, tile.top, tile.left, len(data), *data.shape[2:])
    return data, window, windows.touching(block.found.image, block.spans, window)


def _to_plane(argmax: np.ndarray, width: int, tile: Tile) -> None:
    """Positions in the tile made positions in the plane, in place."""
    moved: Any = tile.top * tile.plane_width + tile.left
    if 0 < width < tile.plane_width:
        moved += argmax // width * (tile.plane_width - width)
    np.add(argmax, moved, out=argmax, where=argmax >= 0)


# Puts a part where its regions are in what is known so far.
Join = Callable[[Pooled, np.ndarray, Pooled], None]


def place(total: Pooled, at: np.ndarray, part: Pooled) -> None:
    """Of regions that no other part has: planes are not divided."""
    total.values[at] = part.values
    if total.argmax is not None:
        total.argmax[at] = part.argmax


def add(total: Pooled, at: np.ndarray, part: Pooled) -> None:
    """Sums."""
    with np.errstate(over="ignore", invalid="ignore"):
        total.values[at] += part.values


def outdo(total: Pooled, at: np.ndarray, part: Pooled) -> None:
    """Winners."""
    assert total.argmax is not None
    assert part.argmax is not None
    best, where = total.values[at], total.argmax[at]
    better = _is_better(part.values, part.argmax, best, where)
    np.copyto(best, part.values, where=better)
    np.copyto(where, part.argmax, where=better)
    total.values[at], total.argmax[at] = best, where


def _is_better(
    value: np.ndarray, position: np.ndarray, best: np.ndarray, where: np.ndarray
) -> np.ndarray:
    """Whether a winner beats another: any number beats NaN, and NaN beats nothing at all."""
    with np.errstate(invalid="ignore"):  # signalling NaN
        wins = (value > best) | (value == best) & (position < where)
        better = np.where(position >= 0, wins | (where < 0), (value != value) & (where < 0))
    return np.asarray(better)


def combine(parts: Sequence[Pooled], join: Join) -> Pooled:
    """All regions of several parts."""
    regions = np.unique(np.concatenate([part.regions for part in parts]))
    shape = len(regions), *parts[0].values.shape[1:]
    return _combined(parts, regions, shape, parts[0].values.dtype, join)


def finish(
    parts: Sequence[Pooled], shape: tuple[int, ...], dtype: Any, argmax_dtype: Any, join: Join
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """A block of the result: values, and positions where a dtype is given for them."""
    if len(parts) == 1 and len(parts[0].regions) == shape[0]:
        whole = parts[0]
    else:
        kind = parts[0].values.dtype if parts else dtype
        whole = _combined(parts, np.arange(shape[0]), shape, kind, join)
    with np.errstate(over="ignore", invalid="ignore"):
        values = whole.values.astype(dtype, copy=False)
    if argmax_dtype is None:
        return values
    if whole.argmax is None:
        return values, np.full(shape, -1, argmax_dtype)
    return values, whole.argmax


def fill(source: Source, values: np.ndarray, block: Block) -> np.ndarray:
    """A block of the result, and of its bins without taps in any tile what the operator says."""
    values = values.copy()
    given = source.call, source.data_dtype, block.found._asdict()
    native.fill(source.operator, *given, values)
    return values


def _combined(
    parts: Sequence[Pooled], regions: np.ndarray, shape: tuple[int, ...], dtype: Any, join: Join
) -> Pooled:
    values = np.zeros(shape, dtype)
    argmax = None
    if parts and parts[0].argmax is not None:
        argmax = np.full(shape, -1, parts[0].argmax.dtype)
    total = Pooled(regions, values, argmax)
    for part in parts:
        join(total, np.searchsorted(regions, part.regions), part)
    return total


def wait(*others: Any) -> None:
    """Nothing: a task that is given this runs after those."""
