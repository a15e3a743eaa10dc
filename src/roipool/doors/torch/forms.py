"""What the dispatcher is told of, derived from descriptions: operators of regions, and kernels.

Of an operator: users, compilers and exporters see forms that take `rois`.

    roi_align(data, rois)                  values
    roi_align_backward(grad, rois)         adds each gradient where its value was read from
    roi_align_backward_rois(grad, data, rois)    the gradient of the regions
    roi_align_structure(rois)              what the kernels take, and how weights move with regions

Where what it read from is found and saved, as max pooling finds it:

    roi_pool(data, rois)                   values
    roi_pool_argmax(data, rois)            values and argmax, where a derivative may follow
    roi_pool_gather(data, argmax, rois)    reads each value at its argmax
    roi_pool_backward(grad, argmax, rois)  adds each gradient at its argmax

Each stands once for one array of feature maps and once for several, as the overload "several". Of
each linear kernel there is a form that takes the structure itself: the derivatives of derivatives
for the regions are made of those, and so are all in forward mode.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from roipool.descriptions import Operator
from roipool.kernels import KERNELS, POOLED, Arg, Kernel

ROIS = Arg("rois", "KR", "rois", along="N")
GRAD_ROIS = Arg("grad_rois", "KR", "rois")
FORMS: dict[str, "Form"] = {}  # that are registered, by name
OVERLOADS: dict[str, Any] = {}  # what calls them
OVERLOADED = (("", False), (".several", True))
FEATURES = ("data", POOLED.name)
INPUTS = {POOLED.name: "grad"}  # as schemas say it
RESULTS = {POOLED.name: "values", "data": "grad_data"}


@dataclass(frozen=True)
class Form:
    """An operator of the dispatcher.

    Attributes:
        name: With its overload.
        kernel: What runs.
        inputs: Tensors, in the order of the schema.
        results: Tensors.
        static: What else it takes: types of the schema by names.
        several: Whether feature maps are lists of tensors.
        operator: Whose regions it takes in the place of a structure.
        saving: The form that is called instead where a derivative may follow.
        linear: The form that is the derivative for the first input: itself, but of what is found.
        transposes: From each input that `linear` is linear in to the form that gives it; and from
            regions that values move with to the form that gives their gradient.
        out: Whether the results are memory of the caller.
        structure: Whether the results are the structure itself, and how it moves.
    """

    name: str
    kernel: Kernel
    inputs: tuple[Arg, ...]
    results: tuple[Arg, ...]
    static: Mapping[str, str]
    several: bool
    operator: Operator | None = None
    saving: str = ""
    linear: str = ""
    transposes: Mapping[str, str] = field(default_factory=dict)
    out: bool = False
    structure: bool = False

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of all that goes in, in order."""
        return (*(arg.name for arg in self.inputs), *self.static)

    @property
    def schema(self) -> str:
        """In the dispatcher's language."""
        takes = [f"{self._type(arg)} {INPUTS.get(arg.name, arg.name)}" for arg in self.inputs]
        takes += [f"{kind} {name}" for name, kind in self.static.items()]
        if self.out:
            for arg, mark in zip(self.results, ("(a!)", "(b!)?"), strict=False):
                takes.append(f"{self._type(arg, mark)} {RESULTS.get(arg.name, arg.name)}")
            return f"{self.name}({', '.join(takes)}) -> ()"
        gives = ", ".join(map(self._type, self.results))
        gives = gives if len(self.results) == 1 else f"({gives})"
        return f"{self.name}({', '.join(takes)}) -> {gives}"

    def _type(self, arg: Arg, mark: str = "") -> str:
        return f"Tensor{mark}" + "[]" * (self.several and arg.axes == "NCHW")

    @property
    def overload(self) -> str:
        """Of its name."""
        return ".several" if self.several else ""

    @cached_property
    def sides(self) -> list[tuple[Arg, list[tuple[str, int]]]]:
        """The results, and what tells their sides: an input's axis, or a part of the pooled size;
        of feature maps nothing does.
        """
        told = {letter: (arg.name, i) for arg in self.inputs for i, letter in enumerate(arg.axes)}
        if "pooled_size" in self.static:
            told |= {"h": ("pooled_size", 0), "w": ("pooled_size", 1)}
        return [
            (arg, [] if arg.axes == "NCHW" else [told[letter] for letter in arg.axes])
            for arg in self.results
        ]

    @property
    def of_rois(self) -> bool:
        """Whether the result is the gradient of the regions."""
        return self.results == (GRAD_ROIS,)

    @cached_property
    def located(self) -> bool:
        """Whether of its regions only the images matter."""
        return "spatial_scale" not in self.static

    def known(self, values: Sequence[Any]) -> dict[str, Any]:
        """All that goes in by its name; feature maps as a list, however they came."""
        known = dict(zip(self.names, values, strict=True))
        if not self.several and "data" in known:
            known["data"] = [known["data"]]
        return known

    def arguments(self, known: Mapping[str, Any]) -> list[Any]:
        """What of all that is known by name goes in, in order; feature maps being a list."""
        values = [known[name] for name in self.names]
        if not self.several and "data" in self.names:
            at = self.names.index("data")
            values[at] = values[at][0]
        return values


def each(value: Any) -> Sequence[Any]:
    """Arrays of feature maps, or anything else as one."""
    return value if isinstance(value, (list, tuple)) else (value,)


