"""Arrays of any other library that speaks DLPack: NumPy views of their memory, its own arrays back.

No library is named here. What they have in common is the array API standard's data interchange:
`__dlpack__` of an array, and a `from_dlpack` that makes one.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import roipool.doors.numpy as numpy_door
from roipool import checks

# Device types of dlpack.h whose memory a CPU reads: its own, CUDA's and ROCm's pinned, and managed.
ON_CPU = (1, 3, 11, 13)


def roi_pool(
    data: Any,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    return_argmax: bool,
    out: Any,
) -> Any:
    """`roipool.roi_pool` for arrays with DLPack; the size and scale have been checked."""
    from_dlpack = _importer(data)
    maps, rows = _view("data", data), _views("rois", rois)
    memory: Any = None
    if return_argmax and out is not None:
        values, argmax = checks.values_and_argmax(out)
        memory = _memory("out[0]", values), _memory("out[1]", argmax)
    elif out is not None:
        memory = _memory("out", out)
    result: Any = numpy_door.roi_pool(maps, rows, pooled_size, spatial_scale, return_argmax, memory)
    if out is not None:
        return out
    if return_argmax:
        return tuple(_given_back(from_dlpack, array) for array in result)
    return _given_back(from_dlpack, result)


def roi_pool_backward(
    grad: Any, argmax: Any, rois: Any, data_shape: tuple[int, int, int, int], out: Any
) -> Any:
    """`roipool.roi_pool_backward` for arrays with DLPack."""
    from_dlpack = _importer(grad)
    views = _view("grad", grad), _view("argmax", argmax), _views("rois", rois)
    if out is not None:
        numpy_door.roi_pool_backward(*views, data_shape, _memory("out", out))
        return out
    return _given_back(from_dlpack, numpy_door.roi_pool_backward(*views, data_shape, None))


def _importer(array: Any) -> Callable[[Any], Any]:
    """The `from_dlpack` of the array's library: of its namespace, its type or its package."""
    kind = type(array)
    homes: list[Any] = [
        kind,
        *(sys.modules.get(base.__module__.partition(".")[0]) for base in kind.__mro__),
    ]
    if hasattr(array, "__array_namespace__"):
        homes.insert(0, array.__array_namespace__())
    home = next((home for home in homes if hasattr(home, "from_dlpack")), None)
    if home is None:
        raise TypeError(
            f"{_name(kind)} has __dlpack__, but no from_dlpack was found to give a result back; "
            "convert with numpy.from_dlpack"
        )
    found: Callable[[Any], Any] = home.from_dlpack
    return found


def _given_back(from_dlpack: Callable[[Any], Any], result: np.ndarray) -> Any:
    array = from_dlpack(result)
    dtype = np.from_dlpack(array).dtype
    if dtype != result.dtype:  # MLX makes float64 float32
        raise TypeError(
            f"the result has dtype {result.dtype}, which {_name(type(array))} takes back as "
            f"{dtype} only; convert the arguments to {dtype}, or with numpy.from_dlpack"
        )
    return array


def _views(name: str, arrays: Any) -> Any:
    """Of an array, or of each in a sequence."""
    if isinstance(arrays, (list, tuple)):
        return [_view(f"{name}[{i}]", array) for i, array in enumerate(arrays)]
    return _view(name, arrays)


def _memory(name: str, array: Any) -> Any:
    """A view to write in: never of a copy."""
    return _view(name, array, copy=False)


def _view(name: str, array: Any, **options: Any) -> Any:
    """The same memory as a NumPy array; what has no DLPack as it is."""
    if isinstance(array, np.ndarray) or not hasattr(array, "__dlpack__"):
        return array
    try:
        device = int(array.__dlpack_device__()[0])
        if device in ON_CPU:
            return np.from_dlpack(array, **options)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        dtype = getattr(array, "dtype", "unknown")
        raise TypeError(
            f"{name}, of {_name(type(array))} and dtype {dtype}, gives NumPy no view of its memory "
            f"({error}); convert bfloat16 to float32, which is exact, and detach what requires a "
            "gradient: roi_pool_backward computes it"
        ) from error
    raise TypeError(
        f"{name} is on a device of DLPack's type {device}; roipool takes arrays in the memory of "
        "the CPU (type 1): move it there"
    )


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__name__}"
