"""Operators as nodes of ONNX, whatever library writes them.

What ONNX Runtime makes of them is told in `roipool.onnx`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from roipool import geometry
from roipool.descriptions import Call, OnnxNode, Operator


class Writer(NamedTuple):
    """What writes nodes.

    Attributes:
        node: (name, *inputs, **attributes) to the only result of a node, by its name in ONNX.
        constant: Of a NumPy array.
        cast: (value, name of a dtype) to the value in that dtype.
    """

    node: Callable[..., Any]
    constant: Callable[[np.ndarray], Any]
    cast: Callable[[Any, str], Any]

    def columns(self, rows: Any, begin: int, end: int) -> Any:
        """From one to another, of (K, 5)."""
        return self.node("Slice", rows, *(self.numbers([n], "int64") for n in (begin, end, 1)))

    def numbers(self, values: Any, dtype: str) -> Any:
        """A constant."""
        return self.constant(np.array(values, dtype))


def pool(
    write: Writer, operator: Operator, call: Call, data: Sequence[Any], rois: Any, dtype: str
) -> Any:
    """Values of the operator, of arrays of maps of that dtype and rows (K, 5) of any.

    Each array is pooled with all regions, those of other images being padding, and the values are
    added: a node has one input for maps.
    """
    kind = node_of(operator).dtypes[dtype]
    rows = write.cast(rois, kind)
    total = None
    for i, (maps, scale) in enumerate(zip(data, call.scales, strict=True)):
        own, images = rows, None
        if i + 1 < len(data):  # of the last array an index that is too large stays an error
            images = _images(write, maps, kind)
            rows = write.node(
                "Sub", rows, write.node("Pad", images, write.numbers([0, 4], "int64"))
            )
        values = _pooled(write, operator, call._replace(scales=(scale,)), maps, own, images, kind)
        total = values if total is None else write.node("Add", total, values)
    return write.cast(total, dtype)


def _images(write: Writer, maps: Any, kind: str) -> Any:
    """How many an array holds, (1,)."""
    first = (write.numbers([n], "int64") for n in (0, 1))
    return write.cast(write.node("Slice", write.node("Shape", maps), *first), kind)


def _pooled(
    write: Writer, operator: Operator, call: Call, maps: Any, rows: Any, images: Any, kind: str
) -> Any:
    """Values of one array of maps, in that dtype."""
    node = node_of(operator)
    ((y, x),) = call.scales
    number = np.dtype(kind).type
    if y != x or number(np.float32(y)) != number(y):  # more than the one float32 of a node
        rows = write.node("Mul", rows, write.numbers([1, x, y, x, y], kind))
        call = call._replace(scales=((1.0, 1.0),))
    rows = _with_padding(write, node, call, rows, images, kind)
    inputs = [rows]
    if node.separate:
        index = write.node("Squeeze", write.columns(rows, 0, 1), write.numbers([1], "int64"))
        inputs = [write.columns(rows, 1, 5), write.cast(index, "int64")]
    return write.node(node.name, write.cast(maps, kind), *inputs, **node.attributes(call))


def _with_padding(
    write: Writer, node: OnnxNode, call: Call, rows: Any, images: Any, kind: str
) -> Any:
    """A row that is no region, as far as nodes can tell, becomes a region beside the map."""
    scale, _ = call.scales[0]
    beside = write.numbers(geometry.beside_the_map(scale), kind)
    most = float(np.finfo(kind).max) / 8 * min(1, 1 / scale)  # as geometry has it

    index = write.columns(rows, 0, 1)
    known = write.node("GreaterOrEqual", index, write.numbers(0, kind))
    rows = write.node("Where", known, rows, beside)
    if images is not None:
        rows = write.node("Where", write.node("Less", index, images), rows, beside)
    sizes = write.node("Abs", write.columns(rows, 1, 5))
    size = write.node("ReduceSum", sizes, write.numbers([1], "int64"))
    finite = write.node("LessOrEqual", size, write.numbers(most, kind))
    rows = write.node("Where", finite, rows, beside)
    for first in (1, 2) if node.fails_reversed(call) else ():
        begin, end = (write.columns(rows, i, i + 1) for i in (first, first + 2))
        rows = write.node("Where", write.node("Less", end, begin), beside, rows)
    return rows


def node_of(operator: Operator) -> OnnxNode:
    """Raise unless ONNX has the operator."""
    if operator.onnx is None:
        raise NotImplementedError(
            f"ONNX has no node that computes {operator.name}; pool outside of the graph"
        )
    return operator.onnx


def refuse_dtype(operator: Operator, name: str) -> None:
    """Raise unless ONNX Runtime can pool features of this dtype exactly."""
    dtypes = node_of(operator).dtypes
    if name not in dtypes:
        kinds = " or ".join(dict.fromkeys(dtypes.values()))
        raise TypeError(
            f"data has dtype {name}; an ONNX graph pools in {kinds}, which holds "
            f"{', '.join(dtypes)}: cast data to one of them"
        )


def refuse_positions(operator: Operator) -> None:
    """Raise: positions were asked for."""
    raise NotImplementedError(
        f"ONNX's {node_of(operator).name} gives no positions; leave out return_argmax in what "
        "becomes a graph"
    )
