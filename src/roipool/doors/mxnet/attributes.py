"""An operator and its call as the attributes of a node, which MXNet keeps as text."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from roipool.descriptions import OPERATORS, Call, Operator

# What a node computes that doesn't say it.
UNSAID = next(operator.name for operator in OPERATORS.values() if operator.oldest)

_READ: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": lambda text: text.lower() in ("true", "1"),
}


def naming(operator: str) -> dict[str, str]:
    """The attribute that says which operator a node computes, unless none says it."""
    return {} if operator == UNSAID else {"operator": operator}


def as_text(operator: Operator, call: Call) -> dict[str, str]:
    """What `described_by` understands."""
    ((y, x),) = call.scales
    more = {
        option.name: str(value) for option, value in zip(operator.options, call.more, strict=True)
    }
    size, scale = str(call.pooled_size), repr(y) if y == x else repr((y, x))
    return naming(operator.name) | {"pooled_size": size, "spatial_scale": scale} | more


def described_by(attributes: Mapping[str, str]) -> tuple[Operator, Call]:
    """The operator and its call, of a node's attributes; further ones are not the operator's."""
    name = attributes.get("operator", UNSAID)
    if name not in OPERATORS:
        raise ValueError(
            f"a node has the operator {name}; roipool has {', '.join(OPERATORS)}: import what "
            "describes it first"
        )
    operator = OPERATORS[name]
    more = {option.name: _READ[option.kind](attributes[option.name]) for option in operator.options}
    height, width = re.findall(r"\d+", attributes["pooled_size"])  # Python 2 wrote (7L, 7L)
    y, *x = map(float, attributes["spatial_scale"].strip("()").split(","))
    return operator, operator.call((int(height), int(width)), (y, *x) if x else y, None, **more)
