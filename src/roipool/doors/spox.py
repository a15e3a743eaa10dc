"""Values of an ONNX graph that spox builds: a call adds nodes to the graph and computes nothing.

The nodes are those of `roipool.onnx`, which says what ONNX Runtime makes of them.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import spox.opset.ai.onnx.v17 as op
from spox import Var

from roipool import checks, geometry, native, onnx_nodes
from roipool import rois as regions
from roipool.descriptions import Call, Operator


def pool(operator: Operator, data: Any, rois: Any, call: Call, positions: bool, out: Any) -> Var:
    """The operator's values, as nodes."""
    node = onnx_nodes.node_of(operator)
    if positions:
        onnx_nodes.refuse_positions(operator)
    if out is not None:
        raise TypeError("out is given, but a value of a graph has no memory: leave out out")
    if checks.is_several(data):
        maps = [_each_of(operator, f"data[{i}]", each) for i, each in enumerate(data)]
    else:
        maps = [_maps(operator, "data", data)]
    dtype = maps[0].unwrap_tensor().dtype
    for i, each in enumerate(maps):
        checks.refuse_other_dtype(f"data[{i}]", each.unwrap_tensor().dtype, dtype)
    counts = [_count(each) for each in maps]
    known = [count for count in counts if count is not None]
    images = sum(known) if len(known) == len(counts) else None

    rows = _as_rows(rois, images, node.dtypes[dtype.name])
    if not isinstance(rows, Var):
        if images is not None:  # constants can be looked at: what is no region is refused now
            extent = geometry.maps_of([(count, 1, 1, 1) for count in known], call.scales)
            native.structure(operator, rows, extent, dtype.name, call)
        rows = op.const(rows)
    value: Var = onnx_nodes.pool(_WRITER, operator, call, maps, rows, dtype.name)
    return value


def backward(operator: Operator, *arguments: Any) -> None:
    """Raises: ONNX has no gradients."""
    raise NotImplementedError(
        f"ONNX has no gradient of {onnx_nodes.node_of(operator).name}; differentiate before the "
        "model becomes a graph"
    )


backward_rois = backward


def _each_of(operator: Operator, name: str, value: Any) -> Var:
    """Feature maps, one of several: those of a single image may lack the first axis."""
    value = value if isinstance(value, Var) else op.const(np.asarray(value))
    _, shape = _dtype_and_shape(name, value)
    single = shape is not None and len(shape) == 3
    return _maps(operator, name, op.unsqueeze(value, _ints(0)) if single else value)


def _maps(operator: Operator, name: str, value: Var) -> Var:
    dtype, shape = _dtype_and_shape(name, value)
    onnx_nodes.refuse_dtype(operator, dtype.name)
    if shape is not None and len(shape) != 4:
        raise ValueError(f"{name} has shape {shape}; expected feature maps (N, C, H, W)")
    return value


def _count(maps: Var) -> int | None:
    """How many images they are of, where it is known."""
    shape = maps.unwrap_tensor().shape
    return shape[0] if shape is not None and isinstance(shape[0], int) else None


def _as_rows(rois: Any, images: int | None, dtype: str) -> Var | np.ndarray:
    """Any form of `rois` as one value (K, 5), or as an array where no part is a value."""
    if isinstance(rois, Var):
        return _boxes("rois", rois)
    if isinstance(rois, Sequence) and any(isinstance(part, Var) for part in rois):
        return _joined(rois, images, dtype)
    count = len(rois) if images is None and isinstance(rois, Sequence) else images
    return regions.as_rows(rois, count or 0)


def _joined(parts: Sequence[Any], images: int | None, dtype: str) -> Var:
    """One value of many (K_i, 4), each with the index of its image before it."""
    if images is not None:
        regions.refuse_count(len(parts), images)
    values = [part if isinstance(part, Var) else op.const(np.asarray(part)) for part in parts]
    boxes = [
        _cast(_boxes(f"rois[{i}]", value, boxes=True), dtype) for i, value in enumerate(values)
    ]
    before = _ints(0, 1, 0, 0)
    index = [op.const(np.array(i, dtype)) for i in range(len(boxes))]
    return op.concat([op.pad(box, before, i) for box, i in zip(boxes, index, strict=True)], axis=0)


def _boxes(name: str, value: Var, *, boxes: bool = False) -> Var:
    dtype, shape = _dtype_and_shape(name, value)
    regions.refuse_dtype(name, dtype, regions.is_real(dtype))
    if shape is not None:
        regions.refuse_shape(name, shape, boxes=boxes)
    return value


def _dtype_and_shape(name: str, value: Var) -> tuple[np.dtype[Any], tuple[Any, ...] | None]:
    try:
        tensor = value.unwrap_tensor()
    except TypeError:
        raise TypeError(f"{name} is {value.type}; expected a value that is a tensor") from None
    return np.dtype(tensor.dtype), tensor.shape


def _node(name: str, *inputs: Var, **attributes: Any) -> Var:
    """Of spox, which writes MaxRoiPool as max_roi_pool."""
    value: Var = getattr(op, re.sub(r"\B([A-Z])", r"_\1", name).lower())(*inputs, **attributes)
    return value


def _cast(value: Var, dtype: str) -> Var:
    return value if value.unwrap_tensor().dtype == dtype else op.cast(value, to=np.dtype(dtype))


def _ints(*values: int) -> Var:
    return op.const(np.array(values, np.int64))


_WRITER = onnx_nodes.Writer(_node, op.const, _cast)
