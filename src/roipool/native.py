"""The native core, called: regions that can be looked at to structures, and kernels.

What a row becomes is geometry's alone to say; what is neither region nor padding is refused here.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from roipool import _core, geometry, memory, planes, rois
from roipool.descriptions import CORNERS, Call, Operator, Rows
from roipool.kernels import Kernel
from roipool.memory import bits
from roipool.twins import TWINS

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
    moving: bool = False,
) -> tuple[Any, Any]:
    """What a kernel takes beside the features and, where `moving`, how it moves with the regions.

    A row that is neither region nor padding is refused, by its place where `first` others come
    before, or is taken as padding where nobody could catch the error.
    """
    # Half types have the arithmetic of float32, and NumPy need not know them.
    dtype = np.float64 if data_dtype == "float64" else np.float32
    given = maps, call.pooled_size, dtype, *call.more
    if operator.twin and rows.dtype.itemsize <= 8:  # which float64 holds
        twin, fixed = TWINS[operator.twin], operator.twin_fixed
        found, all_known = twin(rows, *given, **fixed, moving=moving)
    else:
        with np.errstate(all="ignore"):  # told by name below
            structure, slopes = operator.structure(np, rows, *given)
        # What was broadcast may lie otherwise.
        found = type(structure)(*map(np.ascontiguousarray, structure)), slopes
        all_known = False
    if refuse and not all_known:
        refuse_rows(operator, rows, found[0].image, maps, first)
    return found if moving else (found[0], None)


def refuse_rows(
    operator: Operator, rows: np.ndarray, image: np.ndarray, maps: geometry.Maps, first: int = 0
) -> None:
    """Raise for the first row that is neither region nor padding, the image of each being known."""
    kind = operator.rows
    if len(rows):
        image = image[:: len(image) // len(rows)]  # of a region perhaps each bin has one
    rois.refuse_batch_indices(rows, image, sum(maps.images), first, kind)
    rois.refuse_coordinates(rows, image, maps.scales, first, kind)


def gradient_of_rois(
    operator: Operator,
    dtype: str,
    known: Mapping[str, Any],
    slopes: Sequence[np.ndarray] | None,
    F: Any,
    threads: int = 0,
) -> np.ndarray:
    """Rows of type F, by the chain rule through the weights, all of a call known by name."""
    assert slopes is not None
    if len(known["pooled"]) == 0:
        return np.zeros((0, operator.rows.width), F)
    kernel, size = operator.weigh, known["pooled"].shape[2:]
    weighed = [np.empty(len(slope), slope.dtype) for slope in slopes]
    run_for(operator, kernel, size, dtype, known, weighed, threads)
    gradient = np.zeros((len(known["pooled"]), operator.rows.width), F)
    for arg, moved, slope in zip(kernel.results, weighed, slopes, strict=True):
        ranges = known[next(each.name for each in kernel.inputs if each.along == arg.axes[0])]
        columns = operator.moves[arg.name]
        with np.errstate(over="ignore", invalid="ignore"):
            sums = over_regions(moved[:, None] * slope, ranges)
            gradient[:, columns] += sums.reshape(len(gradient), -1, len(columns)).sum(1)
    return gradient


def over_regions(values: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """The sum of each region's values, of which every tap of a structure has one."""
    ends = ranges.reshape(len(ranges), prod(ranges.shape[1:-1]), 2)
    begin, end = ends[:, 0, 0], ends[:, -1, 1]
    total = np.zeros((len(ranges), *values.shape[1:]), values.dtype)
    some = begin < end  # where the next sum begins, each ends
    if some.any():
        total[some] = np.add.reduceat(values, begin[some], axis=0)
    return total


def image_index(rows: np.ndarray, images: int, first: int = 0, kind: Rows = CORNERS) -> np.ndarray:
    """The image of each row; refuses as `structure` does, but looks at no corner."""
    index = rows[:, 0]
    with np.errstate(invalid="ignore"):  # NaN
        whole: np.ndarray = index.astype(np.int32)
        if (whole == index).all() and (whole.view(np.uint32) < images).all():
            return whole  # no padding and nothing to refuse, as nearly always
        image: np.ndarray = geometry.image_index(np, index, images)
    rois.refuse_batch_indices(rows, image, images, first, kind)
    return image


def pool(
    operator: Operator,
    call: Call,
    dtype: str,
    known: Mapping[str, Any],
    results: Sequence[Any],
    threads: int = 0,
) -> None:
    """Fill the results of the operator, all of the call known by name."""
    run_for(operator, operator.forward, call.pooled_size, dtype, known, results, threads)
    fill(operator, call, dtype, known, results[0])


def fill(
    operator: Operator, call: Call, dtype: str, known: Mapping[str, Any], values: np.ndarray
) -> None:
    """Put what the operator says of bins without taps where a structure, by name, has some."""
    value = operator.filling(call)
    if value != 0:
        empty = geometry.empty_bins(np, known["image"], known["y_taps"], known["x_taps"])
        np.copyto(bits(values), _stored(value, dtype), where=empty[:, None])


def _stored(value: float, dtype: str) -> Any:
    """A number as features of this dtype lie in memory, half types as their bits."""
    if dtype == "bfloat16":  # rounded half to even
        wide = int(np.float32(value).view(np.uint32))
        return np.uint16((wide + 0x7FFF + (wide >> 16 & 1)) >> 16).view(np.int16)
    number = np.dtype(dtype).type(value)
    return number.view(np.int16) if dtype == "float16" else number


def run_for(
    operator: Operator,
    kernel: Kernel,
    pooled_size: Sequence[int],
    dtype: str,
    inputs: Mapping[str, Any],
    results: Sequence[Any],
    threads: int = 0,
) -> bool:
    """Fill the results of one of an operator's kernels, whose maps are position-sensitive or not.

    False where an argmax lies outside its map.
    """
    if not operator.position_sensitive:
        return run(kernel, dtype, inputs, results, threads)
    known = dict(inputs)
    maps = results[0] if kernel.results[0].axes == "NCHW" else known["data"]
    total = sum(map(len, maps))
    images, known["image"] = _images_used(known["image"], prod(pooled_size), total)
    if "pooled" in known:
        known["pooled"] = np.ascontiguousarray(planes.of_pooled(known["pooled"]))
    views = planes.views_of(maps, pooled_size, images)
    if kernel.results[0].axes == "NCHW":
        if len(images) < total:
            for array in maps:
                array.fill(0)
        return run(kernel, dtype, known, [views], threads)
    known["data"] = views
    if kernel.results[0].axes != "KChw":
        return run(kernel, dtype, known, results, threads)
    regions, channels = results[0].shape[:2]
    shape = (regions * pooled_size[0] * pooled_size[1], channels, 1, 1)
    values = memory.empty(shape, results[0].dtype)
    inside = run(kernel, dtype, known, [values], threads)
    results[0][...] = planes.pooled_of(values, pooled_size)
    return inside


def _images_used(plane: np.ndarray, bins: int, images: int) -> tuple[Sequence[int], np.ndarray]:
    """Images that have regions, in order, and each bin's plane among those of these alone."""
    image = plane[::bins] // bins  # of no region it is negative
    used = np.unique(image[image >= 0])
    if len(used) == images:
        return range(images), plane
    moved = np.where(image < 0, 0, np.searchsorted(used, image) - image) * bins
    return used.tolist(), (plane + np.repeat(moved, bins)).astype(np.int32)


def run(
    kernel: Kernel, dtype: str, inputs: Mapping[str, Any], results: Sequence[Any], threads: int = 0
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
