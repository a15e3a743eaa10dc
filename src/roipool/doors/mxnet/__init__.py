"""MXNet's arrays, and its symbols, which become nodes of an operator registered here.

A process that loads a graph with that operator must have imported this module.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import mxnet as mx
import numpy as np
from mxnet.ndarray import NDArray
from mxnet.symbol import Symbol

import roipool.doors.numpy as numpy_door
from roipool import checks
from roipool import rois as regions
from roipool.descriptions import Call, Operator, Rows
from roipool.doors.mxnet import threads as _threads  # noqa: F401  what it registers
from roipool.doors.mxnet.arrays import view, wrap
from roipool.doors.mxnet.derivatives import Pooled
from roipool.doors.mxnet.graph import node
from roipool.doors.mxnet.recording import record

POINTS = ("image", "pixel", "weight")


def pool(operator: Operator, data: Any, rois: Any, call: Call, positions: bool, out: Any) -> Any:
    """The operator's values and, where asked for, what they stand at; recorded by autograd."""
    several = checks.is_several(data)
    arrays = list(data) if several else [data]
    if any(isinstance(array, Symbol) for array in arrays):
        return _node(operator, data, rois, call, positions, out)
    views = [view(_place("data", i, several), array) for i, array in enumerate(arrays)]
    maps = views if several else views[0]
    rows = _viewed("rois", rois)
    # MXNet's threads know no arrays without elements, which have no gradient either.
    recorded = mx.autograd.is_recording() and any(
        array.dtype.name in checks.FLOATS and array.size > 0 for array in views
    )
    if out is not None:
        if recorded:
            raise ValueError(
                "out is given, but a derivative may be asked for; leave out, or call under "
                "autograd.pause()"
            )
        given = checks.values_and_argmax(out) if positions else (out,)
        memory = tuple(view("out", array, to_write=True) for array in given)
        filled = memory if positions else memory[0]
        numpy_door.pool(operator, maps, rows, call, positions, filled)
        return out

    saving = positions or (recorded and bool(operator.saved))
    result = numpy_door.pool(operator, maps, rows, call, saving, None)
    values, *saved = result if isinstance(result, tuple) else (result,)
    pooled = wrap(values, arrays[0])
    if recorded:
        copied = np.array(regions.as_rows(rows, sum(map(len, views)), operator.rows))
        kept = Pooled(operator, call, copied, dict(zip(operator.saved, saved, strict=False)))
        record(pooled, kept, arrays, rois)
        saved = [array.copy() for array in saved]  # what is returned may be changed
    return (pooled, *(wrap(array, arrays[0]) for array in saved)) if positions else pooled


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
    """The gradient of the features, for arrays; MXNet does not record it."""
    seen = view("grad", grad)
    read = {name: _viewed(name, array) for name, array in saved.items()}
    memory: Any = None
    if out is not None:
        given = checks.results(out, len(data_shapes) if several else None)
        views = [view("out", array, to_write=True) for array in given]
        memory = views if several else views[0]
    result = numpy_door.backward(
        operator, seen, _viewed("rois", rois), data_shapes, call, read, several, memory
    )
    if out is not None:
        return out
    return [wrap(array, grad) for array in result] if several else wrap(result, grad)


def backward_rois(
    operator: Operator, grad: Any, data: Any, rois: Any, call: Call, saved: Mapping[str, Any]
) -> Any:
    """The gradient of the regions, as rows, for arrays; MXNet does not record it."""
    several = checks.is_several(data)
    arrays = list(data) if several else [data]
    views = [view(_place("data", i, several), array) for i, array in enumerate(arrays)]
    maps = views if several else views[0]
    read = {name: _viewed(name, array) for name, array in saved.items()}
    result = numpy_door.backward_rois(
        operator, _viewed("grad", grad), maps, _viewed("rois", rois), call, read
    )
    return wrap(result, arrays[0])


xp = np


def as_rows(rois: Any, images: int, kind: Rows, _beside: Any = None) -> np.ndarray:
    """Any form of `rois` as rows of NumPy's."""
    return regions.as_rows(_viewed(kind.name, rois), images, kind)


def looked_at(rows: np.ndarray) -> np.ndarray:
    """The rows as NumPy has them."""
    return rows


def gather_points(data: Any, image: Any, pixel: Any, weight: Any) -> Any:
    """Sums of weighted pixels that are listed one by one; MXNet does not record it."""
    several = checks.is_several(data)
    arrays = list(data) if several else [data]
    views = [view(_place("data", i, several), array) for i, array in enumerate(arrays)]
    points = [_viewed(name, v) for name, v in zip(POINTS, (image, pixel, weight), strict=True)]
    return wrap(numpy_door.gather_points(views if several else views[0], *points), arrays[0])


def gather_points_backward(
    grad: Any,
    image: Any,
    pixel: Any,
    weight: Any,
    data_shapes: Sequence[tuple[int, ...]],
    several: bool,
) -> Any:
    """The gradient of the features, for arrays."""
    points = [_viewed(name, v) for name, v in zip(POINTS, (image, pixel, weight), strict=True)]
    given = view("grad", grad), *points, data_shapes, several
    result = numpy_door.gather_points_backward(*given)
    return [wrap(array, grad) for array in result] if several else wrap(result, grad)


def gather_points_backward_weight(grad: Any, data: Any, image: Any, pixel: Any) -> Any:
    """The gradient of the weights, (K, h, w, S), for arrays."""
    several = checks.is_several(data)
    arrays = list(data) if several else [data]
    views = [view(_place("data", i, several), array) for i, array in enumerate(arrays)]
    points = _viewed("image", image), _viewed("pixel", pixel)
    given = _viewed("grad", grad), views if several else views[0], *points
    return wrap(numpy_door.gather_points_backward_weight(*given), arrays[0])


def _node(operator: Operator, data: Any, rois: Any, call: Call, positions: bool, out: Any) -> Any:
    if not isinstance(data, Symbol):
        raise TypeError(
            f"data is a {type(data).__name__} of Symbols; expected one Symbol: pool each and join "
            "with mx.sym.concat(..., dim=0)"
        )
    if out is not None:
        raise TypeError("out is given, but data is a Symbol, whose memory MXNet plans")
    return node(operator, data, rois, call, positions)


def _place(name: str, i: int, several: bool) -> str:
    return f"{name}[{i}]" if several else name


def _viewed(name: str, value: Any) -> Any:
    """MXNet's arrays, one or several, as NumPy's; anything else as it is."""
    if isinstance(value, Symbol):
        raise TypeError(f"{name} is a Symbol, but data is an array; expected an array too")
    if isinstance(value, Sequence) and any(isinstance(part, NDArray) for part in value):
        return [_viewed(f"{name}[{i}]", part) for i, part in enumerate(value)]
    return view(name, value) if isinstance(value, NDArray) else value
