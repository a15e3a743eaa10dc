"""The native core: kernels over integer rectangles. It trusts no caller: what is not as a kernel's
description says is a ValueError, before anything is read or written.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Maps = tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[tuple[float, float]]]

def bins(
    rois: NDArray[Any],
    maps: Maps,
    in_double: bool,
    bins: tuple[NDArray[np.int32], ...],
) -> bool:
    """Fills bins as geometry.max_bins does, from float32 or float64 rois; returns whether every
    row is a region.
    """

def listed(
    convention: str,
    rois: NDArray[Any],
    maps: Maps,
    pooled_size: tuple[int, int],
    options: Sequence[int],
    in_double: bool,
    sums_in_double: bool,
    slopes: bool,
    each: bool,
    ranges: tuple[NDArray[np.int32], ...],
    threads: int = 0,
) -> tuple[bool, list[bytes]]:
    """Fills ranges, the image of each region and where its bins' pixels begin and end, as the
    convention of that name in geometry does, from float32 or float64 rois. Returns whether every
    row is a region, and lists as bytes: of pixels, weights and, where asked for, slopes; of taps
    along y, then along x. What neither weighs nor, where that is asked for, moves is left out.
    """

def run(
    kernel: str,
    dtype: str,
    inputs: Sequence[Any],
    results: Sequence[Any],
    threads: int = 0,
) -> bool:
    """Runs a kernel on arrays in the order of kernels.py; feature maps may be a list of them.

    Half types travel as 16-bit integers, so `dtype` names the features' own. Results behind the
    first may be left out, or None. threads = 0 takes the default. Returns False when an argmax
    lies outside its map. Raises ValueError unless all arrays are as the kernel's description says,
    and regions lie on images, and their bins in maps and lists.
    """

Described = list[tuple[str, str, str, str]]

def kernels() -> dict[str, tuple[Described, Described]]:
    """Of each kernel by name, its inputs and results: (name, axes, dtype, along) of each."""

def plan(
    y_bins: NDArray[np.int32],
    x_bins: NDArray[np.int32],
    channels: int,
    argmax: bool,
    room: float,
    widths: list[int],
    threads: int,
) -> tuple[bool, list[int], int, bool, bool]:
    """How regions of a float32 image would be pooled in so many bytes, by blocks whose pixels take
    one of the widths: whether packed together, the sides of the windows kept, the width, whether
    each thread packs blocks of its own, and whether none are packed at all.
    """

def memory(bytes: int) -> NDArray[np.uint8]:
    """Bytes for a result, unset, aligned to cache lines; kept for the next when it is freed."""

def xla_handlers() -> dict[str, Any]:
    """Handlers of XLA's foreign function interface by name; none where it was built without."""

def isa() -> str:
    """The instruction set in use."""

def isas() -> list[str]:
    """The instruction sets this machine could use, best last."""

def default_threads() -> int:
    """Threads used where a call names none."""

def set_default_threads(count: int) -> None: ...
