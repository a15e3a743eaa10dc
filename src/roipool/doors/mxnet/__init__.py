"""MXNet's arrays, and its symbols, which become nodes of an operator registered here.

A process that loads a graph with that operator must have imported this module.
"""

from collections.abc import Sequence
from typing import Any

import mxnet as mx
import numpy as np
from mxnet.ndarray import NDArray
from mxnet.symbol import Symbol

import roipool.doors.numpy as numpy_door
from roipool import boxes, checks
from roipool.doors.mxnet import threads as _threads  # noqa: F401  what it registers
from roipool.doors.mxnet.arrays import view, wrap
from roipool.doors.mxnet.graph import node
from roipool.doors.mxnet.recording import record


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
        return node(data, rois, pooled_size, spatial_scale, return_argmax)
    maps, regions = view("data", data), _viewed("rois", rois)
    # MXNet's threads know no arrays without elements, which have no gradient either.
    recorded = mx.autograd.is_recording() and maps.dtype.name in checks.FLOATS and maps.size > 0
    if out is not None:
        if recorded:
            raise ValueError(
                "out is given, but a derivative may be asked for; leave out, or call under "
                "autograd.pause()"
            )
        given = checks.values_and_argmax(out) if return_argmax else (out,)
        memory = tuple(view("out", array, to_write=True) for array in given)
        filled = memory if return_argmax else memory[0]
        numpy_door.roi_pool(maps, regions, pooled_size, spatial_scale, return_argmax, filled)
        return out

    with_argmax = return_argmax or recorded
    result = numpy_door.roi_pool(maps, regions, pooled_size, spatial_scale, with_argmax, None)
    values, argmax = result if isinstance(result, tuple) else (result, None)
    pooled = wrap(values, data)
    if argmax is None:
        return pooled
    if recorded:
        rows = np.array(boxes.as_rows(regions, maps.shape[0]))
        pooled = record(pooled, argmax, rows, data, rois)
        argmax = argmax.copy() if return_argmax else argmax  # what is returned may be changed
    return (pooled, wrap(argmax, data)) if return_argmax else pooled


def roi_pool_backward(
    grad: Any, argmax: Any, rois: Any, data_shape: tuple[int, int, int, int], out: Any
) -> Any:
    """`roipool.roi_pool_backward` for arrays; MXNet does not record it."""
    arrays = view("grad", grad), _viewed("argmax", argmax), _viewed("rois", rois)
    memory = None if out is None else view("out", out, to_write=True)
    grad_data = numpy_door.roi_pool_backward(*arrays, data_shape, memory)
    return wrap(grad_data, grad) if out is None else out


def _viewed(name: str, value: Any) -> Any:
    """MXNet's arrays, one or several, as NumPy's; anything else as it is."""
    if isinstance(value, Symbol):
        raise TypeError(f"{name} is a Symbol, but data is an array; expected an array too")
    if isinstance(value, Sequence) and any(isinstance(part, NDArray) for part in value):
        return [_viewed(f"{name}[{i}]", part) for i, part in enumerate(value)]
    return view(name, value) if isinstance(value, NDArray) else value
