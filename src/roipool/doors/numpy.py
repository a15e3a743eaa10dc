"""NumPy arrays: shapes and dtypes checked, memory allocated, the native core called."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from roipool import checks, geometry, memory, native, rois
from roipool.descriptions import Call, Operator, Rows, position
from roipool.kernels import KERNELS

LISTED_TOGETHER = 256  # regions, of whose points the lists take as much memory as their results
Shape = tuple[int, ...]
xp = np


def as_rows(regions: Any, images: int, kind: Rows, _beside: Any = None) -> np.ndarray:
    """Any form of regions as rows; where they lie only other doors ask."""
    return rois.as_rows(regions, images, kind)


def looked_at(rows: np.ndarray) -> np.ndarray | None:
    """The rows as NumPy has them, if they can be looked at."""
    return rows


def pool(
    operator: Operator, data: Any, regions: Any, call: Call, positions: bool, out: Any
) -> np.ndarray | tuple[np.ndarray, ...]:
    """The operator's values and, where asked for, what they stand at."""
    maps = as_maps(data, operator.dtypes)
    images = sum(map(len, maps))
    rows = rois.as_rows(regions, images, operator.rows)
    kernel, dtype = operator.forward, maps[0].dtype
    name = checks.dtype_name(dtype)
    channels = operator.channels("data", maps[0].shape[1], call.pooled_size)
    shape = (len(rows), channels, *call.pooled_size)
    given = checks.values_and_argmax(out) if positions else (out,)
    results: list[np.ndarray] = []
    for arg, memory_of in zip(kernel.results, given, strict=False):
        kind = {"data": dtype, "position": position(_planes(maps))}.get(arg.dtype, arg.dtype)
        results.append(result(memory_of, shape, kind, *maps, *results))
    extent = geometry.maps_of([array.shape for array in maps], call.scales)

    def fill(rows: np.ndarray, results: Sequence[np.ndarray]) -> None:
        found, _ = native.structure(operator, rows, extent, name, call)
        native.pool(operator, call, name, {"data": maps, **found._asdict()}, results)

    most = LISTED_TOGETHER
    if operator.kernel != "points_read" or len(rows) <= most:
        fill(rows, results)
    else:
        index = native.image_index(rows, images, kind=operator.rows)
        native.refuse_rows(operator, rows, index, extent)  # before anything is written
        for first in range(0, len(rows), most):
            fill(rows[first : first + most], [each[first : first + most] for each in results])
    return tuple(results) if positions else results[0]


def backward(
    operator: Operator,
    grad: Any,
    regions: Any,
    data_shapes: Sequence[Shape],
    call: Call,
    saved: Mapping[str, Any],
    several: bool,
    out: Any,
) -> Any:
    """The gradient of the features: one array for each shape, or the only one."""
    grad = np.asarray(grad)
    images = sum(shape[0] for shape in data_shapes)
    rows = rois.as_rows(regions, images, operator.rows)
    operator.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, len(rows), data_shapes[0])
    read = {name: _positions(operator, array, grad) for name, array in saved.items()}
    if operator.located:
        found = {"image": native.image_index(rows, images)}
    else:
        maps = geometry.maps_of(data_shapes, call.scales)
        found = native.structure(operator, rows, maps, grad.dtype.name, call)[0]._asdict()
    given = checks.results(out, len(data_shapes) if several else None)
    inputs = [grad, *read.values()]
    filled: list[np.ndarray] = []
    for memory_of, shape in zip(given, data_shapes, strict=True):
        filled.append(result(memory_of, shape, grad.dtype, *inputs, *filled))
    pooled = np.ascontiguousarray(rois.as_native(grad))
    known = {"pooled": pooled, **read, **found}
    inside = native.run_for(
        operator, operator.backward, grad.shape[2:], filled[0].dtype.name, known, [filled]
    )
    checks.refuse_argmax_outside(inside, data_shapes)
    return filled if several else filled[0]


def backward_rois(
    operator: Operator, grad: Any, data: Any, regions: Any, call: Call, saved: Mapping[str, Any]
) -> np.ndarray:
    """The gradient of the regions, as rows, by the chain rule through their weights."""
    maps = as_maps(data, operator.dtypes)
    grad = np.asarray(grad)
    rows = rois.as_rows(regions, sum(map(len, maps)), operator.rows)
    operator.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, len(rows), maps[0].shape)
    read = {name: _positions(operator, array, grad) for name, array in saved.items()}
    checks.refuse_other_dtype("grad", grad.dtype, maps[0].dtype)
    dtype = maps[0].dtype
    sizes = geometry.maps_of(list(map(np.shape, maps)), call.scales)
    found, slopes = native.structure(operator, rows, sizes, dtype.name, call, moving=True)
    F = geometry.float_type(np, dtype, rows.dtype)
    known: dict[str, Any] = {"data": maps, **read, **found._asdict()}
    known["pooled"] = np.ascontiguousarray(rois.as_native(grad))
    return native.gradient_of_rois(operator, dtype.name, known, slopes, F)


