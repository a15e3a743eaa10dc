"""The native core: kernels over integer rectangles. They check nothing: a door does."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def max_bins(
    rois: NDArray[Any],
    data_shape: tuple[int, int, int, int],
    spatial_scale: float,
    in_double: bool,
    image: NDArray[np.int32],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
) -> bool:
    """Fills image, rows and cols as geometry.max_bins does, from float32 or float64 rois;
    returns whether every row is a region.
    """

def align_taps(
    rois: NDArray[Any],
    maps: tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[tuple[float, float]]],
    pooled_size: tuple[int, int],
    in_double: bool,
    sums_in_double: bool,
    sampling_ratio: int,
    aligned: bool,
    threads: int = 0,
) -> tuple[Any, ...]:
    """The fields of geometry.Taps as geometry.align_taps gives them, without taps of weight 0, from
    float32 or float64 rois; and, as the last, whether every row is a region.
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
    lies outside its map.
    """

def plan(
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    channels: int,
    argmax: bool,
    room: float,
    widths: list[int],
    threads: int,
) -> tuple[bool, list[int], int, bool]:
    """How regions of a float32 image would be pooled in so many bytes, by blocks whose pixels take
    one of the widths: whether packed together, the sides of the windows kept, the width, and
    whether each thread packs blocks of its own.
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
