"""MXNet's arrays on the CPU and NumPy's, over the same memory."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mxnet as mx
import numpy as np
from mxnet.base import _LIB, check_call
from mxnet.ndarray import NDArray

REQUESTS = ("null", "write", "inplace", "add")  # what may be asked of memory, as MXNet counts
_BFLOAT16 = np.dtype([("bfloat16", np.uint16)])


def view(name: str, array: Any, *, to_write: bool = False) -> np.ndarray:
    """The memory of an array, once MXNet's engine has done what was asked of it before.

    It is good as long as `array` lives, and nothing is asked of the engine meanwhile.
    """
    refuse_foreign(name, array)
    wait = _LIB.MXNDArrayWaitToWrite if to_write else _LIB.MXNDArrayWaitToRead
    check_call(wait(array.handle))
    start = ctypes.c_void_p()
    check_call(_LIB.MXNDArrayGetData(array.handle, ctypes.byref(start)))
    dtype = np.dtype(array.dtype)
    if array.size == 0:
        return np.empty(array.shape, dtype)
    memory = (ctypes.c_char * (array.size * dtype.itemsize)).from_address(start.value)
    return np.frombuffer(memory, dtype).reshape(array.shape)


@contextmanager
def written(array: NDArray, request: str) -> Iterator[np.ndarray]:
    """Memory to fill: the array's own, unless MXNet wants a sum in it, or nothing."""
    own = view("out", array, to_write=True)
    if request in ("write", "inplace"):
        yield own
        return
    addend = np.empty_like(own)
    yield addend
    if request == "add":
        with np.errstate(all="ignore"):  # MXNet doesn't warn of infinities and NaN either
            own += addend


def wrap(values: np.ndarray, like: NDArray) -> NDArray:
    """An array of the kind and context of `like`, which takes over the memory of `values`.

    MXNet's own memory for a large result is of fresh pages, which cost as much as the pooling.
    """
    if values.dtype == np.int8:  # which from_numpy doesn't know
        array = mx.nd.array(values, dtype=np.int8)
    else:
        array = mx.nd.from_numpy(values)
    return in_kind(array.as_in_context(like.context), like)


def in_kind(array: NDArray, like: NDArray) -> NDArray:
    """As an array of mx.np where `like` is one, over the same memory and as recorded."""
    return array.as_np_ndarray() if isinstance(like, mx.np.ndarray) else array


def refuse_foreign(name: str, array: Any) -> None:
    """Raise unless it is an array of MXNet whose memory NumPy can look at."""
    if not isinstance(array, NDArray):
        raise TypeError(f"{name} is a {type(array).__name__}; expected an MXNet array")
    refuse_context(name, array.context)
    if array.stype != "default":
        raise TypeError(f"{name} has storage {array.stype}; expected dense: use tostype('default')")
    if array.dtype == _BFLOAT16:
        raise TypeError(f"{name} has dtype bfloat16, which NumPy lacks: use astype('float32')")


def refuse_context(name: str, context: mx.Context) -> None:
    """Raise unless it is the CPU: its own memory, pinned or shared."""
    if not context.device_type.startswith("cpu"):
        raise TypeError(
            f"{name} is on {context}; roipool works on MXNet's contexts cpu, cpu_pinned and "
            "cpu_shared: move arrays with as_in_context(mx.cpu()), place nodes with ctx_group"
        )
