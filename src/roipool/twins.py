"""The twins of geometry's texts in the native core, for rows that can be looked at.

Much faster than the array text, and without its wide arrays: in memory for what is listed. What
neither weighs nor, where `moving`, moves is left out.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from roipool import _core, geometry

Given = tuple[np.ndarray, geometry.Maps, tuple[int, int], Any]
Found = tuple[tuple[Any, Any], bool]


def max_bins(
    rows: np.ndarray,
    maps: geometry.Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    *,
    moving: bool = False,
) -> Found:
    """The twin of `geometry.max_bins`: bins do not move."""
    found = geometry.Bins(*_of_bins(len(rows), pooled_size))
    known = _core.bins(_floats(rows), maps, _in_double(rows, data_dtype), found)
    return (found, None), known


def rotated_points(
    rows: np.ndarray,
    maps: geometry.Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    sampling_ratio: int,
    aligned: bool,
    clockwise: bool,
    *,
    moving: bool = False,
    threads: int = 0,
) -> Found:
    """The twin of `geometry.rotated_points` to rounding: points of the same pixel are one."""
    ranges = np.empty(len(rows), np.int32), np.empty((len(rows), *pooled_size, 2), np.int32)
    given = rows, maps, pooled_size, data_dtype
    options = sampling_ratio, aligned, clockwise
    lists, all_known = _listed("rotated_points", given, options, ranges, False, moving, threads)
    y_pixel, x_pixel = (np.frombuffer(part, np.int32) for part in lists[:2])
    weight, *slopes = (np.frombuffer(part, data_dtype) for part in lists[2:])
    found = geometry.Points(ranges[0], weight, ranges[1], y_pixel, x_pixel)
    moved = [geometry.PointSlopes(part.reshape(-1, 5)) for part in slopes]
    return (found, moved[0] if moved else None), all_known


class _Convention(NamedTuple):
    """How the core is told of a text that lists taps.

    Attributes:
        options: The text's, as whole numbers.
        moves: Whether weights move with the regions.
        each: Whether each bin is by itself always, as a region of one bin.
    """

    options: Callable[..., tuple[int, ...]]
    moves: bool = True
    each: bool = False


def _align(sampling_ratio: int, aligned: bool = True) -> tuple[int, ...]:
    return sampling_ratio, aligned


def _samples(sampling_ratio: int, aligned: bool, singly: bool) -> tuple[int, ...]:
    return sampling_ratio, aligned, singly


def _shared_out(convention: str) -> tuple[int, ...]:
    return (convention == "rfcn",)


def _crop(method: str, extrapolation_value: float, tensorflow: bool) -> tuple[int, ...]:
    return method == "nearest", tensorflow  # what a bin without taps is, is not its own to say


def _none() -> tuple[int, ...]:
    return ()


_CONVENTIONS = {
    "align_taps": _Convention(_align),
    "align_samples": _Convention(_samples),  # pairs, whatever they weigh
    "average_taps": _Convention(_none, moves=False),
    "position_sensitive_taps": _Convention(_shared_out, moves=False, each=True),
    "integral_taps": _Convention(_none),
    "crop_taps": _Convention(_crop),
}


def _taps(
    text: str,
    rows: np.ndarray,
    maps: geometry.Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    *more: Any,
    each: bool = False,
    moving: bool = False,
    threads: int = 0,
    **fixed: Any,
) -> Found:
    """`each` bin by itself, where it is a region of one bin."""
    convention, (height, width) = _CONVENTIONS[text], pooled_size
    each, moving = each or convention.each, moving and convention.moves
    if each:
        ranges = _of_bins(len(rows) * height * width, (1, 1))
    else:
        ranges = _of_bins(len(rows), pooled_size)
    given, options = (rows, maps, pooled_size, data_dtype), convention.options(*more, **fixed)
    lists, all_known = _listed(text, given, options, ranges, each, moving, threads)
    slopes = None
    if moving:
        y_pixel, y_weight, y_slopes, x_pixel, x_weight, x_slopes = lists
        slopes = geometry.Slopes(
            np.frombuffer(y_slopes, data_dtype).reshape(-1, 2),
            np.frombuffer(x_slopes, data_dtype).reshape(-1, 2),
        )
    else:
        y_pixel, y_weight, x_pixel, x_weight = lists
    image, y_taps, x_taps = ranges
    found = geometry.Taps(
        image,
        np.frombuffer(y_weight, data_dtype),
        np.frombuffer(x_weight, data_dtype),
        y_taps,
        np.frombuffer(y_pixel, np.int32),
        x_taps,
        np.frombuffer(x_pixel, np.int32),
    )
    return (found, slopes), all_known


# (rows, maps, pooled_size, data_dtype, *options, moving=False) to what the text of that name gives,
# and whether every row is a region.
TWINS: dict[str, Callable[..., Found]] = {
    "max_bins": max_bins,
    "rotated_points": rotated_points,
    **{text: partial(_taps, text) for text in _CONVENTIONS},
}


def _listed(
    text: str,
    given: Given,
    options: tuple[int, ...],
    ranges: tuple[np.ndarray, ...],
    each: bool,
    moving: bool,
    threads: int,
) -> tuple[list[bytes], bool]:
    rows, maps, pooled_size, data_dtype = given
    in_double, wide = _in_double(rows, data_dtype), data_dtype is np.float64
    all_known, lists = _core.listed(
        text,
        _floats(rows),
        maps,
        pooled_size,
        options,
        in_double,
        wide,
        moving,
        each,
        ranges,
        threads,
    )
    return lists, all_known


def _of_bins(count: int, pooled_size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Memory for what each of so many regions has: its image, and two numbers of each bin."""
    height, width = pooled_size
    return (
        np.empty(count, np.int32),
        np.empty((count, height, 2), np.int32),
        np.empty((count, width, 2), np.int32),
    )


def _floats(rows: np.ndarray) -> np.ndarray:
    """Rows of any type, of which the core takes two; it rounds them to F itself."""
    known = rows.dtype == np.float32 or rows.dtype == np.float64
    return rows if known else rows.astype(np.float64)


def _in_double(rows: np.ndarray, data_dtype: Any) -> bool:
    return geometry.float_type(np, data_dtype, rows.dtype) is np.float64
