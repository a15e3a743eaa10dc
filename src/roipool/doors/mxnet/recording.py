"""What autograd needs to know of a result: how to go back.

MXNet's own `autograd.Function` leaves out all gradients behind the first that is not asked for, and
forgets to add where one is to be added. So what it tells MXNet is told here.
"""

import ctypes
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import mxnet as mx
import numpy as np
from mxnet.base import _LIB, MXCallbackList, NDArrayHandle, c_array, c_handle_array, check_call
from mxnet.ndarray import NDArray

from roipool.doors.mxnet.arrays import REQUESTS, view, written
from roipool.doors.mxnet.derivatives import Pooled

_registry = mx.autograd.Function._registry
_PLAIN = ctypes.CFUNCTYPE(ctypes.c_int)

# Fills gradients, None where none is asked for, given that of the result.
Backward = Callable[[np.ndarray, Sequence[np.ndarray | None]], None]


def record(values: NDArray, pooled: Pooled, data: Sequence[NDArray], rois: Any) -> None:
    """`values`, as pooled from arrays of maps and, where they are MXNet's too, `rois`."""
    parts = list(rois) if isinstance(rois, Sequence) else [rois]
    maps_at, rois_at = _with_elements(data), _with_elements(parts)
    maps = [(array.shape, array.dtype) for array in data]
    shapes = [np.shape(part) for part in parts] if rois_at else []
    held = list(data) if rois_at and pooled.operator.moves else []  # no longer than it is read

    def backward(grad: np.ndarray, memory: Sequence[np.ndarray | None]) -> None:
        of_data = dict(zip(maps_at, memory[: len(maps_at)], strict=True))
        of_rois = dict(zip(rois_at, memory[len(maps_at) :], strict=True))
        if any(filled is not None for filled in of_data.values()):
            pooled.backward(grad, [_maps(*kind, of_data.get(i)) for i, kind in enumerate(maps)])
        if any(filled is not None for filled in of_rois.values()):
            gradient = pooled.backward_rois(grad, [view("data", array) for array in held])
            _hand_out(gradient, shapes, of_rois)

    _record([*(data[i] for i in maps_at), *(parts[i] for i in rois_at)], values, backward)


def _with_elements(arrays: Sequence[Any]) -> list[int]:
    """Where MXNet's arrays stand; its threads know none without elements."""
    return [i for i, array in enumerate(arrays) if isinstance(array, NDArray) and array.size]


def _maps(shape: tuple[int, ...], dtype: Any, filled: np.ndarray | None) -> np.ndarray:
    """Memory for the gradient of feature maps, (N, C, H, W), asked for or not."""
    memory = np.empty(shape, dtype) if filled is None else filled
    return memory if memory.ndim == 4 else memory[None]


def _hand_out(
    gradient: np.ndarray,
    shapes: Sequence[tuple[int, ...]],
    filled: Mapping[int, np.ndarray | None],
) -> None:
    """Rows to what they came as: all, one each, or the boxes of an image each."""
    begin = 0
    for i, shape in enumerate(shapes):
        columns = shape[-1]
        end = begin + math.prod(shape) // max(columns, 1)
        memory = filled.get(i)
        if memory is not None:
            memory[...] = gradient[begin:end, gradient.shape[1] - columns :].reshape(shape)
        begin = end


def _record(inputs: Sequence[NDArray], result: NDArray, backward: Backward) -> None:
    """As `autograd.Function` does; MXNet calls back on a thread of its own."""
    key = _registry.inc()

    def run(outputs: int, count: int, handles: Any, requests: Any, *_: Any) -> bool:
        try:
            arrays = [NDArray(ctypes.cast(handles[i], NDArrayHandle)) for i in range(1 + count)]
            _fill(backward, arrays, [REQUESTS[requests[i]] for i in range(count)])
        except Exception:  # no exception can cross a callback of C: MXNet is told by the answer
            print(f"Error in a derivative of roipool's: {traceback.format_exc()}")
            return False
        return True

    def forget(_: Any) -> bool:
        del _registry.ref_holder[key]
        return True

    of = mx.autograd.Function
    callbacks = [ctypes.cast(c, _PLAIN) for c in (of._bwd_functype(run), of._del_functype(forget))]
    _registry.ref_holder[key] = told = MXCallbackList(
        ctypes.c_int(len(callbacks)),
        ctypes.cast(c_array(_PLAIN, callbacks), ctypes.POINTER(_PLAIN)),
        ctypes.cast(c_array(ctypes.c_void_p, [None, None]), ctypes.POINTER(ctypes.c_void_p)),
    )
    handles = ctypes.c_int(len(inputs)), c_handle_array(inputs)
    check_call(
        _LIB.MXCustomFunctionRecord(
            *handles, ctypes.c_int(1), c_handle_array([result]), ctypes.byref(told)
        )
    )


def _fill(backward: Backward, arrays: Sequence[NDArray], requests: Sequence[str]) -> None:
    """What comes first is the gradient of the result."""
    grad, *asked = arrays
    with ExitStack() as stack:
        memory = [
            None if request == "null" else stack.enter_context(written(array, request))
            for array, request in zip(asked, requests, strict=True)
        ]
        backward(view("grad", grad), memory)
