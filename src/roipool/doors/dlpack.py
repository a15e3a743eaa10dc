"""Arrays of any other library that speaks DLPack: NumPy views of their memory, its own arrays back.

No library is named here. What they have in common is the array API standard's data interchange:
`__dlpack__` of an array, and a `from_dlpack` that makes one.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import roipool.doors.numpy as numpy_door
from roipool import checks
from roipool import rois as regions
from roipool.descriptions import Call, Operator, Rows

# Device types of dlpack.h whose memory a CPU reads: its own, CUDA's and ROCm's pinned, and managed.
ON_CPU = (1, 3, 11, 13)


def pool(operator: Operator, data: Any, rois: Any, call: Call, positions: bool, out: Any) -> Any:
    """The operator's values and, where asked for, what they stand at."""
    from_dlpack = _importer(data[0] if checks.is_several(data) else data)
    view = _Views(operator.name)
    maps, regions = view.all("data", data), view.all("rois", rois)
    memory: Any = None
    if positions and out is not None:
        values, argmax = checks.values_and_argmax(out)
        memory = view.to_write("out[0]", values), view.to_write("out[1]", argmax)
    elif out is not None:
        memory = view.to_write("out", out)
    result: Any = numpy_door.pool(operator, maps, regions, call, positions, memory)
    if out is not None:
        return out
    if positions:
        return tuple(_given_back(from_dlpack, array) for array in result)
    return _given_back(from_dlpack, result)


def backward(
    operator: Operator,
    grad: Any,
    rois: Any,
    data_shapes: Sequence[tuple[int, ...]],
    call: Call,
    saved: Mapping[str, Any],
    several: bool,
    out: Any,
) -> Any:
    """The gradient of the features: one array for each shape, or the only one."""
    from_dlpack = _importer(grad)
    view = _Views(operator.name)
    read = {name: view.one(name, array) for name, array in saved.items()}
    arguments = view.one("grad", grad), view.all("rois", rois), data_shapes, call, read, several
    memory = out
    if several and out is not None:
        given = checks.results(out, len(data_shapes))
        memory = [view.to_write(f"out[{i}]", array) for i, array in enumerate(given)]
    elif out is not None:
        memory = view.to_write("out", out)
    result = numpy_door.backward(operator, *arguments, memory)
    if out is not None:
        return out
    if several:
        return [_given_back(from_dlpack, array) for array in result]
    return _given_back(from_dlpack, result)


def backward_rois(
    operator: Operator, grad: Any, data: Any, rois: Any, call: Call, saved: Mapping[str, Any]
) -> Any:
    """The gradient of the regions, as rows."""
    from_dlpack = _importer(data[0] if checks.is_several(data) else data)
    view = _Views(operator.name)
    arguments = view.one("grad", grad), view.all("data", data), view.all("rois", rois)
    read = {name: view.one(name, array) for name, array in saved.items()}
    return _given_back(from_dlpack, numpy_door.backward_rois(operator, *arguments, call, read))


def gather_points(data: Any, image: Any, pixel: Any, weight: Any) -> Any:
    """Sums of weighted pixels that are listed one by one, (K, C, h, w)."""
    from_dlpack = _importer(data[0] if checks.is_several(data) else data)
    view = _Views("gather_points")
    points = view.one("image", image), view.one("pixel", pixel), view.one("weight", weight)
    return _given_back(from_dlpack, numpy_door.gather_points(view.all("data", data), *points))


def gather_points_backward(
    grad: Any,
    image: Any,
    pixel: Any,
    weight: Any,
    data_shapes: Sequence[tuple[int, ...]],
    several: bool,
) -> Any:
    """The gradient of the features: one array for each shape, or the only one."""
    from_dlpack, view = _importer(grad), _Views("gather_points")
    points = view.one("image", image), view.one("pixel", pixel), view.one("weight", weight)
    given = view.one("grad", grad), *points, data_shapes, several
    result = numpy_door.gather_points_backward(*given)
    if several:
        return [_given_back(from_dlpack, array) for array in result]
    return _given_back(from_dlpack, result)


def gather_points_backward_weight(grad: Any, data: Any, image: Any, pixel: Any) -> Any:
    """The gradient of the weights, (K, h, w, S)."""
    from_dlpack = _importer(data[0] if checks.is_several(data) else data)
    view = _Views("gather_points")
    given = view.one("grad", grad), view.all("data", data), view.one("image", image)
    return _given_back(
        from_dlpack, numpy_door.gather_points_backward_weight(*given, view.one("pixel", pixel))
    )


xp = np


def as_rows(rois: Any, images: int, kind: Rows, _beside: Any = None) -> np.ndarray:
    """Any form of `rois` as rows of NumPy's."""
    return regions.as_rows(_Views("").all(kind.name, rois), images, kind)


def looked_at(rows: np.ndarray) -> np.ndarray:
    """The rows as NumPy has them."""
    return rows


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


class _Views(NamedTuple):
    """Arrays of one call as NumPy's, over the same memory."""

    operator: str

    def all(self, name: str, arrays: Any) -> Any:
        """Of an array, or of each in a sequence."""
        if isinstance(arrays, (list, tuple)):
            return [self.one(f"{name}[{i}]", array) for i, array in enumerate(arrays)]
        return self.one(name, arrays)

    def to_write(self, name: str, array: Any) -> Any:
        """A view to write in: never of a copy."""
        return self.one(name, array, copy=False)

    def one(self, name: str, array: Any, **options: Any) -> Any:
        """Of one array; what has no DLPack as it is."""
        if isinstance(array, np.ndarray) or not hasattr(array, "__dlpack__"):
            return array
        try:
            device = int(array.__dlpack_device__()[0])
            if device in ON_CPU:
                return np.from_dlpack(array, **options)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            dtype = getattr(array, "dtype", "unknown")
            raise TypeError(
                f"{name}, of {_name(type(array))} and dtype {dtype}, gives NumPy no view of its "
                f"memory ({error}); convert bfloat16 to float32, which is exact, and detach what "
                f"requires a gradient: {self.operator}_backward computes it"
            ) from error
        raise TypeError(
            f"{name} is on a device of DLPack's type {device}; roipool takes arrays in the memory "
            "of the CPU (type 1): move it there"
        )


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__name__}"
