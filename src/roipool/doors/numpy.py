"""NumPy arrays: shapes and dtypes checked, memory allocated, the native core called."""

from typing import Any

import numpy as np

from roipool import _core, bins, boxes, checks, geometry, memory
from roipool.checks import DTYPES


def roi_pool(
    data: Any,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    return_argmax: bool,
    out: Any,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """`roipool.roi_pool` for NumPy arrays; the size and scale have been checked."""
    data = boxes.as_native(_as_maps(data))
    images, channels, height, width = data.shape
    rows = boxes.as_rows(rois, images)
    shape = (len(rows), channels, *pooled_size)
    pair = return_argmax and out is not None
    given, given_argmax = checks.values_and_argmax(out) if pair else (out, None)
    values = _result(given, shape, data.dtype, data)
    argmax = None
    if return_argmax:
        argmax = _result(given_argmax, shape, _argmax_dtype(height * width), data, values)

    edges = bins.max_bins(rows, data.shape, pooled_size, spatial_scale, data.dtype)
    _core.max_forward(
        data.dtype.name,
        _bits(data),
        *edges,
        _bits(values),
        argmax,
    )
    return values if argmax is None else (values, argmax)


def roi_pool_backward(
    grad: Any, argmax: Any, rois: Any, data_shape: tuple[int, int, int, int], out: Any
) -> np.ndarray:
    """`roipool.roi_pool_backward` for NumPy arrays."""
    grad, argmax = np.asarray(grad), np.asarray(argmax)
    images, _, height, width = data_shape
    rows = boxes.as_rows(rois, images)
    checks.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, len(rows), data_shape)
    if argmax.shape != grad.shape or argmax.dtype.kind not in "iu":
        raise ValueError(
            f"argmax has shape {argmax.shape} and dtype {argmax.dtype}; expected {grad.shape} "
            f"and int32 or int64, as roi_pool(..., return_argmax=True) gave it"
        )
    with np.errstate(invalid="ignore"):
        image = geometry.image_index(np, rows[:, 0], images)
    boxes.refuse_batch_indices(rows, image, images)

    grad_data = _result(out, data_shape, grad.dtype, grad, argmax)
    inside = _core.max_backward(
        grad.dtype.name,
        _bits(np.ascontiguousarray(boxes.as_native(grad))),
        np.require(argmax, np.int32 if argmax.dtype == np.int32 else np.int64, ["C", "A"]),
        image,
        _bits(grad_data),
    )
    checks.refuse_argmax_outside(inside, height, width)
    return grad_data


def _as_maps(data: Any) -> np.ndarray:
    if hasattr(data, "mask"):  # asked so, numpy.ma need not be imported
        raise TypeError("data is a masked array; its mask would be lost: fill it with data.filled")
    array = np.asarray(data)
    if array.dtype.name not in DTYPES:
        raise TypeError(
            f"data has dtype {array.dtype}; expected one of {', '.join(DTYPES)}: "
            "convert with astype"
        )
    checks.refuse_maps(array.shape)
    if max(array.shape) >= 2**31:
        raise ValueError(f"data has shape {array.shape}; each axis must be below 2**31")
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


def _bits(array: np.ndarray) -> np.ndarray:
    """Half types as 16-bit integers: not every NumPy and no buffer knows bfloat16."""
    return array.view(np.int16) if array.itemsize == 2 else array


def _argmax_dtype(plane: int) -> type:
    return np.int32 if plane < 2**31 else np.int64
