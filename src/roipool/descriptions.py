"""Operators as data: what every door loops over, so that none names an operator.

An operator turns regions into a structure (see geometry), and one kernel (see kernels.py) reduces
the features over it. Its derivative with respect to the features is the kernel's. With respect to
the regions it is the kernel's with respect to the structure's weights, where these move with them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from roipool import checks
from roipool.kernels import KERNELS, Kernel


class Option(NamedTuple):
    """What a call says beside its arrays, every call the pooled size and the scales.

    Attributes:
        name: Of the argument.
        kind: As PyTorch's schemas say it: "int" or "bool".
        check: Makes the value of that kind, or raises.
    """

    name: str
    kind: str
    check: Callable[[Any], Any]


class Call(NamedTuple):
    """The options of one call, checked; hashable, for what is compiled once for each.

    Attributes:
        pooled_size: (h, w).
        scales: Size of the map / size of the image along (y, x), for each array of maps.
        more: Further options of the operator, as it lists them.
    """

    pooled_size: tuple[int, int]
    scales: tuple[tuple[float, float], ...]
    more: tuple[Any, ...] = ()


def _never(call: Call) -> bool:
    return False


class OnnxNode(NamedTuple):
    """The node of ONNX that computes the operator.

    Attributes:
        name: Of the node.
        separate: Whether boxes (K, 4) and indices (K,) are two inputs, or rows (K, 5) one.
        attributes: Of the node, by the operator's call.
        dtypes: From the name of each dtype that features may have to that which holds it and in
            which ONNX Runtime has the node.
        fails_reversed: Whether ONNX Runtime fails, at such a call, of a region that ends before it
            begins, where here nothing is pooled.
    """

    name: str
    separate: bool
    attributes: Callable[[Call], Mapping[str, Any]]
    dtypes: Mapping[str, str]
    fails_reversed: Callable[[Call], bool] = _never


class Operator(NamedTuple):
    """All that a door must know.

    Attributes:
        name: Of the public function.
        kernel: The name of the kernel that reduces.
        structure: (xp, rois, maps, pooled_size, data_dtype, *more, traced=False) to what the kernel
            takes beside the features, and how the weights in it move with the regions, or None.
        twin: The name of the same in native code (see native.py), for rows that can be looked at;
            "" where there is none: the array text then serves NumPy too.
        dtypes: The names of those that features may have.
        options: Beside the pooled size and the scales.
        onnx: The node that computes it, if there is one.
        oldest: Whether files mean it that say no operator's name: once there was no other.
    """

    name: str
    kernel: str
    structure: Callable[..., tuple[Any, Any]]
    dtypes: tuple[str, ...]
    twin: str = ""
    options: tuple[Option, ...] = ()
    onnx: OnnxNode | None = None
    oldest: bool = False

    @property
    def forward(self) -> Kernel:
        """The kernel that reduces."""
        return KERNELS[self.kernel]

    @property
    def linear(self) -> Kernel:
        """That which is linear in the features: the same, or what reads where that has found."""
        return KERNELS[self.forward.tangent or self.kernel]

    @property
    def backward(self) -> Kernel:
        """What gives the gradient of the features."""
        return KERNELS[self.linear.linear["data"]]

    @property
    def weigh(self) -> Kernel:
        """What gives the derivatives for all weights that move with the regions, in one walk."""
        moving = {*self.linear.linear} - {"data"}
        return next(
            each for each in KERNELS.values() if {arg.name for arg in each.results} == moving
        )

    @property
    def saved(self) -> tuple[str, ...]:
        """What of the results a derivative reads again: positions, or nothing."""
        again = {arg.name for arg in self.linear.inputs}
        return tuple(arg.name for arg in self.forward.results if arg.name in again)

    @property
    def moves(self) -> bool:
        """Whether values move with the regions."""
        return len(self.linear.linear) > 1

    def call(self, pooled_size: Any, spatial_scale: Any, arrays: int | None, **more: Any) -> Call:
        """The options of a call on so many arrays of maps, or on one (None), checked."""
        return Call(
            checks.pooled_size(pooled_size),
            checks.scales(spatial_scale, arrays),
            tuple([option.check(more[option.name]) for option in self.options]),
        )


# All that there are, by name. Doors that register them with their library do so when they are
# imported, and for those that come later at their first call.
OPERATORS: dict[str, Operator] = {}


def described(operator: Operator) -> Operator:
    """The operator, from now on known to every door."""
    OPERATORS[operator.name] = operator
    return operator


def shapes(
    kernel: Kernel, sizes: Mapping[str, int], maps: Sequence[Sequence[int]] = ()
) -> list[Any]:
    """The shape of each result, of letters whose sizes are known; that of maps as a list."""
    return [
        [tuple(shape) for shape in maps]
        if arg.axes == "NCHW"
        else tuple(map(sizes.__getitem__, arg.axes))
        for arg in kernel.results
    ]


def position(planes: Iterable[int]) -> str:
    """The dtype that holds every position in planes of so many pixels."""
    return "int32" if all(pixels < 2**31 for pixels in planes) else "int64"
