"""The odd inputs: what each changes in an ordinary call, and what kind of answer is right.

Runs in any Python with NumPy 1.23 or later.
"""

import math
import mmap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from odd_inputs.calls import Call, ordinary_maps, ordinary_rois

nan, inf = np.nan, np.inf

VALUES = "values"  # those of the definition
ERROR = "error"
ROW = "row error"  # where rows can be looked at; elsewhere the row is padding
SIZES = "sizes"  # values of corners, an error of a region that is given by its size
INTEGERS = "integers"  # values of a maximum, an error of what averages


@dataclass(frozen=True)
class Case:
    """One odd input.

    Attributes:
        name: For tables.
        change: What it changes in the ordinary call.
        right: The kind of answer that is right.
        fault: The argument that is odd: "data", "rois", "pooled_size", "scale", or "" of none.
        shows: Of the odd value, what an error may show instead of the argument's name.
        like: Changes to the ordinary call whose values are the same, of what is too large for
            the definition's loops.
        other: The name of another convention that somebody may follow: see answers.py.
        forks: Whether the call is made once more in a child of the process.
        options: Of the call, beside what is odd.
    """

    name: str
    change: Callable[[], dict[str, Any]]
    right: str = VALUES
    fault: str = "rois"
    shows: tuple[str, ...] = ()
    like: Callable[[], dict[str, Any]] | None = None
    other: str = ""
    forks: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def call(self) -> Call:
        return Call(**self.change(), **self.options)

    def small_call(self) -> Call:
        """One that the definition's loops can compute, of the same values."""
        return Call(**(self.like or self.change)(), **self.options)


def row(*odd: float) -> Callable[[], dict[str, Any]]:
    """The second region is this."""

    def change() -> dict[str, Any]:
        rois = ordinary_rois()
        rois[1] = odd
        return {"rois": rois}

    return change


def index(value: float) -> Callable[[], dict[str, Any]]:
    return row(value, 6, 2, 20, 33)


def boxes(reform: Callable[[np.ndarray], Any]) -> Callable[[], dict[str, Any]]:
    """The array of boxes becomes something else."""
    return lambda: {"reform": reform}


def maps(change: Callable[[np.ndarray], Any]) -> Callable[[], dict[str, Any]]:
    return lambda: {"data": change(ordinary_maps())}


def columns(stop: int, value: float) -> Callable[[], dict[str, Any]]:
    """Columns from 2 on, where every operator reads for the second region, have this value."""

    def change(data: np.ndarray) -> np.ndarray:
        data[1, ..., 2:stop] = value
        return data

    return maps(change)


def as_strings(array: np.ndarray) -> list[list[str]]:
    return [[str(number) for number in numbers] for numbers in array.tolist()]


def strided(data: np.ndarray) -> np.ndarray:
    """Every second column of wider maps."""
    return np.repeat(data, 2, axis=3)[..., ::2]


