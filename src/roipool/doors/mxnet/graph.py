"""The operator in MXNet's graphs: a custom one, which MXNet runs on threads of its own.

Nothing is raised there: MXNet would print the error and raise another that doesn't tell it, at some
later look at an array. So a row that is no region is a padding row, as in MXNet's ROIPooling. What
is wrong with shapes and dtypes is told when they are inferred, before anything runs.

In a hybridized block MXNet 1.9.1 frees an array that its convolutions laid out in their own way
before a custom operator has read it, so such arrays must not come near: see `PROTECTION`.
"""

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import mxnet as mx
import numpy as np
from mxnet.ndarray import NDArray
from mxnet.symbol import Symbol

from roipool import checks, geometry, memory, native
from roipool.descriptions import Call, Operator
from roipool.doors.mxnet.arrays import refuse_context, view, written
from roipool.doors.mxnet.attributes import as_text, described_by
from roipool.doors.mxnet.derivatives import Pooled

# The module to import before such a graph is loaded: if it was not, MXNet's error names it.
OPERATOR = "roipool.doors.mxnet"

# An identity that stands before and behind the operator. Of MXNet's operators that copy, to plain
# layout, forward and backward, it is the fastest; those that may work in place don't protect.
PROTECTION = ("SwapAxis", {"dim1": "0", "dim2": "0"})

_numbers = itertools.count()


def node(
    operator: Operator,
    data: Symbol,
    rois: Any,
    call: Call,
    positions: bool = False,
    name: str | None = None,
) -> Any:
    """The operator as a node of a graph, protected on either side."""
    if not isinstance(rois, Symbol):
        raise TypeError(
            f"rois is a {type(rois).__name__}, but data is a Symbol; expected a Symbol too, such "
            "as mx.sym.Variable('rois')"
        )
    protector, protection = PROTECTION
    protected = getattr(mx.sym, protector)
    attributes = as_text(operator, call)
    if positions:
        attributes["return_argmax"] = "True"
    name = name or f"roipool{next(_numbers)}"
    pooled = mx.sym.Custom(
        protected(data.as_nd_ndarray(), name=f"{name}_plain", **protection),
        rois.as_nd_ndarray(),
        name=f"{name}_pool",
        op_type=OPERATOR,
        **attributes,
    )
    parts = [protected(pooled[0], name=name, **protection), *list(pooled)[1:]]
    if isinstance(data, mx.sym.np._Symbol):
        parts = [part.as_np_ndarray() for part in parts]
    return tuple(parts) if positions else parts[0]


