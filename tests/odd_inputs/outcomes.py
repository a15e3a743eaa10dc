"""What became of a call, in a word."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from odd_inputs import answers
from odd_inputs.cases import Case
from odd_inputs.contenders import UNITS, Contender

RIGHT = "right"
CLEAR = "clear error"
UNCLEAR = "unclear error"
OTHER = "other rule"
SILENT = "silent"
CRASH = "crash"
HANG = "hang"
MEMORY = "memory"
NONE = "–"
WORDS = (RIGHT, CLEAR, UNCLEAR, OTHER, SILENT, CRASH, HANG, MEMORY, NONE)
CLOSE = {"float16": 2e-3, "float32": 1e-4}  # of the value, or of 1

# What of a message only tells where in the library it arose: a stack, files, operators and nodes.
PLACES = re.compile(
    r"^Traceback .*|^\s*File \".*|\S*\.(?:cc|cpp|h|hpp)\b(?::\d+)?|\w*roi_?(?:pool|align)\w*",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class Report:
    """What a child reported of one call, and how its process ended.

    Attributes:
        ended: "time" or "memory", where a limit ended it.
        signal: That killed it.
        stage: How far it came.
        output: What it printed.
    """

    ended: str = ""
    signal: str = ""
    status: int = 0
    stage: str = ""
    kind: str = ""
    message: str = ""
    values: Any = None
    output: str = ""


@dataclass(frozen=True)
class Outcome:
    """A word, and what it is said for."""

    word: str
    note: str = ""


def outcome(contender: Contender, case: Case, report: Report) -> Outcome:
    """The word for what a contender did."""
    if report.stage == "unsupported":
        return Outcome(NONE, report.message)
    copied = case.like is not None and report.ended == "memory"
    if copied or (report.ended and report.stage == "making arrays"):
        return Outcome(NONE, f"making its arrays takes more {report.ended} than a case has")
    if report.ended:
        return Outcome({"time": HANG, "memory": MEMORY}[report.ended])
    if report.stage == "error":
        names = UNITS[contender.unit].names.get(case.fault, ())
        message = told(report.message)
        word = CLEAR if is_clear(message, names, case.shows) else UNCLEAR
        return Outcome(word, f"{report.kind}: {message}")
    if report.stage != "answered":
        return Outcome(CRASH, f"{report.signal or report.status} {report.output.strip()[-300:]}")
    return judged(contender, case, report.values)


def judged(contender: Contender, case: Case, values: np.ndarray) -> Outcome:
    """The word for values."""
    ours = UNITS[contender.unit].ours
    apart = "values, where an error is right"
    if not answers.is_error(case, contender.like, contender.looks, averages_integers=not ours):
        apart = difference(values, answers.values(case.name, contender.like))
        if not apart:
            return Outcome(RIGHT)
    other = answers.other_values(case, contender.like)
    if other is not None and not difference(values, other):
        return Outcome(OTHER, case.other)
    return Outcome(SILENT, apart)


def difference(actual: np.ndarray, expected: np.ndarray) -> str:
    """How values differ beyond rounding, or "" if they do not."""
    if actual.shape != expected.shape:
        return f"shape {actual.shape}, not {expected.shape}"
    a, b = actual.astype(np.float64), expected.astype(np.float64)
    close = CLOSE.get(expected.dtype.name, 0.0)
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= close * np.maximum(1, np.abs(b))
    same = (near & np.isfinite(b)) | (a == b) | (np.isnan(a) & np.isnan(b))
    wrong = np.argwhere(~same)
    if not len(wrong):
        return ""
    first = tuple(wrong[0].tolist())
    return f"{len(wrong)} of {a.size} values, such as {a[first]:g} for {b[first]:g}"


def told(message: str) -> str:
    """A message without the places in the library that some print in it."""
    return PLACES.sub("", message.partition("Stack trace")[0]).strip()


def is_clear(message: str, names: tuple[str, ...], shows: tuple[str, ...]) -> bool:
    """Whether it names the argument, as a word or a part of one between underscores, or shows the
    odd value.
    """
    return any(
        re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", message, re.IGNORECASE)
        for word in (*names, *shows)
    )


def is_met(contender: Contender, case: Case, word: str) -> bool:
    """Whether this library did what it promises: the definition's values, or a clear error."""
    if word == NONE:
        return True
    wrong = answers.is_error(case, contender.like, contender.looks)
    return word == (CLEAR if wrong else RIGHT)
