"""Values of an ONNX graph that spox builds: a call adds nodes to the graph and computes nothing.

The nodes are those of `roipool.onnx`, which says what ONNX Runtime makes of them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import spox.opset.ai.onnx.v17 as op
from spox import Var

from roipool import bins, boxes, checks, geometry


def roi_pool(
    data: Any,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    return_argmax: bool,
    out: Any,
) -> Var:
    """`roipool.roi_pool` as nodes; the size and scale have been checked."""
    if return_argmax:
        checks.refuse_onnx_argmax()
    if out is not None:
        raise TypeError("out is given, but a value of a graph has no memory: leave out out")
    dtype, shape = _dtype_and_shape("data", data)
    checks.refuse_onnx_dtype(dtype.name)
    if shape is not None and len(shape) != 4:
        raise ValueError(f"data has shape {shape}; expected feature maps (N, C, H, W)")
    images = shape[0] if shape is not None and isinstance(shape[0], int) else None

    rows = _as_rows(rois, images, spatial_scale)
    padding = op.less(op.slice(rows, _ints(0), _ints(1), _ints(1)), _floats(0))
    rows = op.where(padding, _floats(*geometry.beside_the_map(spatial_scale)), rows)
    values = op.max_roi_pool(
        _cast(data, np.float32), rows, pooled_shape=pooled_size, spatial_scale=spatial_scale
    )
    return _cast(values, dtype)


def roi_pool_backward(*arguments: Any) -> None:
    """Raises: ONNX has no gradient of MaxRoiPool."""
    raise NotImplementedError(
        "ONNX has no gradient of MaxRoiPool; differentiate before the model becomes a graph"
    )


def _as_rows(rois: Any, images: int | None, spatial_scale: float) -> Var:
    """Any form of `rois` as one float32 value (K, 5)."""
    if isinstance(rois, Var):
        return _boxes("rois", rois, 5)
    if isinstance(rois, Sequence) and any(isinstance(part, Var) for part in rois):
        return _joined(rois, images)
    count = len(rois) if images is None and isinstance(rois, Sequence) else images
    rows = boxes.as_rows(rois, count or 0)
    if images is not None:  # constants can be looked at: what is no region is refused now
        bins.max_bins(rows, (images, 1, 1, 1), (1, 1), spatial_scale, np.float32)
    return op.const(rows.astype(np.float32))


def _joined(parts: Sequence[Any], images: int | None) -> Var:
    """One value of many (K_i, 4), each with the index of its image before it."""
    if images is not None:
        boxes.refuse_count(len(parts), images)
    values = [part if isinstance(part, Var) else op.const(np.asarray(part)) for part in parts]
    rows = [
        op.pad(_boxes(f"rois[{i}]", value, 4), _ints(0, 1, 0, 0), op.const(np.float32(i)))
        for i, value in enumerate(values)
    ]
    return op.concat(rows, axis=0)


def _boxes(name: str, value: Var, columns: int) -> Var:
    dtype, shape = _dtype_and_shape(name, value)
    boxes.refuse_dtype(name, dtype, boxes.is_real(dtype))
    if shape is not None and (len(shape) != 2 or shape[1] not in (columns, None)):
        boxes.refuse_shape(name, shape, columns)
    return _cast(value, np.float32)


def _dtype_and_shape(name: str, value: Var) -> tuple[np.dtype[Any], tuple[Any, ...] | None]:
    try:
        tensor = value.unwrap_tensor()
    except TypeError:
        raise TypeError(f"{name} is {value.type}; expected a value that is a tensor") from None
    return np.dtype(tensor.dtype), tensor.shape


def _cast(value: Var, dtype: Any) -> Var:
    return value if value.unwrap_tensor().dtype == dtype else op.cast(value, to=dtype)


def _ints(*values: int) -> Var:
    return op.const(np.array(values, np.int64))


def _floats(*values: float) -> Var:
    return op.const(np.array(values, np.float32))