class Pool(mx.operator.CustomOp):
    """One call, or one node of a graph for as long as it is bound."""

    def __init__(self, operator: Operator, call: Call) -> None:
        super().__init__()
        self.operator, self.call = operator, call
        self.pooled: Pooled | None = None

    def forward(
        self,
        is_train: bool,
        req: Sequence[str],
        in_data: Sequence[NDArray],
        out_data: Sequence[NDArray],
        aux: Sequence[NDArray],
    ) -> None:
        """Writes values, and positions where there is an output for them."""
        data = view("data", in_data[0])
        saved: list[np.ndarray] = []
        if is_train or len(out_data) > 1:
            saved = self._to_save(out_data[0].shape)
        with written(out_data[0], req[0]) as values:
            pooled = self._pool(data, in_data[1], values, saved)
        self.pooled = pooled if len(saved) == len(self.operator.saved) else None
        for array, how, positions in zip(out_data[1:], req[1:], saved, strict=False):
            with written(array, how) as filled:
                filled[...] = positions

    def backward(
        self,
        req: Sequence[str],
        out_grad: Sequence[NDArray],
        in_data: Sequence[NDArray],
        out_data: Sequence[NDArray],
        in_grad: Sequence[NDArray],
        aux: Sequence[NDArray],
    ) -> None:
        """Writes the gradient of the features, and that of the regions, which may be zero."""
        grad, data = view("grad", out_grad[0]), view("data", in_data[0])
        if grad.dtype.name not in checks.FLOATS:
            raise TypeError(
                f"data has dtype {grad.dtype}; a gradient is one of {', '.join(checks.FLOATS)}"
            )
        if self.pooled is None:  # the forward was told that no training follows
            values = np.empty_like(grad)
            self.pooled = self._pool(data, in_data[1], values, self._to_save(grad.shape))
        if req[0] != "null":
            with written(in_grad[0], req[0]) as grad_data:
                self.pooled.backward(grad, [grad_data])
        if req[1] != "null":
            with written(in_grad[1], req[1]) as grad_rois:
                grad_rois[...] = self.pooled.backward_rois(grad, [data])

    def _to_save(self, shape: tuple[int, ...]) -> list[np.ndarray]:
        return [memory.empty(shape, np.dtype(np.int32)) for _ in self.operator.saved]

    def _pool(
        self, data: np.ndarray, rois: NDArray, values: np.ndarray, saved: list[np.ndarray]
    ) -> Pooled:
        operator, call, dtype = self.operator, self.call, data.dtype.name
        rows, maps = view("rois", rois), geometry.maps_of([data.shape], call.scales)
        found, _ = native.structure(operator, rows, maps, dtype, call, refuse=False)
        known = {"data": [data], **found._asdict()}
        native.pool(operator, call, dtype, known, [values, *saved])
        padding = np.where(np.arange(operator.rows.width) == 0, -1, 0).astype(rows.dtype)
        image = found.image.reshape(len(rows), -1)[:, :1] if len(rows) else found.image[:, None]
        rows = np.where(image < 0, padding, rows)
        return Pooled(operator, call, rows, dict(zip(operator.saved, saved, strict=False)))


@mx.operator.register(OPERATOR)
class PoolProp(mx.operator.CustomOpProp):
    """What MXNet asks about a node; its attributes come as text.

    They are not looked at when this is made: MXNet would not survive an error then.
    """

    def __init__(self, return_argmax: str = "False", **attributes: str) -> None:
        super().__init__(need_top_grad=True)
        self.attributes, self.outputs = attributes, 1 + (return_argmax == "True")

    @cached_property
    def described(self) -> tuple[Operator, Call]:
        """What the attributes say."""
        return described_by(self.attributes)

    def list_arguments(self) -> list[str]:
        """As of MXNet's own."""
        return ["data", "rois"]

    def list_outputs(self) -> list[str]:
        """As of MXNet's own, and perhaps the positions."""
        operator, _ = self.described
        return ["output", *(arg.name for arg in operator.forward.results[1 : self.outputs])]

    def infer_shape(self, in_shape: list[list[int]]) -> Any:
        """What the shapes must be, −1 where it is not known yet: MXNet tells what doesn't fit."""
        data, rois = in_shape
        operator, call = self.described
        channels = -1
        if len(data) == 4 and data[1] >= 0:
            channels = operator.channels("data", data[1], call.pooled_size)
        count = rois[0] if len(rois) == 2 else -1
        result = [count, channels, *call.pooled_size]
        maps = data if len(data) == 4 else [-1] * 4
        return [maps, [count, operator.rows.width]], [result] * self.outputs

    def infer_type(self, in_type: list[Any]) -> Any:
        """What the types must be, None where it is not known yet: MXNet tells what doesn't fit."""
        data, rois = in_type
        operator, _ = self.described
        if data is not None and np.dtype(data).name not in operator.dtypes:
            data = np.float32
        if rois is None and data is not None:
            rois = np.float64 if data == np.float64 else np.float32
        return [data, rois], [data, np.int32][: self.outputs]

    def declare_backward_dependency(
        self, out_grad: list[int], in_data: list[int], out_data: list[int]
    ) -> list[int]:
        """Data because forward may not have been told to save, and for the regions' gradient."""
        return [out_grad[0], *in_data]

    def create_operator(self, ctx: Any, in_shapes: Any, in_dtypes: Any) -> Pool:
        """The operator, on the CPU."""
        refuse_context("the operator", ctx)
        return Pool(*self.described)
