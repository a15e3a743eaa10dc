"""An ordinary call of a pooling operator, which each case makes odd in one thing.

Runs in any Python with NumPy 1.23 or later: peers have no other package of ours.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class UnsupportedError(Exception):
    """The contender has no way to say this call."""


def _same(array: np.ndarray) -> np.ndarray:
    return array


def ordinary_maps(shape: tuple[int, ...] = (2, 8, 13, 11)) -> np.ndarray:
    """Maps that lie between others, so that who reads beside them reads no zeros by luck."""
    images, *rest = shape
    around = np.random.default_rng(0).standard_normal((images + 2, *rest)).astype(np.float32)
    return around[1:-1]


def ordinary_rois() -> np.ndarray:
    """Rows [image, x1, y1, x2, y2]; the second is the one that a case makes odd."""
    rows = [[0, 4, 8, 30, 40], [1, 6, 2, 20, 33], [0, 12, 20, 40, 44]]
    return np.array(rows, np.float32)


@dataclass(frozen=True)
class Call:
    """What an operator is given.

    Attributes:
        rois: Corners in pixels of the image: see `rows_of`.
        reform: What becomes of the array that holds boxes, whatever columns an operator has.
        angle: In radians, of regions that are turned.
    """

    data: Any = field(default_factory=ordinary_maps)
    rois: np.ndarray = field(default_factory=ordinary_rois)
    pooled_size: tuple[int, int] = (2, 2)
    scale: float = 0.25
    sampling_ratio: int = 2
    reform: Callable[[np.ndarray], Any] = _same
    angle: float = 0.5


def rows_of(form: str, call: Call) -> np.ndarray:
    """Rows of the operator's form: "corners", "turned" or "shares" of the map's sides."""
    if form == "corners":
        return call.rois
    index, x1, y1, x2, y2 = call.rois.T
    with np.errstate(all="ignore"):
        if form == "turned":
            angle = np.full_like(x1, call.angle)
            columns = [index, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, angle]
        else:
            height, width = (max(side - 1, 1) for side in np.shape(call.data)[2:])
            x, y = (np.float32(call.scale / side) for side in (width, height))
            columns = [index, y1 * y, x1 * x, y2 * y, x2 * x]
    return np.stack(columns, 1).astype(call.rois.dtype)


def separate(form: str, call: Call, dtype: Any) -> tuple[Any, np.ndarray]:
    """Boxes, and whole numbers of images beside them."""
    rows = rows_of(form, call)
    index = rows[:, 0]
    if not np.all(np.isfinite(index) & (index == np.floor(index))):
        raise UnsupportedError("its indices are whole numbers")
    boxes = call.reform(np.ascontiguousarray(rows[:, 1:]))
    count = 1 if np.ndim(boxes) == 1 and len(index) else len(index)
    return boxes, index[:count].astype(dtype)
