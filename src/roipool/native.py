"""The native core, called: regions that can be looked at to structures, and kernels.

What a row becomes is geometry's alone to say; what is neither region nor padding is refused here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from roipool import _core, geometry, rois
from roipool.descriptions import Call, Operator
from roipool.kernels import Kernel
from roipool.memory import bits

SIXTEEN_BITS = ("float16", "bfloat16")


def structure(
    operator: Operator,
    rows: np.ndarray,
    maps: geometry.Maps,
    data_dtype: str,
    call: Call,
    first: int = 0,
    *,
    refuse: bool = True,
) -> Any:
    """What a kernel takes beside the features.

    A row that is neither region nor padding is refused, by its place where `first` others come
    before, or is taken as padding where nobody could catch the error.
    """
    # Half types have the arithmetic of float32, and NumPy need not know them.
    dtype = np.float64 if data_dtype == "float64" else np.float32
    found, all_known = None, False
    if rows.dtype == np.float32 or rows.dtype == np.float64:
        found, all_known = operator.twin(rows, maps, call.pooled_size, dtype, *call.more)
    if found is None:
        with np.errstate(all="ignore"):  # told by name below
            found, _ = operator.structure(np, rows, maps, call.pooled_size, dtype, *call.more)
    if refuse and not all_known:
        rois.refuse_batch_indices(rows, found.image, sum(maps.images), first)
        rois.refuse_coordinates(rows, found.image, maps.scales, first)
    return found


def image_index(rows: np.ndarray, images: int, first: int = 0) -> np.ndarray:
    """The image of each row; refuses as `structure` does, but looks at no corner."""
    index = rows[:, 0]
    with np.errstate(invalid="ignore"):  # NaN
        whole: np.ndarray = index.astype(np.int32)
        if (whole == index).all() and (whole.view(np.uint32) < images).all():
            return whole  # no padding and nothing to refuse, as nearly always
        image: np.ndarray = geometry.image_index(np, index, images)
    rois.refuse_batch_indices(rows, image, images, first)
    return image


def max_bins(
    rows: np.ndarray, maps: geometry.Maps, pooled_size: tuple[int, int], data_dtype: Any
) -> tuple[geometry.Bins | None, bool]:
    """`geometry.max_bins`, where it has a native twin, and whether every row is a region."""
    y, x = maps.scales[0]
    if len(maps.scales) > 1 or y != x:
        return None, False
    in_double = geometry.float_type(np, data_dtype, rows.dtype) is np.float64
    count, (height, width) = len(rows), pooled_size
    bins = geometry.Bins(
        np.empty(count, np.int32),
        np.empty((count, height, 2), np.int32),
        np.empty((count, width, 2), np.int32),
    )
    shape = maps.images[0], 1, maps.heights[0], maps.widths[0]
    return bins, _core.max_bins(rows, shape, y, in_double, *bins)


def align_taps(
    rows: np.ndarray,
    maps: geometry.Maps,
    pooled_size: tuple[int, int],
    data_dtype: Any,
    sampling_ratio: int,
    aligned: bool,
) -> tuple[geometry.Taps | None, bool]:
    """`geometry.align_taps`, its taps without those of weight 0."""
    in_double = geometry.float_type(np, data_dtype, rows.dtype) is np.float64
    *parts, all_known = _core.align_taps(
        rows,
        maps,
        pooled_size,
        in_double,
        data_dtype is np.float64,
        sampling_ratio,
        aligned,
    )
    return geometry.Taps(*parts), all_known


def run(
    kernel: Kernel,
    dtype: str,
    inputs: Mapping[str, Any],
    results: Sequence[Any],
    threads: int = 0,
) -> bool:
    """Fill the results of a kernel; False where an argmax lies outside its map.

    `dtype` is that of the features, by its name; feature maps are lists of arrays.
    """
    given = kernel.arguments(inputs)
    if dtype in SIXTEEN_BITS:
        given, results = _as_bits(given), _as_bits(results)
    return _core.run(kernel.name, dtype, given, results, threads)


def _as_bits(operands: Sequence[Any]) -> list[Any]:
    """Half types as 16-bit integers, in feature maps and beside them."""
    return [
        [bits(array) for array in operand]
        if isinstance(operand, list)
        else operand
        if operand is None
        else bits(operand)
        for operand in operands
    ]
