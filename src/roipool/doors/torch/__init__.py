"""PyTorch tensors: checked, rois made into one (K, 5) tensor, an operator of the dispatcher called.

Importing this registers the operators, so that an exported program which calls them can be loaded.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from roipool import boxes, checks, geometry
from roipool.doors.torch.derivatives import is_differentiated
from roipool.doors.torch.kernels import NAMES, argmax_dtype
from roipool.doors.torch.operators import operators


def roi_pool(
    data: Any,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    return_argmax: bool,
    out: Any,
) -> Any:
    """`roipool.roi_pool` for tensors; the size and scale have been checked."""
    _check_tensor("data", data)
    checks.refuse_maps(data.dtype, NAMES.get(data.dtype), data.shape, cast="to")
    rows = _as_rows(rois, data.shape[0])
    if out is not None:
        shape = (rows.shape[0], data.shape[1], *pooled_size)
        values, argmax = checks.values_and_argmax(out) if return_argmax else (out, None)
        _check_out(values, shape, data.dtype, data, rows)
        if argmax is not None:
            _check_out(argmax, shape, argmax_dtype(data), data, rows)
        operators.roi_pool_out.default(data, rows, spatial_scale, values, argmax)
        return out
    pool = operators.roi_pool_argmax if return_argmax else operators.roi_pool
    return pool.default(data, rows, pooled_size, spatial_scale)


def roi_pool_backward(
    grad: Any, argmax: Any, rois: Any, data_shape: tuple[int, int, int, int], out: Any
) -> Any:
    """`roipool.roi_pool_backward` for tensors."""
    _check_tensor("grad", grad)
    rows = _as_rows(rois, data_shape[0])
    checks.refuse_grad(grad.dtype, NAMES.get(grad.dtype), grad.shape, rows.shape[0], data_shape)
    argmax = torch.as_tensor(argmax)
    _check_tensor("argmax", argmax)
    whole = argmax.dtype in (torch.int32, torch.int64)
    checks.refuse_argmax(argmax.dtype, whole, argmax.shape, grad.shape)
    if out is not None:
        _check_out(out, data_shape, grad.dtype, grad, rows)
        operators.roi_pool_backward_out.default(grad, argmax, rows, out)
        return out
    return operators.roi_pool_backward.default(grad, argmax, rows, data_shape)


def _check_out(out: Any, shape: tuple[int, ...], dtype: torch.dtype, *inputs: Tensor) -> None:
    expected = f"expected a contiguous tensor of shape {tuple(shape)} and dtype {dtype}"
    if not isinstance(out, Tensor):
        raise TypeError(f"out is a {type(out).__name__}; {expected}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out has shape {tuple(out.shape)} and dtype {out.dtype}; {expected}")
    if not out.is_contiguous() or out.device.type != "cpu":
        raise ValueError(f"out is on device {out.device} or not contiguous; {expected} on the CPU")
    if any(is_differentiated(tensor) for tensor in (out, *inputs)):
        raise ValueError("out is given, but a derivative is asked for; leave out, or use no_grad")


def _check_tensor(name: str, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}; expected a tensor")
    if value.device.type != "cpu":
        raise TypeError(
            f"{name} is on device {value.device}; roipool takes tensors in the memory of the CPU: "
            "move it there with cpu()"
        )
    if value.layout != torch.strided:
        raise TypeError(f"{name} has layout {value.layout}; expected torch.strided: use to_dense()")


def _as_rows(rois: Any, images: int) -> Tensor:
    """Any form of `rois` as one (K, 5) tensor, never in fewer bits than it came."""
    if isinstance(rois, Tensor):
        rows = rois
    elif isinstance(rois, Sequence) and any(isinstance(part, Tensor) for part in rois):
        rows = _joined([torch.as_tensor(part) for part in rois], images)
    else:
        array = boxes.as_rows(rois, images)
        rows = torch.from_numpy(array.astype(geometry.float_type(np, np.float64, array.dtype)))
    _check_boxes("rois", rows)
    if rows.ndim == 1 and rows.shape[0] == 0:
        rows = rows.reshape(0, 5)
    boxes.refuse_shape("rois", rows.shape, 5)
    return rows


def _joined(parts: list[Tensor], images: int) -> Tensor:
    """One tensor of many: (K_i, 4) boxes per image, or rows."""
    if all(part.shape == (5,) for part in parts):
        return torch.stack(parts)
    boxes.refuse_count(len(parts), images)
    rows = []
    for i, part in enumerate(parts):
        _check_boxes(f"rois[{i}]", part)
        per_image = part.reshape(0, 4) if part.shape == (0,) else part
        boxes.refuse_shape(f"rois[{i}]", per_image.shape, 4)
        wide = per_image.to(torch.promote_types(part.dtype, torch.float32))
        rows.append(torch.nn.functional.pad(wide, (1, 0), value=i))
    return torch.cat(rows)


def _check_boxes(name: str, value: Tensor) -> None:
    _check_tensor(name, value)
    boxes.refuse_dtype(name, value.dtype, value.dtype in NAMES)
