"""Operators as data: what every door loops over, so that none names an operator.

An operator turns regions into a structure (see geometry), and one kernel (see kernels.py) reduces
the features over it. Its derivative with respect to the features is the kernel's. With respect to
the regions it is the kernel's with respect to the structure's weights, where these move with them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from roipool import checks
from roipool.kernels import KERNELS, Kernel


class Rows(NamedTuple):
    """What rows of regions say behind the image.

    Attributes:
        name: Of the argument.
        columns: The names of the numbers.
        number: What each is.
        scaled: Whether they are of the image, which a spatial scale takes to the map.
    """

    name: str
    columns: tuple[str, ...]
    number: str = "coordinate in image pixels"
    scaled: bool = True

    @property
    def width(self) -> int:
        """Of a row."""
        return 1 + len(self.columns)

    @property
    def forms(self) -> str:
        """In words, how regions may be given."""
        said = ", ".join(self.columns)
        return (
            f"an array (K, {self.width}) of rows [batch_index, {said}], or a sequence with one "
            f"(K_i, {self.width - 1}) array of [{said}] per image"
        )


CORNERS = Rows("rois", ("x1", "y1", "x2", "y2"))
# The columns of the ends that weights along either axis move with.
ENDS = {"y_weight": (2, 4), "x_weight": (1, 3)}


class Option(NamedTuple):
    """What a call says beside its arrays, every call the pooled size and the scales.

    Attributes:
        name: Of the argument.
        kind: As PyTorch's schemas say it: "int", "float", "bool" or "str".
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
        name: By which doors, exporters and commands find it.
        kernel: The name of the kernel that reduces.
        structure: (xp, rois, maps, pooled_size, data_dtype, *more, traced=False) to what the kernel
            takes beside the features, and how the weights in it move with the regions, or None.
        twin: The name of its text in native code (see twins.py), for rows that can be looked at;
            "" where there is none: the array text then serves NumPy too.
        twin_fixed: Options of the twin that no call says.
        dtypes: The names of those that features may have.
        options: Beside the pooled size and the scales.
        rows: What a region is.
        moves: The columns of rows that a weight of the structure moves with, by its name.
        curved: Whether the slopes of weights move with regions too, so that these have second
            derivatives by themselves.
        position_sensitive: Whether each bin reads channels of its own: see planes.py. A structure
            has a region of one bin in the place of each bin.
        fill: The option that says the value of a bin without taps, which otherwise is 0.
        onnx: The node that computes it, if there is one.
        oldest: Whether files mean it that say no operator's name: once there was no other.
        function: The public function, where that has another name.
        fixed: The arguments that make a call of that function one of this operator.
    """

    name: str
    kernel: str
    structure: Callable[..., tuple[Any, Any]]
    dtypes: tuple[str, ...]
    twin: str = ""
    twin_fixed: Mapping[str, Any] = {}
    options: tuple[Option, ...] = ()
    rows: Rows = CORNERS
    moves: Mapping[str, tuple[int, ...]] = {}
    curved: bool = False
    position_sensitive: bool = False
    fill: str = ""
    onnx: OnnxNode | None = None
    oldest: bool = False
    function: str = ""
    fixed: Mapping[str, Any] = {}

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
        given = {arg for arg in self.linear.inputs if arg.name not in (*self.moves, "data")}
        return next(
            kernel
            for kernel in KERNELS.values()
            if {arg.name for arg in kernel.results} == {*self.moves} and given < {*kernel.inputs}
        )

    @property
    def saved(self) -> tuple[str, ...]:
        """What of the results a derivative reads again: positions, or nothing."""
        again = {arg.name for arg in self.linear.inputs}
        return tuple(arg.name for arg in self.forward.results if arg.name in again)

    @property
    def located(self) -> bool:
        """Whether of its regions the gradient of the features needs the images only."""
        kept = {"data", "pooled", "image", *self.saved}
        return {arg.name for arg in self.backward.inputs} <= kept

    @property
    def divides(self) -> bool:
        """Whether parts of a plane may be pooled each by itself, and joined: what is read lies in
        rows and columns, and what is found has a position. A sample may lie in two parts.
        """
        kernel = self.forward
        listed = any({"h", "w"} <= {*arg.axes} for arg in kernel.inputs)
        found = all(arg.dtype == "position" for arg in kernel.results[1:])
        return found and not listed and not self.position_sensitive

    def filling(self, call: Call) -> float:
        """The value of a bin without taps."""
        for option, value in zip(self.options, call.more, strict=True):
            if option.name == self.fill:
                return float(value)
        return 0.0

    def channels(self, name: str, of_maps: int, pooled_size: Sequence[int]) -> int:
        """Of the result, of maps with so many channels; raises if there is no such number."""
        height, width = pooled_size
        if not self.position_sensitive:
            return of_maps
        if of_maps % (height * width):
            raise ValueError(
                f"{name} has {of_maps} channels; {self.name} reads {height} x {width} for each "
                f"channel of its result: expected a multiple of {height * width}"
            )
        return of_maps // (height * width)

    def refuse_grad(
        self,
        dtype: Any,
        name: str | None,
        shape: Sequence[int],
        count: int,
        data_shape: Sequence[int],
    ) -> None:
        """Raise unless a gradient of this dtype, by its name, and shape fits so many regions."""
        channels = data_shape[1]
        if len(shape) == 4:
            channels = self.channels("data", channels, shape[2:])
        checks.refuse_grad(dtype, name, shape, (count, channels), data_shape)

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