def gather_points(data: Any, image: Any, pixel: Any, weight: Any) -> np.ndarray:
    """Sums of weighted pixels that are listed one by one, (K, C, h, w)."""
    maps = as_maps(data, checks.FLOATS)
    known = _listed(image, pixel, weight, [array.shape for array in maps], maps[0].dtype)
    shape = (known["image"].shape[0], maps[0].shape[1], *np.shape(pixel)[1:3])
    values = memory.empty(shape, maps[0].dtype)
    native.run(KERNELS["points_read"], maps[0].dtype.name, {"data": maps, **known}, [values])
    return values


def gather_points_backward(
    grad: Any, image: Any, pixel: Any, weight: Any, data_shapes: Sequence[Shape], several: bool
) -> Any:
    """The gradient of the features: one array for each shape, or the only one."""
    grad = _as_grad(grad, pixel, data_shapes)
    known = _listed(image, pixel, weight, data_shapes, grad.dtype)
    filled = [memory.empty(shape, grad.dtype) for shape in data_shapes]
    native.run(KERNELS["points_add"], grad.dtype.name, {"pooled": grad, **known}, [filled])
    return filled if several else filled[0]


def gather_points_backward_weight(grad: Any, data: Any, image: Any, pixel: Any) -> np.ndarray:
    """The gradient of the weights, (K, h, w, S)."""
    maps = as_maps(data, checks.FLOATS)
    shapes = [array.shape for array in maps]
    grad = _as_grad(grad, pixel, shapes)
    checks.refuse_other_dtype("grad", grad.dtype, maps[0].dtype)
    known = _listed(image, pixel, np.ones(np.shape(pixel), np.float32), shapes, grad.dtype)
    moved = np.empty_like(known["weight"])
    given = {**known, "data": maps, "pooled": grad}
    native.run(KERNELS["points_weigh"], grad.dtype.name, given, [moved])
    weights: np.ndarray = moved.reshape(np.shape(pixel))
    return weights


def _listed(
    image: Any, pixel: Any, weight: Any, shapes: Sequence[Shape], dtype: Any
) -> dict[str, Any]:
    image, pixel, weight = np.asarray(image), np.asarray(pixel), np.asarray(weight)
    whole = [(array.dtype.kind in "iu", array.shape) for array in (image, pixel)]
    checks.refuse_points(whole[0], whole[1], weight.shape)
    checks.refuse_images(image, sum(shape[0] for shape in shapes))
    image = np.maximum(image, -1).astype(np.int32)
    kind = np.float64 if dtype == np.float64 else np.float32
    return geometry.points_of(np, image, pixel, weight, shapes, kind)._asdict()


def _as_grad(grad: Any, pixel: Any, shapes: Sequence[Shape]) -> np.ndarray:
    grad = np.asarray(grad)
    expected = np.shape(pixel)[0] if np.ndim(pixel) else 0, shapes[0][1]
    checks.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, expected, shapes[0])
    return np.ascontiguousarray(rois.as_native(grad))


def as_maps(data: Any, known: Sequence[str] = checks.DTYPES) -> list[np.ndarray]:
    """Arrays of feature maps, checked: one, or several in a sequence."""
    if checks.is_several(data):
        maps = [_as_array(each, f"data[{i}]") for i, each in enumerate(data)]
        maps = [array[None] if array.ndim == 3 else array for array in maps]
    else:
        maps = [_as_array(data, "data")]
    for array in maps:
        checks.refuse_maps(array.dtype, checks.dtype_name(array.dtype), array.shape, known)
    if len(maps) > 1:
        checks.refuse_unlike(maps)
    return [rois.as_native(array) for array in maps]


def _planes(maps: Sequence[np.ndarray]) -> list[int]:
    return [array.shape[2] * array.shape[3] for array in maps]


def _as_array(data: Any, name: str) -> np.ndarray:
    if hasattr(data, "mask"):  # asked so, numpy.ma need not be imported
        raise TypeError(
            f"{name} is a masked array; its mask would be lost: fill it with {name}.filled"
        )
    return np.asarray(data)


def _positions(operator: Operator, argmax: Any, grad: np.ndarray) -> np.ndarray:
    argmax = np.asarray(argmax)
    checks.refuse_argmax(argmax.dtype, argmax.dtype.kind in "iu", argmax.shape, grad.shape)
    if not operator.located and argmax.dtype != np.int32:  # the number of a sample
        argmax = np.clip(argmax, -2, 2**31 - 1).astype(np.int32)
    return np.require(argmax, np.int32 if argmax.dtype == np.int32 else np.int64, ["C", "A"])


def result(out: Any, shape: Shape, dtype: Any, *others: np.ndarray) -> np.ndarray:
    """The caller's memory if it fits, else new memory."""
    dtype = np.dtype(dtype).newbyteorder("=")
    if out is None:
        return memory.empty(shape, dtype)
    expected = f"expected a writeable C-contiguous array of shape {shape} and dtype {dtype}"
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}; {expected}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out has shape {out.shape} and dtype {out.dtype}; {expected}")
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ValueError(f"out is read-only, unaligned or not contiguous; {expected}")
    if any(np.may_share_memory(out, array) for array in others):
        raise ValueError(f"out may overlap another array of this call; {expected} of its own")
    return out
