"""Structures cut to a window of the maps, where these are divided: bins clipped, taps selected.

Of regions that can be looked at. A new structure of geometry's registers its own of each function.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np

from roipool.geometry import Bins, Slopes, Taps
from roipool.kernels import Arg


class Window(NamedTuple):
    """A rectangle of pixels in the planes of some images: the first of each, and how many."""

    image: int
    top: int
    left: int
    images: int
    height: int
    width: int


@singledispatch
def listed(found: Any, slopes: Slopes | None) -> tuple[Any, Slopes | None]:
    """The structure without what neither reads nor moves, and how the rest moves."""
    return found, slopes


@listed.register
def _(found: Taps, slopes: Slopes | None) -> tuple[Taps, Slopes | None]:
    keep_y, keep_x = found.y_weight != 0, found.x_weight != 0
    if slopes is not None:
        keep_y, keep_x = keep_y | slopes.y.any(1), keep_x | slopes.x.any(1)
    y, x = _chosen(found.y_taps, keep_y.take), _chosen(found.x_taps, keep_x.take)
    return _at(found, slopes, y, x)


@singledispatch
def spans(found: Any) -> np.ndarray:
    """The rectangle around each region's pixels, (K, 2, 2): begin and end along y, along x."""
    raise TypeError(f"no rectangle is known of {type(found).__name__}")


@spans.register
def _(found: Bins) -> np.ndarray:
    axes = (found.y_bins, found.x_bins)
    return np.stack([np.stack([bins[:, 0, 0], bins[:, -1, 1]], 1) for bins in axes], 1)


@spans.register
def _(found: Taps) -> np.ndarray:
    """Of taps that are listed, all of which count: they ascend in a bin."""
    axes = []
    for taps, pixel in ((found.y_taps, found.y_pixel), (found.x_taps, found.x_pixel)):
        some = taps[..., 0] < taps[..., 1]
        padded = np.append(pixel, np.int32(0))  # to look at where a bin has none
        first, last = (padded[np.where(some, at, -1)] for at in (taps[..., 0], taps[..., 1] - 1))
        begin = np.where(some, first, np.iinfo(np.int32).max).min(1)
        axes.append(np.stack([begin, np.where(some, last + 1, 0).max(1)], 1))
    return np.stack(axes, 1)


def touching(image: np.ndarray, around: np.ndarray, window: Window) -> np.ndarray:
    """The regions whose rectangles reach into the window."""
    inside = (image >= window.image) & (image < window.image + window.images)
    sides = (window.top, window.height), (window.left, window.width)
    for axis, (begin, size) in enumerate(sides):
        first, end = around[:, axis, 0], around[:, axis, 1]
        inside &= (first < begin + size) & (end > begin) & (first < end)
    return np.flatnonzero(inside)


@singledispatch
def within(
    found: Any, regions: np.ndarray, window: Window, slopes: Slopes | None = None
) -> tuple[Any, Slopes | None]:
    """What these regions have in the window, counted from its corner."""
    raise TypeError(f"{type(found).__name__} cannot be cut")


@within.register
def _(
    found: Bins, regions: np.ndarray, window: Window, slopes: Slopes | None = None
) -> tuple[Bins, Slopes | None]:
    cut = Bins(
        found.image[regions] - window.image,
        np.clip(found.y_bins[regions] - window.top, 0, window.height),
        np.clip(found.x_bins[regions] - window.left, 0, window.width),
    )
    return cut, slopes


