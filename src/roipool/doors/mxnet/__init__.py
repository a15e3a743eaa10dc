"""MXNet's arrays, and its symbols, which become nodes of an operator registered here.

A process that loads a graph with that operator must have imported this module.
"""

from collections.abc import Sequence
from typing import Any

import mxnet as mx
import numpy as np
from mxnet.ndarray import NDArray
from mxnet.symbol import Symbol

from roipool import bins, boxes, checks, geometry
from roipool.doors import numpy as numpy_door
from roipool.doors.mxnet.arrays import in_kind, refuse_foreign, view, wrap
from roipool.doors.mxnet.operators import OPERATOR


def roi_pool(
    data: Any,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    return_argmax: bool,
    out: Any,
) -> Any:
    """`roipool.roi_pool` for arrays and symbols; the size and scale have been checked."""
    if isinstance(data, Symbol):
        if out is not None:
            raise TypeError("out is given, but data is a Symbol, whose memory MXNet plans")
        return symbol(data, rois, pooled_size, spatial_scale, return_argmax)
    refuse_foreign("data", data)
    recorded = mx.autograd.is_recording() and np.dtype(data.dtype).name in checks.FLOATS
    if recorded and out is not None:
        raise ValueError(
            "out is given, but a derivative may be asked for; leave out, or call under "
            "autograd.pause()"
        )
    pool = _recorded if recorded else _pooled
    return pool(data, rois, pooled_size, spatial_scale, return_argmax, out)


def roi_pool_backward(
    grad: Any, argmax: Any, rois: Any, data_shape: tuple[int, int, int, int], out: Any
) -> Any:
    """`roipool.roi_pool_backward` for arrays; MXNet does not record it."""
    arrays = view("grad", grad), _viewed("argmax", argmax), _viewed("rois", rois)
    memory = None if out is None else view("out", out, to_write=True)
    grad_data = numpy_door.roi_pool_backward(*arrays, data_shape, memory)
    return wrap(grad_data, grad) if out is None else out


def symbol(
    data: Symbol,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    return_argmax: bool = False,
    name: str | None = None,
) -> Any:
    """The operator as a node of a graph."""
    if not isinstance(rois, Symbol):
        raise TypeError(
            f"rois is a {type(rois).__name__}, but data is a Symbol; expected a Symbol too, such "
            "as mx.sym.Variable('rois')"
        )
    pooled = mx.sym.Custom(
        data.as_nd_ndarray(),
        rois.as_nd_ndarray(),
        name=name,
        **_attributes(pooled_size, spatial_scale, return_argmax),
    )
    if isinstance(data, mx.sym.np._Symbol):
        pooled = pooled.as_np_ndarray()
    return tuple(pooled) if return_argmax else pooled


def _pooled(
    data: NDArray,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    return_argmax: bool,
    out: Any,
) -> Any:
    """At once, on this thread: as an array of NumPy, over the same memory."""
    arguments = view("data", data), _viewed("rois", rois), pooled_size, spatial_scale, return_argmax
    if out is not None:
        given = checks.values_and_argmax(out) if return_argmax else (out,)
        memory = tuple(view("out", array, to_write=True) for array in given)
        numpy_door.roi_pool(*arguments, memory if return_argmax else memory[0])
        return out
    result: Any = numpy_door.roi_pool(*arguments, None)
    return tuple(wrap(part, data) for part in result) if return_argmax else wrap(result, data)


def _recorded(
    data: NDArray,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    return_argmax: bool,
    _: None,
) -> Any:
    """By the operator, for autograd; what is wrong is told before, while somebody listens."""
    checks.refuse_maps(data.shape)
    rows = boxes.as_rows(_viewed("rois", rois), data.shape[0])
    bins.max_bins(rows, data.shape, pooled_size, spatial_scale, np.dtype(data.dtype))
    if 0 in (len(rows), *data.shape) and not mx.util.is_np_shape():
        raise ValueError(
            f"data has shape {data.shape} and there are {len(rows)} rois; MXNet records arrays "
            "without elements only under mx.util.np_shape(), or after mx.npx.set_np()"
        )
    if not isinstance(rois, NDArray):
        dtype = geometry.float_type(np, np.float64, rows.dtype)
        rois = wrap(np.array(rows, dtype, order="C"), data)
    attributes = _attributes(pooled_size, spatial_scale, return_argmax)
    pooled = mx.nd.Custom(data.as_nd_ndarray(), rois.as_nd_ndarray(), **attributes)
    if return_argmax:
        return tuple(in_kind(part, data) for part in pooled)
    return in_kind(pooled, data)


def _attributes(
    pooled_size: tuple[int, int], spatial_scale: float, return_argmax: bool
) -> dict[str, str]:
    attributes = {"pooled_size": str(pooled_size), "spatial_scale": repr(spatial_scale)}
    if return_argmax:
        attributes["return_argmax"] = "True"
    return {"op_type": OPERATOR} | attributes


def _viewed(name: str, value: Any) -> Any:
    """MXNet's arrays, one or several, as NumPy's; anything else as it is."""
    if isinstance(value, Symbol):
        raise TypeError(f"{name} is a Symbol, but data is an array; expected an array too")
    if isinstance(value, Sequence) and any(isinstance(part, NDArray) for part in value):
        return [_viewed(f"{name}[{i}]", part) for i, part in enumerate(value)]
    return view(name, value) if isinstance(value, NDArray) else value
