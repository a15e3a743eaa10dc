"""Operators as nodes of ONNX, whatever library writes them.

What ONNX Runtime makes of them is told in `roipool.onnx`.
"""

from collections.abc import Callable
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


def pool(write: Writer, operator: Operator, call: Call, data: Any, rois: Any, dtype: str) -> Any:
    """Values of the operator, of data of that dtype and rows (K, 5) of any."""
    node = node_of(operator)
    kind = node.dtypes[dtype]
    rows = write.cast(rois, kind)
    ((y, x),) = call.scales
    number = np.dtype(kind).type
    if y != x or number(np.float32(y)) != number(y):  # more than the one float32 of a node
        rows = write.node("Mul", rows, write.numbers([1, x, y, x, y], kind))
        call = call._replace(scales=((1.0, 1.0),))
    rows = _with_padding(write, node, call, rows, kind)
    inputs = [rows]
    if node.separate:
        index = write.node("Squeeze", write.columns(rows, 0, 1), write.numbers([1], "int64"))
        inputs = [write.columns(rows, 1, 5), write.cast(index, "int64")]
    values = write.node(node.name, write.cast(data, kind), *inputs, **node.attributes(call))
    return write.cast(values, dtype)


def _with_padding(write: Writer, node: OnnxNode, call: Call, rows: Any, kind: str) -> Any:
    """A row that is no region, as far as nodes can tell, becomes a region beside the map."""
    scale, _ = call.scales[0]
    beside = write.numbers(geometry.beside_the_map((scale, scale)), kind)
    most = float(np.finfo(kind).max) / 8 * min(1, 1 / scale)  # as geometry has it

    index = write.columns(rows, 0, 1)
    known = write.node("GreaterOrEqual", index, write.numbers(0, kind))
    rows = write.node("Where", known, rows, beside)
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


def refuse_several(operator: Operator) -> None:
    """Raise: several arrays of maps came."""
    raise TypeError(
        f"data is a sequence; ONNX's {node_of(operator).name} takes one value: pool each with the "
        "rows of its images, all others padding, and add"
    )