def called(name: str, known: Mapping[str, Any]) -> Any:
    """The form's results, of all that is known by name; feature maps being lists."""
    return OVERLOADS[name](*FORMS[name].arguments(known))


def forms_of(operator: Operator) -> list[Form]:
    """All of an operator that take regions."""
    return [
        form
        for overload, several in OVERLOADED
        for form in (
            *_of_regions(operator, overload, several),
            *([_of_rois(operator, overload, several)] if operator.moves else []),
            *_into_memory(operator, overload, several),
        )
    ] + ([_structure(operator)] if operator.moves else [])


def _of_regions(operator: Operator, overload: str, several: bool) -> list[Form]:
    name = operator.name
    back = f"{name}_backward{overload}"
    if not operator.saved:
        ways: list[Any] = [(name, operator.forward, 1, name, name, {"data": back})]
        gather = name
    else:
        saving, gather = f"{name}_{'_'.join(operator.saved)}", f"{name}_gather"
        transposes = {"data": back}
        ways = [
            (name, operator.forward, 1, saving, gather, transposes),
            (saving, operator.forward, len(operator.forward.results), saving, gather, transposes),
            (gather, operator.linear, 1, gather, gather, transposes),
        ]
    own = f"{name}_backward"
    ways.append((own, operator.backward, 1, own, own, {POOLED.name: gather + overload}))
    of_rois = {ROIS.name: f"{name}_backward_rois{overload}"} if operator.moves else {}
    return [
        Form(
            of + overload,
            kernel,
            (*_features(operator, kernel), ROIS),
            kernel.results[:count],
            _static(operator, kernel, several),
            several,
            operator,
            saving + overload,
            linear + overload,
            transposes | of_rois,
        )
        for of, kernel, count, saving, linear, transposes in ways
    ]


def _of_rois(operator: Operator, overload: str, several: bool) -> Form:
    kernel, name = operator.weigh, f"{operator.name}_backward_rois{overload}"
    inputs, static = (*_features(operator, kernel), ROIS), _static(operator, kernel, several)
    return Form(name, kernel, inputs, (GRAD_ROIS,), static, several, operator)


def _into_memory(operator: Operator, overload: str, several: bool) -> list[Form]:
    forms = []
    for name, kernel in (
        (operator.name, operator.forward),
        (f"{operator.name}_backward", operator.backward),
    ):
        sized = _static(operator, kernel, several).items()  # as the memory tells
        static = {word: kind for word, kind in sized if not word.endswith(("size", "shape"))}
        inputs = (*_features(operator, kernel), ROIS)
        name += f"_out{overload}"
        forms.append(
            Form(name, kernel, inputs, kernel.results, static, several, operator, out=True)
        )
    return forms


def _features(operator: Operator, kernel: Kernel) -> tuple[Arg, ...]:
    """What a kernel takes beside the structure."""
    return tuple(arg for arg in kernel.inputs if arg.name in (*FEATURES, *operator.saved))


def _structure_of(operator: Operator, kernel: Kernel) -> tuple[Arg, ...]:
    return tuple(arg for arg in kernel.inputs if arg not in _features(operator, kernel))


def _static(operator: Operator, kernel: Kernel, several: bool) -> dict[str, str]:
    """What tells the sizes that no input does, and the structure."""
    static = _shape(kernel, several)
    structure = {arg.name for arg in _structure_of(operator, kernel)}
    if structure == {"image"}:
        return static
    if not any("h" in arg.axes for arg in _features(operator, kernel)):
        static["pooled_size"] = "SymInt[2]"
    static["spatial_scale"] = "float[]" if several else "float[2]"
    return static | {option.name: option.kind for option in operator.options}


def _shape(kernel: Kernel, several: bool) -> dict[str, str]:
    """What tells the sizes of feature maps that are the result."""
    if kernel.results[0].axes != "NCHW":
        return {}
    return {"data_shape": "SymInt[]" if several else "SymInt[4]"}


def weights(operator: Operator) -> tuple[Arg, ...]:
    """The weights that move with the regions."""
    return tuple(arg for arg in operator.linear.inputs if arg.name in operator.moves)


def _structure(operator: Operator) -> Form:
    kernel = operator.linear
    slopes = tuple(
        Arg(f"{arg.name}_slope", f"{arg.axes}{len(operator.moves[arg.name])}", "sum")
        for arg in weights(operator)
    )
    static = {"data_shape": "SymInt[]", "pooled_size": "SymInt[2]", "spatial_scale": "float[]"}
    static |= {option.name: option.kind for option in operator.options}
    static |= {"dtype": "ScalarType", "traced": "bool"}
    results = (*_structure_of(operator, kernel), *slopes)
    name = f"{operator.name}_structure"
    return Form(name, kernel, (ROIS,), results, static, True, operator, structure=True)


def forms_of_kernels() -> list[Form]:
    """All linear kernels."""
    return [
        Form(
            kernel.name + overload,
            kernel,
            kernel.inputs,
            kernel.results,
            _shape(kernel, several),
            several,
            saving=kernel.name + overload,
            linear=kernel.name + overload,
            transposes={factor: name + overload for factor, name in kernel.linear.items()},
        )
        for overload, several in OVERLOADED
        for kernel in KERNELS.values()
        if kernel.linear
    ]
