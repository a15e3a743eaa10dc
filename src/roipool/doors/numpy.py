"""NumPy arrays: shapes and dtypes checked, memory allocated, the native core called."""

from typing import Any

import numpy as np

from roipool import _core, bins, boxes, checks, geometry, memory
from roipool.memory import bits


def roi_pool(
    data: Any,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    return_argmax: bool,
    out: Any,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """`roipool.roi_pool` for NumPy arrays; the size and scale have been checked."""
    data = boxes.as_native(as_maps(data))
    images, channels, height, width = data.shape
    rows = boxes.as_rows(rois, images)
    shape = (len(rows), channels, *pooled_size)
    pair = return_argmax and out is not None
    given, given_argmax = checks.values_and_argmax(out) if pair else (out, None)
    values = _result(given, shape, data.dtype, data)
    argmax = None
    if return_argmax:
        argmax = _result(given_argmax, shape, argmax_dtype(height * width), data, values)

    edges = bins.max_bins(rows, data.shape, pooled_size, spatial_scale, data.dtype)
    _core.run("max", data.dtype.name, (bits(data), *edges), (bits(values), argmax))
    return values if argmax is None else (values, argmax)


def roi_pool_backward(
    grad: Any, argmax: Any, rois: Any, data_shape: tuple[int, int, int, int], out: Any
) -> np.ndarray:
    """`roipool.roi_pool_backward` for NumPy arrays."""
    grad, argmax = np.asarray(grad), np.asarray(argmax)
    images, _, height, width = data_shape
    rows = boxes.as_rows(rois, images)
    checks.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, len(rows), data_shape)
    checks.refuse_argmax(argmax.dtype, argmax.dtype.kind in "iu", argmax.shape, grad.shape)
    image = bins.image_index(rows, images)
    grad_data = _result(out, data_shape, grad.dtype, grad, argmax)
    grad = bits(np.ascontiguousarray(boxes.as_native(grad)))
    position = np.int32 if argmax.dtype == np.int32 else np.int64
    argmax = np.require(argmax, position, ["C", "A"])
    inside = _core.run("max_add", grad_data.dtype.name, (grad, image, argmax), (bits(grad_data),))
    checks.refuse_argmax_outside(inside, height, width)
    return grad_data


def max_of_bins(
    data: np.ndarray, edges: geometry.Bins, positions: Any = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The maximum of each bin and, in the dtype `positions` if one is given, where it lies."""
    shape = (len(edges.image), data.shape[1], edges.rows.shape[1], edges.cols.shape[1])
    values = memory.empty(shape, data.dtype)
    argmax = None if positions is None else memory.empty(shape, np.dtype(positions))
    _core.run("max", data.dtype.name, (bits(data), *edges), (bits(values), argmax))
    return values, argmax


def as_maps(data: Any) -> np.ndarray:
    """Feature maps, checked."""
    if hasattr(data, "mask"):  # asked so, numpy.ma need not be imported
        raise TypeError("data is a masked array; its mask would be lost: fill it with data.filled")
    array = np.asarray(data)
    checks.refuse_maps(array.dtype, array.dtype.name, array.shape)
    return array


def _result(out: Any, shape: tuple[int, ...], dtype: Any, *inputs: np.ndarray) -> np.ndarray:
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
    if any(np.may_share_memory(out, array) for array in inputs):
        raise ValueError(f"out may overlap another array of this call; {expected} of its own")
    return out


def argmax_dtype(plane: int) -> type:
    """What holds every position of a plane of so many pixels."""
    return np.int32 if plane < 2**31 else np.int64
