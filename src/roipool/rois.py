"""The accepted forms of `rois`, made into one array of rows; and what is wrong with a row."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from roipool.descriptions import CORNERS, Rows

SIZES = ("width", "height")  # columns that are no positions


class RowError(Exception):
    """What is wrong with one row of `rois`, in parts too, for who has other names for it.

    Attributes:
        row: Its place.
        column: What is wrong: the batch index (0), or a number behind it.
        reason: What it is, what was expected and the way out.
        rows: What rows are.
    """

    def __init__(self, row: int, column: int, reason: str, rows: Rows = CORNERS) -> None:
        where = f"{rows.name}[{row}]"
        if column:
            where = f"{rows.name}[{row}, {column}] ({rows.columns[column - 1]})"
        super().__init__(f"{where} {reason}")
        self.row, self.column, self.reason, self.rows = row, column, reason, rows

    def __reduce__(self) -> tuple[type["RowError"], tuple[int, int, str, Rows]]:
        """How it goes from one process to another."""
        return type(self), (self.row, self.column, self.reason, self.rows)


class RowIndexError(RowError, IndexError):
    """A batch index without an image."""


class RowValueError(RowError, ValueError):
    """A number that no row can have there."""


def as_rows(rois: Any, images: int, kind: Rows = CORNERS) -> np.ndarray:
    """Either form of `rois` as one array of rows of real numbers."""
    if _is_per_image(rois):
        parts = [_as_real(part, f"{kind.name}[{i}]", kind) for i, part in enumerate(rois)]
        joined: np.ndarray = join(np, parts, images, kind)
        return joined
    rows = _as_real(rois, kind.name, kind)
    if rows.size == 0 and rows.shape[-1:] == (0,) and rows.ndim <= 2:  # [], or [] for each image
        rows = rows.reshape(0, kind.width)
    refuse_shape(kind.name, rows.shape, kind)
    return rows


def _is_per_image(rois: Any) -> bool:
    if not isinstance(rois, Sequence) or isinstance(rois, str) or len(rois) == 0:
        return False
    return any(_depth(item) >= 2 for item in rois)


def _depth(item: Any) -> int:
    if isinstance(item, (list, tuple)):
        return 1 + max((_depth(inner) for inner in item), default=0)
    return int(getattr(item, "ndim", 0))


def join(xp: Any, parts: Sequence[Any], images: int, kind: Rows = CORNERS) -> Any:
    """Arrays of each image's boxes as rows, in a library's namespace.

    float64 survives only if any part has it: geometry then chooses F as for one array.
    """
    refuse_count(len(parts), images, kind)
    rows = [xp.zeros((0, kind.width), dtype=xp.float32)]
    for i, part in enumerate(parts):
        boxes = xp.reshape(part, (0, kind.width - 1)) if tuple(part.shape) == (0,) else part
        refuse_shape(f"{kind.name}[{i}]", boxes.shape, kind, boxes=True)
        dtype = xp.float64 if boxes.dtype == xp.float64 else xp.float32
        index = xp.full((boxes.shape[0], 1), i, dtype=dtype)
        rows.append(xp.concatenate([index, xp.asarray(boxes, dtype=dtype)], axis=1))
    return xp.concatenate(rows)


def _as_real(values: Any, name: str, kind: Rows) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} is ragged; expected {kind.forms}") from None
    refuse_dtype(name, array.dtype, is_real(array.dtype), kind)
    return as_native(array)


def as_native(array: np.ndarray) -> np.ndarray:
    """The array itself, unless the core cannot walk it: swapped bytes, odd strides or addresses."""
    flags, item = array.flags, array.itemsize
    whole_strides = flags.c_contiguous or all(stride % item == 0 for stride in array.strides)
    if whole_strides and flags.aligned and array.dtype.isnative:
        return array
    return array.astype(array.dtype.newbyteorder("="), order="C")


def is_real(dtype: np.dtype[Any]) -> bool:
    """Whether NumPy's dtype, or bfloat16, is one of real numbers."""
    return dtype.kind in "fiu" or dtype.name == "bfloat16"


def refuse_dtype(name: str, dtype: Any, real: bool, kind: Rows = CORNERS) -> None:
    """Raise unless the dtype of this library's arrays is one of real numbers."""
    if not real:
        raise TypeError(f"{name} has dtype {dtype}; expected real numbers, as in {kind.forms}")


def refuse_count(boxes: int, images: int, kind: Rows = CORNERS) -> None:
    """Raise unless there are boxes for every image."""
    if boxes != images:
        raise ValueError(
            f"{kind.name} holds boxes for {boxes} images, but data holds {images}; give one array "
            f"per image, of shape (0, {kind.width - 1}) for an image without regions"
        )


def refuse_shape(
    name: str, shape: Sequence[Any], kind: Rows = CORNERS, *, boxes: bool = False
) -> None:
    """Raise unless it is that of such rows, or of boxes: without the image; None is any number."""
    if len(shape) != 2 or shape[1] not in (kind.width - boxes, None):
        raise ValueError(f"{name} has shape {tuple(shape)}; expected {kind.forms}")


def refuse_batch_indices(
    rois: np.ndarray, image: np.ndarray, images: int, first: int = 0, kind: Rows = CORNERS
) -> None:
    """Raise for the first row without an image that is no padding row either.

    `first` rows came before these, in `rois` as the caller gave them.
    """
    index = rois[:, 0]
    whole = np.isfinite(index) & (index == np.floor(index))
    wrong = np.flatnonzero(~whole | (image < 0) & (index >= images))
    if len(wrong) == 0:
        return
    k = int(wrong[0])
    row = first + k
    several = f"{images} images (0 to {images - 1})"
    held = {0: "no image", 1: "one image (index 0)"}.get(images, several)
    if not whole[k]:
        raise RowValueError(
            row,
            0,
            f"has batch index {index[k]}, which is no whole number; data holds {held}; "
            "use a negative index for a padding row",
            kind,
        )
    raise RowIndexError(
        row,
        0,
        f"has batch index {index[k]:.0f}, but data holds {held}; "
        "use a negative index for a padding row",
        kind,
    )


def refuse_coordinates(
    rois: np.ndarray,
    image: np.ndarray,
    scales: Sequence[tuple[float, float]],
    first: int = 0,
    kind: Rows = CORNERS,
) -> None:
    """Raise for the first row that has an image by its index but none by its coordinates.

    `first` rows came before these, in `rois` as the caller gave them.
    """
    wrong = np.flatnonzero((image < 0) & (rois[:, 0] >= 0))
    if len(wrong) == 0:
        return
    k = int(wrong[0])
    finite = np.isfinite(rois[k, 1:])
    column = 1 + int(np.argmin(finite) if not finite.all() else np.argmax(np.abs(rois[k, 1:])))
    value, row = rois[k, column], first + k
    if not finite.all():
        raise RowValueError(
            row,
            column,
            f"is {value}; expected a finite {kind.number}; "
            "use a negative batch index for a padding row",
            kind,
        )
    sizes = [i for i, name in enumerate(kind.columns, 1) if name in SIZES and rois[k, i] < 0]
    if sizes:
        raise RowValueError(
            row,
            sizes[0],
            f"is {rois[k, sizes[0]]}; expected a size of 0 or more; a box of negative size is none",
            kind,
        )
    scale = {side for pair in scales for side in pair}
    said = scale.pop() if len(scale) == 1 else scales
    raise RowValueError(
        row,
        column,
        f"is {value}, which overflows when multiplied by spatial_scale {said}; "
        "clip the boxes to the image",
        kind,
    )