@within.register
def _(
    found: Taps, regions: np.ndarray, window: Window, slopes: Slopes | None = None
) -> tuple[Taps, Slopes | None]:
    def inside(pixel: np.ndarray, begin: int, size: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda places: (pixel[places] >= begin) & (pixel[places] < begin + size)

    y = inside(found.y_pixel, window.top, window.height)
    x = inside(found.x_pixel, window.left, window.width)
    y_taps, x_taps = found.y_taps[regions], found.x_taps[regions]
    cut, slopes = _at(found, slopes, _chosen(y_taps, y), _chosen(x_taps, x))
    moved = cut._replace(
        image=found.image[regions] - window.image,
        y_pixel=cut.y_pixel - window.top,
        x_pixel=cut.x_pixel - window.left,
    )
    return moved, slopes


class _Chosen(NamedTuple):
    """Taps by their places in a list, and where each bin's begin and end among them."""

    taps: np.ndarray
    places: np.ndarray


def _chosen(taps: np.ndarray, keep: Callable[[np.ndarray], np.ndarray]) -> _Chosen:
    """Of these bins the taps that are to be kept by their places, bin by bin."""
    begin, size = taps[..., 0].ravel(), (taps[..., 1] - taps[..., 0]).ravel()
    ends = np.cumsum(size)
    places = np.arange(size.sum()) + np.repeat(begin - (ends - size), size)
    kept = keep(places)
    before = np.concatenate([[0], np.cumsum(kept)]).astype(np.int32)
    ranges = np.stack([before[ends - size], before[ends]], axis=-1)
    return _Chosen(ranges.reshape(taps.shape), places[kept])


def _at(found: Taps, slopes: Slopes | None, y: _Chosen, x: _Chosen) -> tuple[Taps, Slopes | None]:
    cut = Taps(
        found.image,
        found.y_weight[y.places],
        found.x_weight[x.places],
        y.taps,
        found.y_pixel[y.places],
        x.taps,
        found.x_pixel[x.places],
    )
    return cut, slopes and Slopes(slopes.y[y.places], slopes.x[x.places])


def joined(inputs: Sequence[Arg], calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What several calls of a kernel on the same maps take, as what one does."""
    given = [arg for arg in inputs if arg.name in calls[0]]
    sizes = [{arg.axes[0]: len(call[arg.name]) for arg in given} for call in calls]
    one = {}
    for arg in given:
        arrays, before = [], 0
        for call, size in zip(calls, sizes, strict=True):
            arrays.append(call[arg.name] + before if arg.along in size else call[arg.name])
            before += size.get(arg.along, 0)
        one[arg.name] = np.ascontiguousarray(np.concatenate(arrays))  # which may lie otherwise
    return one


def pixels(maps: np.ndarray, pooled_size: Sequence[int]) -> dict[str, Any]:
    """Maps (N, C, H, W) as what adds them: regions whose bins have one pixel each, by a tap of 1.

    What regions behind them add is then added to what the maps hold, in one order.
    """
    images, channels, height, width = maps.shape
    y_taps, x_taps = _one_each(height, pooled_size[0]), _one_each(width, pooled_size[1])
    (rows, h, _), (columns, w, _) = y_taps.shape, x_taps.shape
    padded = np.zeros((images, channels, rows * h, columns * w), maps.dtype)
    padded[:, :, :height, :width] = maps
    pooled = padded.reshape(images, channels, rows, h, columns, w).transpose(0, 2, 4, 1, 3, 5)
    n, y, x = np.indices((images, rows, columns), np.int32).reshape(3, -1)
    taps = Taps(
        image=n,
        y_weight=np.ones(height, maps.dtype),
        x_weight=np.ones(width, maps.dtype),
        y_taps=y_taps[y],
        y_pixel=np.arange(height, dtype=np.int32),
        x_taps=x_taps[x],
        x_pixel=np.arange(width, dtype=np.int32),
    )
    return {"pooled": pooled.reshape(len(n), channels, h, w), **taps._asdict()}


def _one_each(side: int, bins: int) -> np.ndarray:
    """A tap for each bin of regions in a row, so many in a region; none beyond the side."""
    regions = -(-side // bins)
    edges = np.arange(regions * bins + 1, dtype=np.int32).clip(max=side)
    return np.stack([edges[:-1], edges[1:]], 1).reshape(regions, bins, 2)
