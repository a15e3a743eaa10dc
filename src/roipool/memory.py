"""Memory for results, of every door that allocates its own, and how the core takes it."""

import math
from typing import Any

import numpy as np

from roipool import _core

KEPT_FROM = 2**17  # bytes


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """As numpy.empty, but that a large result's memory is kept for the next when it is freed."""
    size = math.prod(shape) * dtype.itemsize
    if not KEPT_FROM <= size < 2**47:
        return np.empty(shape, dtype)
    return _core.memory(size).view(dtype).reshape(shape)


def bits(array: np.ndarray) -> np.ndarray:
    """Half types as 16-bit integers: not every NumPy and no buffer knows bfloat16."""
    return array.view(np.int16) if array.itemsize == 2 else array
