"""Memory for results, of every door that allocates its own, and how the core takes it."""

import math
from typing import Any

import numpy as np

from roipool import _core

KEPT_FROM = 2**17  # bytes
MOST = 2**47  # bytes: what processors address


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """As numpy.empty, but that a large result's memory is kept for the next when it is freed."""
    size = math.prod(shape) * dtype.itemsize
    if 0 < size < KEPT_FROM:
        return np.empty(shape, dtype)
    sides = size or math.prod(filter(None, shape)) * dtype.itemsize  # NumPy bounds those too
    if sides >= MOST:
        raise MemoryError(
            f"no memory for a result of shape {shape} and dtype {dtype}: {sides / 2**40:,.0f} TiB "
            "were asked for; a smaller shape needs less"
        )
    if size == 0:
        return np.empty(shape, dtype)
    return _core.memory(size).view(dtype).reshape(shape)


def bits(array: np.ndarray) -> np.ndarray:
    """Half types as 16-bit integers: not every NumPy and no buffer knows bfloat16."""
    return array.view(np.int16) if array.itemsize == 2 else array
