"""Operators on the command line: by name, with a flag for each option that any of them has.

Whatever is described is found here; no operator is named but the one that a call means by default.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import typer

import roipool
from roipool.command.features import InputError
from roipool.command.regions import columns_of
from roipool.descriptions import CORNERS, OPERATORS, Call, Operator

DEFAULT = "roi_pool"
KINDS = {"int": (int, "N"), "bool": (bool, None), "float": (float, "X"), "str": (str, "WORD")}
WORDS = {
    "sampling_ratio": "Samples along each axis of a bin, 0 for as many as it has pixels.",
    "aligned": "Whether to subtract half a pixel: from a pixel's edge to its centre.",
    "convention": "How bins are rounded: rfcn or torchvision.",
    "clockwise": "Whether a positive angle turns clockwise.",
    "method": "How a sample reads pixels: bilinear or nearest.",
    "extrapolation_value": "What a sample outside of the map is.",
    "tensorflow": "Whether to round the last sample's place as TensorFlow does.",
}


class Chosen(NamedTuple):
    """An operator, and its options as this call has them."""

    operator: Operator
    options: Mapping[str, Any]

    def call(self, pooled_size: Any, spatial_scale: Any) -> Call:
        """The options of one call on one array, checked."""
        return self.operator.call(pooled_size, spatial_scale, None, **self.options)

    def scale(self, given: float | None, default: float) -> float:
        """The spatial scale of a call; refused where regions say themselves how large a map is."""
        if self.operator.rows.scaled:
            return default if given is None else given
        if given is not None:
            raise InputError(
                f"{self.operator.name} has no --spatial-scale: its {self.operator.rows.name} are "
                "given in parts of the map; leave it out"
            )
        return 1.0

    @property
    def title(self) -> str:
        """For example: roi_align, sampling ratio 2, aligned."""
        said = [self.operator.name]
        for name, value in self.options.items():
            word = name.replace("_", " ")
            if isinstance(value, bool):
                said.append(word if value else f"not {word}")
            elif isinstance(value, float):
                said.append(f"{word} {value:g}")
            else:
                said.append(f"{word} {value}")
        return ", ".join(said)


def flag(option: str) -> str:
    """How an argument of the library is called here."""
    return "--" + option.replace("_", "-")


def joined(names: Sequence[str], last: str) -> str:
    """Names as a sentence has them, a word before the last."""
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def names() -> str:
    """The operators that there are, that of a call without a name first."""
    return joined([operator.name for operator in _in_order()], "or")


def _in_order() -> list[Operator]:
    return sorted(OPERATORS.values(), key=lambda each: (each.name != DEFAULT, each.name))


def other_rows() -> str:
    """A line for each operator whose regions are no corners: what they are instead."""
    other = [each for each in _in_order() if each.rows != CORNERS]
    longest = max((len(each.name) for each in other), default=0)
    return "\n".join(
        f"  {each.name:{longest}}  {', '.join(columns_of(each.rows)[1:])}" for each in other
    )


def choose(name: str, options: Mapping[str, Any] | None = None) -> Chosen:
    """An operator by its name, with those options that are given, and the others as it has them."""
    operator = OPERATORS.get(name)
    if operator is None:
        raise InputError(f"--operator is {name!r}; expected {names()}")
    chosen = {**_defaults(operator), **(options or {})}
    known = {option.name for option in operator.options}
    for option in chosen:
        if option not in known:
            raise InputError(f"{name} has no {flag(option)}, which is of {_who_has(option)}")
    missing = [option.name for option in operator.options if option.name not in chosen]
    if missing:
        raise InputError(f"{name} needs {flag(missing[0])}")
    return Chosen(operator, chosen)


def choose_several(names: Sequence[str], options: Mapping[str, Any]) -> list[Chosen]:
    """Operators by name, each with the options that it has; each option is of at least one."""
    chosen = []
    for name in names:
        known = [option.name for option in OPERATORS[name].options] if name in OPERATORS else []
        chosen.append(choose(name, {key: options[key] for key in known if key in options}))
    for option in options:
        if not any(option in each.options for each in chosen):
            choose(names[0], options)
    return chosen


def scales(several: Sequence[Chosen], given: float | None, default: float) -> list[float]:
    """The spatial scale of each; one that is given is of all whose regions it takes to the map."""
    scaled = [each.operator.rows.scaled for each in several]
    return [
        each.scale(given if taken or not any(scaled) else None, default)
        for each, taken in zip(several, scaled, strict=True)
    ]


def _defaults(operator: Operator) -> Mapping[str, Any]:
    function = getattr(roipool, operator.function or operator.name, None)
    parameters = inspect.signature(function).parameters if function else {}
    known = [option.name for option in operator.options if option.name in parameters]
    return {name: parameters[name].default for name in known}


def _who_has(option: str) -> str:
    having = [each.name for each in _in_order() if option in {o.name for o in each.options}]
    return joined(having, "and")


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with a flag for each option of any operator; it takes those given as a dict."""
    kinds = {option.name: KINDS[option.kind] for each in _in_order() for option in each.options}

    @functools.wraps(command)
    def with_flags(**given: Any) -> None:
        options = {name: given.pop(name) for name in kinds}
        command(**given, options={k: v for k, v in options.items() if v is not None})

    parameters = dict(inspect.signature(command, eval_str=True).parameters)
    del parameters["options"]
    for name, (kind, metavar) in kinds.items():
        text = f"{WORDS.get(name, '')} For {_who_has(name)}.".strip()
        parameters[name] = inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[kind | None, typer.Option(help=text, metavar=metavar)],
        )
    with_flags.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters.values()]
    )
    with_flags.__annotations__ = {name: p.annotation for name, p in parameters.items()}
    return with_flags
