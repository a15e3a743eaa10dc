"""Regions that can be looked at, to bins: fast, refusing rows that are neither region nor padding.

What a row becomes is geometry.py's alone to say.
"""

from typing import Any

import numpy as np

from roipool import _core, boxes, geometry


def max_bins(
    rows: np.ndarray,
    data_shape: tuple[int, int, int, int],
    pooled_size: tuple[int, int],
    spatial_scale: float,
    data_dtype: Any,
    first: int = 0,
    *,
    refuse: bool = True,
) -> geometry.Bins:
    """`geometry.max_bins`, by its native twin where it has one.

    A row that is neither region nor padding is refused, by its place where `first` others come
    before, or is taken as padding where nobody could catch the error.
    """
    all_known = False
    if rows.dtype == np.float32 or rows.dtype == np.float64:
        in_double = geometry.float_type(np, data_dtype, rows.dtype) is np.float64
        bins = geometry.Bins(
            np.empty(len(rows), np.int32),
            *(np.empty((len(rows), count, 2), np.int32) for count in pooled_size),
        )
        all_known = _core.max_bins(rows, data_shape, spatial_scale, in_double, *bins)
    else:
        with np.errstate(over="ignore", invalid="ignore"):  # told by name below
            bins = geometry.max_bins(np, rows, data_shape, pooled_size, spatial_scale, data_dtype)
    if refuse and not all_known:
        boxes.refuse_batch_indices(rows, bins.image, data_shape[0], first)
        boxes.refuse_coordinates(rows, bins.image, spatial_scale, first)
    return bins


def image_index(rows: np.ndarray, images: int, first: int = 0) -> np.ndarray:
    """`geometry.image_index` of each row; refuses as `max_bins` does, but looks at no corner."""
    with np.errstate(invalid="ignore"):  # NaN
        image: np.ndarray = geometry.image_index(np, rows[:, 0], images)
    boxes.refuse_batch_indices(rows, image, images, first)
    return image
