"""The native core: kernels over integer rectangles. They check nothing: a door does."""

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

def max_forward(
    dtype: str,
    data: NDArray[Any] | list[NDArray[Any]],
    image: NDArray[Any],
    rows: NDArray[Any],
    cols: NDArray[Any],
    values: NDArray[Any],
    argmax: NDArray[Any] | None,
    threads: int = 0,
) -> None:
    """Fills values and, unless None, argmax with the maximum of each bin; image counts through all
    arrays of data.

    threads = 0 takes the default.
    """

def max_backward(
    dtype: str,
    grad: NDArray[Any],
    argmax: NDArray[Any],
    image: NDArray[Any],
    grad_data: NDArray[Any] | list[NDArray[Any]],
    threads: int = 0,
) -> bool:
    """Fills grad_data; returns False when an argmax lies outside its map."""

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