def channels_last(data: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(data.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def negative(data: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(data[:, :, ::-1, ::-1])[:, :, ::-1, ::-1]


def without_rois(data: np.ndarray) -> dict[str, Any]:
    return {"data": data, "rois": ordinary_rois()[:0]}


# The planes of the last channels begin more than 2**31 values behind the first. Sides less one are
# powers of two, so that shares of them are exact; position-sensitive operators need a multiple of
# four channels.
SIDES = (2**14 + 1, 2**14 + 1)
CHANNELS = 12
CORNER = 17


def last_corner(data: np.ndarray) -> np.ndarray:
    data[..., -CORNER:, -CORNER:] = ordinary_maps((1, CHANNELS, CORNER, CORNER))
    return data


def end_rois(height: int, width: int) -> np.ndarray:
    """Regions whose every position float32 holds, in the last rows of a map."""
    ends = [[0, 9, 9, 13, 13], [0, 8, 8, 16, 16], [0, 10, 6, 14, 14]]
    offsets = [0, *[width - CORNER, height - CORNER] * 2]
    return np.array(ends, np.float32) + np.array(offsets, np.float32)


def large_maps(sides: tuple[int, int]) -> dict[str, Any]:
    shape = (1, CHANNELS, *sides)
    # Zeros that are not written take no memory, whatever the allocator does with its own.
    pages = mmap.mmap(-1, 4 * math.prod(shape), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    zeros = np.frombuffer(pages, np.float32).reshape(shape)
    return {"data": last_corner(zeros), "rois": end_rois(*sides), "scale": 1.0, "angle": 0.0}


def large_result() -> dict[str, Any]:
    """1.5 million values, of which a library makes use of threads."""
    rois = np.tile(ordinary_rois(), (13, 1))
    return {"data": ordinary_maps((2, 196, 13, 11)), "rois": rois, "pooled_size": (14, 14)}


ADAPTIVE = {"sampling_ratio": 0}
INDEX_NAMES = ("1000000000", "1e+09", "1e9")

CASES = [
    Case("index −1", index(-1), other="end of the list"),
    Case("index N", index(2), ROW),
    Case("index 10⁹", index(1e9), ROW, shows=INDEX_NAMES),
    Case("index NaN", index(nan), ROW, shows=("nan",)),
    Case("index 0.5", index(0.5), ROW, shows=("0.5",)),
    Case("a corner NaN", row(1, nan, 2, 20, 33), ROW, shows=("nan",)),
    Case("a corner infinite", row(1, 6, 2, inf, 33), ROW, shows=("inf", "infinite")),
    Case("box at 10³⁰", row(1, 1e30, 1e30, 2e30, 2e30)),
    Case("box from −10³⁰ to 10³⁰", row(1, -1e30, -1e30, 1e30, 1e30)),
    Case("box to 10¹⁰", row(1, 6, 2, 1e10, 33)),
    Case("box of 10⁴ pixels, adaptive", row(1, 6, 2, 40006, 40002), options=ADAPTIVE),
    Case("box reversed", row(1, 20, 33, 6, 2), SIZES),
    Case("box reversed along x, adaptive", row(1, 20, 2, 6, 33), SIZES, options=ADAPTIVE),
    Case("box without area, adaptive", row(1, 8, 8, 8, 8), options=ADAPTIVE),
    Case("box inside one pixel", row(1, 9, 9, 9.5, 9.5)),
    Case("one row, 1-D", boxes(lambda array: array[0]), ERROR, shows=("rank 1", "1-D")),
    Case("a column too few", boxes(lambda array: array[:, :-1].copy()), ERROR),
    Case(
        "a column too many", boxes(lambda array: np.tile(array, 2)[:, : array.shape[1] + 1]), ERROR
    ),
    Case("integer boxes", boxes(lambda array: array.astype(np.int64)), shows=("int64", "long")),
    Case("no boxes at all", lambda: {"rois": ordinary_rois()[:0]}),
    Case("boxes None", boxes(lambda array: None), ERROR, shows=("None", "NoneType")),
    Case(
        "boxes of strings",
        boxes(as_strings),
        ERROR,
        "rois",
        ("str", "string"),
        other="strings are numbers",
    ),
    Case("zero images", lambda: without_rois(ordinary_maps()[:0]), fault="data"),
    Case("zero channels", maps(lambda data: data[:, :0]), fault="data"),
    Case("maps of no rows", maps(lambda data: data[:, :, :0]), fault="data"),
    Case("float16 maps", maps(lambda data: data.astype(np.float16)), VALUES, "data", ("float16",)),
    Case(
        "int32 maps", maps(lambda data: (100 * data).astype(np.int32)), INTEGERS, "data", ("int32",)
    ),
    Case("bool maps", maps(lambda data: data > 0), ERROR, "data", ("bool", "boolean")),
    Case("complex maps", maps(lambda data: data + 1j), ERROR, "data", ("complex64", "complex")),
    Case("object maps", maps(lambda data: data.astype(object)), ERROR, "data", ("object",)),
    Case("maps of every second column", maps(strided), fault="data"),
    Case("channels-last maps", maps(channels_last), fault="data"),
    Case("maps of negative strides", maps(negative), fault="data"),
    Case(
        "broadcast maps", maps(lambda data: np.broadcast_to(data[:, :1], data.shape)), fault="data"
    ),
    Case("a NaN in the maps", columns(3, nan), fault="data", other="NaN is the largest"),
    Case("−∞ in the maps", columns(4, -inf), fault="data"),
    Case(
        "maps of 3.2·10⁹ values",
        lambda: large_maps(SIDES),
        fault="data",
        like=lambda: large_maps((CORNER, CORNER)),
    ),
    Case("a large result after fork", large_result, fault="", forks=True),
    Case("pooled size 0", lambda: {"pooled_size": (0, 0)}, ERROR, "pooled_size"),
    Case("pooled size −1", lambda: {"pooled_size": (-1, -1)}, ERROR, "pooled_size", ("-1",)),
    Case(
        "pooled size 10⁵, a terabyte",
        lambda: {"pooled_size": (10**5, 10**5)},
        ERROR,
        "pooled_size",
        ("100000", "memory"),
    ),
    Case("scale 0", lambda: {"scale": 0.0}, ERROR, "scale"),
    Case("scale −1/4", lambda: {"scale": -0.25}, ERROR, "scale", ("-0.25",)),
    Case("scale NaN", lambda: {"scale": nan}, ERROR, "scale", ("nan",)),
    Case("scale infinite", lambda: {"scale": inf}, ERROR, "scale", ("inf", "infinite")),
]
# Whoever does not answer this as all others do is called in a wrong way.
ORDINARY = Case("ordinary", dict, fault="")
BY_NAME = {case.name: case for case in [ORDINARY, *CASES]}
