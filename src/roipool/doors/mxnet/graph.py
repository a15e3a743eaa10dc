"""The operator in MXNet's graphs: a custom one, which MXNet runs on threads of its own.

Nothing is raised there: MXNet would print the error and raise another that doesn't tell it, at some
later look at an array. So a row that is no region is a padding row, as in MXNet's ROIPooling. What
is wrong with shapes and dtypes is told when they are inferred, before anything runs.

In a hybridized block MXNet 1.9.1 frees an array that its convolutions laid out in their own way
before a custom operator has read it, so such arrays must not come near: see `PROTECTION`.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mxnet as mx
import numpy as np
from mxnet.ndarray import NDArray
from mxnet.symbol import Symbol

from roipool import _core, bins, memory
from roipool.checks import DTYPES, FLOATS
from roipool.doors.mxnet.arrays import refuse_context, view
from roipool.memory import bits

# The module to import before such a graph is loaded: if it was not, MXNet's error names it.
OPERATOR = "roipool.doors.mxnet"

# An identity that stands before and behind the operator. Of MXNet's operators that copy, to plain
# layout, forward and backward, it is the fastest; those that may work in place don't protect.
PROTECTION = ("SwapAxis", {"dim1": "0", "dim2": "0"})

_numbers = itertools.count()


def node(
    data: Symbol,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    return_argmax: bool = False,
    name: str | None = None,
) -> Any:
    """The operator as a node of a graph, protected on either side."""
    if not isinstance(rois, Symbol):
        raise TypeError(
            f"rois is a {type(rois).__name__}, but data is a Symbol; expected a Symbol too, such "
            "as mx.sym.Variable('rois')"
        )
    operator, protection = PROTECTION
    protected = getattr(mx.sym, operator)
    attributes = {"pooled_size": str(pooled_size), "spatial_scale": repr(spatial_scale)}
    if return_argmax:
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
    return tuple(parts) if return_argmax else parts[0]


class RoiPool(mx.operator.CustomOp):
    """One call, or one node of a graph for as long as it is bound."""

    def __init__(self, pooled_size: tuple[int, int], spatial_scale: float) -> None:
        super().__init__()
        self.pooled_size, self.spatial_scale = pooled_size, spatial_scale
        self.winners: tuple[np.ndarray, np.ndarray] | None = None  # argmax, image

    def forward(
        self,
        is_train: bool,
        req: Sequence[str],
        in_data: Sequence[NDArray],
        out_data: Sequence[NDArray],
        aux: Sequence[NDArray],
    ) -> None:
        """Writes values, and positions where there is an output for them."""
        argmax = None
        if is_train or len(out_data) > 1:
            argmax = memory.empty(out_data[0].shape, np.dtype(np.int32))
        with _written(out_data[0], req[0]) as values:
            image = self._pool(in_data, values, argmax)
        self.winners = None if argmax is None else (argmax, image)
        for array, how in zip(out_data[1:], req[1:], strict=True):
            with _written(array, how) as positions:
                positions[...] = argmax

    def backward(
        self,
        req: Sequence[str],
        out_grad: Sequence[NDArray],
        in_data: Sequence[NDArray],
        out_data: Sequence[NDArray],
        in_grad: Sequence[NDArray],
        aux: Sequence[NDArray],
    ) -> None:
        """Adds each gradient at its argmax; the gradient for the regions is zero."""
        grad = view("grad", out_grad[0])
        if grad.dtype.name not in FLOATS:
            raise TypeError(
                f"data has dtype {grad.dtype}; a gradient is one of {', '.join(FLOATS)}"
            )
        if self.winners is None:  # the forward was told that no training follows
            argmax = memory.empty(grad.shape, np.dtype(np.int32))
            self.winners = argmax, self._pool(in_data, np.empty_like(grad), argmax)
        argmax, image = self.winners
        with _written(in_grad[0], req[0]) as grad_data:
            inputs = bits(grad), image, argmax
            _core.run("max_add", grad.dtype.name, inputs, (bits(grad_data),))
        with _written(in_grad[1], req[1]) as grad_rois:
            grad_rois.fill(0)

    def _pool(
        self, in_data: Sequence[NDArray], values: np.ndarray, argmax: np.ndarray | None
    ) -> np.ndarray:
        data, rois = view("data", in_data[0]), view("rois", in_data[1])
        image, rows, cols = bins.max_bins(
            rois, data.shape, self.pooled_size, self.spatial_scale, data.dtype, refuse=False
        )
        inputs = bits(data), image, rows, cols
        _core.run("max", data.dtype.name, inputs, (bits(values), argmax))
        return image


@mx.operator.register(OPERATOR)
class RoiPoolProp(mx.operator.CustomOpProp):
    """What MXNet asks about a node; its attributes come as text, as ROIPooling has them."""

    def __init__(
        self,
        pooled_size: str,
        spatial_scale: str,
        return_argmax: str = "False",
        **attributes: str,
    ) -> None:
        super().__init__(need_top_grad=True)
        height, width = map(int, re.findall(r"\d+", pooled_size))
        self.pooled_size = height, width
        self.spatial_scale = float(spatial_scale)
        self.return_argmax = return_argmax == "True"

    def list_arguments(self) -> list[str]:
        """As of ROIPooling."""
        return ["data", "rois"]

    def list_outputs(self) -> list[str]:
        """As of ROIPooling, and perhaps the positions."""
        return ["output", "argmax"] if self.return_argmax else ["output"]

    def infer_shape(self, in_shape: list[list[int]]) -> Any:
        """What the shapes must be, −1 where it is not known yet: MXNet tells what doesn't fit."""
        data, rois = in_shape
        channels = data[1] if len(data) == 4 else -1
        count = rois[0] if len(rois) == 2 else -1
        result = [count, channels, *self.pooled_size]
        maps = data if len(data) == 4 else [-1] * 4
        return [maps, [count, 5]], [result] * len(self.list_outputs())

    def infer_type(self, in_type: list[Any]) -> Any:
        """What the types must be, None where it is not known yet: MXNet tells what doesn't fit."""
        data, rois = in_type
        if data is not None and np.dtype(data).name not in DTYPES:
            data = np.float32
        if rois is None and data is not None:
            rois = np.float64 if data == np.float64 else np.float32
        return [data, rois], [data, np.int32][: len(self.list_outputs())]

    def declare_backward_dependency(
        self, out_grad: list[int], in_data: list[int], out_data: list[int]
    ) -> list[int]:
        """Data only because forward may not have been told to keep the winners."""
        return [out_grad[0], *in_data]

    def create_operator(self, ctx: Any, in_shapes: Any, in_dtypes: Any) -> RoiPool:
        """The operator, on the CPU."""
        refuse_context("the operator", ctx)
        return RoiPool(self.pooled_size, self.spatial_scale)


@contextmanager
def _written(array: NDArray, req: str) -> Iterator[np.ndarray]:
    """Memory to fill: the array's own, unless MXNet wants a sum in it, or nothing."""
    own = view("out", array, to_write=True)
    if req in ("write", "inplace"):
        yield own
        return
    addend = np.empty_like(own)
    yield addend
    if req == "add":
        with np.errstate(all="ignore"):  # MXNet doesn't warn of infinities and NaN either
            own += addend
