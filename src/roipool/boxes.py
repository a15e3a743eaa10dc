"""The accepted forms of `rois`, made into one (K, 5) array; and what is wrong with a row."""

from collections.abc import Sequence
from typing import Any

import numpy as np

COLUMNS = ("batch index", "x1", "y1", "x2", "y2")
FORMS = (
    "an array (K, 5) of rows [batch_index, x1, y1, x2, y2], or a sequence with one "
    "(K_i, 4) array of [x1, y1, x2, y2] per image"
)


def as_rows(rois: Any, images: int) -> np.ndarray:
    """Either form of `rois` as one (K, 5) array of real numbers."""
    if _is_per_image(rois):
        return _join(rois, images)
    rows = _as_real(rois, "rois")
    if rows.size == 0 and rows.shape[-1:] == (0,) and rows.ndim <= 2:  # [], or [] for each image
        rows = rows.reshape(0, 5)
    refuse_shape("rois", rows.shape, 5)
    return rows


def _is_per_image(rois: Any) -> bool:
    if not isinstance(rois, Sequence) or isinstance(rois, str) or len(rois) == 0:
        return False
    return any(_depth(item) >= 2 for item in rois)


def _depth(item: Any) -> int:
    if isinstance(item, (list, tuple)):
        return 1 + max((_depth(inner) for inner in item), default=0)
    return int(getattr(item, "ndim", 0))


def _join(rois: Sequence[Any], images: int) -> np.ndarray:
    refuse_count(len(rois), images)
    parts = [_as_real(boxes, f"rois[{i}]") for i, boxes in enumerate(rois)]
    parts = [boxes.reshape(0, 4) if boxes.size == 0 else boxes for boxes in parts]
    for i, boxes in enumerate(parts):
        refuse_shape(f"rois[{i}]", boxes.shape, 4)
    # float64 survives only if any part has it: geometry then chooses F as for one array.
    dtype = np.float64 if any(p.dtype == np.float64 for p in parts) else np.float32
    rows = np.empty((sum(len(p) for p in parts), 5), dtype)
    rows[:, 0] = np.repeat(np.arange(images), [len(p) for p in parts])
    if len(rows):
        rows[:, 1:] = np.concatenate(parts)
    return rows


def _as_real(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} is ragged; expected {FORMS}") from None
    refuse_dtype(name, array.dtype, is_real(array.dtype))
    return as_native(array)


def as_native(array: np.ndarray) -> np.ndarray:
    """The array itself, unless the core cannot walk it: swapped bytes, odd strides or addresses."""
    whole_strides = all(stride % array.itemsize == 0 for stride in array.strides)
    if array.dtype.isnative and array.flags.aligned and whole_strides:
        return array
    return array.astype(array.dtype.newbyteorder("="), order="C")


def is_real(dtype: np.dtype[Any]) -> bool:
    """Whether NumPy's dtype, or bfloat16, is one of real numbers."""
    return dtype.kind in "fiu" or dtype.name == "bfloat16"


def refuse_dtype(name: str, dtype: Any, real: bool) -> None:
    """Raise unless the dtype of this library's arrays is one of real numbers."""
    if not real:
        raise TypeError(f"{name} has dtype {dtype}; expected real numbers, as in {FORMS}")


def refuse_count(boxes: int, images: int) -> None:
    """Raise unless there are boxes for every image."""
    if boxes != images:
        raise ValueError(
            f"rois holds boxes for {boxes} images, but data holds {images}; "
            "give one array per image, of shape (0, 4) for an image without regions"
        )


def refuse_shape(name: str, shape: tuple[int, ...], columns: int) -> None:
    """Raise unless it is that of rows of so many columns."""
    if len(shape) != 2 or shape[1] != columns:
        raise ValueError(f"{name} has shape {tuple(shape)}; expected {FORMS}")


def refuse_batch_indices(rois: np.ndarray, image: np.ndarray, images: int, first: int = 0) -> None:
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
        raise ValueError(
            f"rois[{row}] has batch index {index[k]}, which is no whole number; data holds {held}; "
            "use a negative index for a padding row"
        )
    raise IndexError(
        f"rois[{row}] has batch index {int(index[k])}, but data holds {held}; "
        "use a negative index for a padding row"
    )


def refuse_coordinates(
    rois: np.ndarray, image: np.ndarray, spatial_scale: float, first: int = 0
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
    value, name = rois[k, column], COLUMNS[column]
    row = first + k
    if not finite.all():
        raise ValueError(
            f"rois[{row}, {column}] ({name}) is {value}; expected a finite coordinate in image "
            "pixels; use a negative batch index for a padding row"
        )
    raise ValueError(
        f"rois[{row}, {column}] ({name}) is {value}, which overflows when multiplied by "
        f"spatial_scale {spatial_scale}; clip the boxes to the image"
    )
