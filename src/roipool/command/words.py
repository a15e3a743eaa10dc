"""Numbers in words, as short as can be read."""

from collections.abc import Callable

import numpy as np

MOST_SAID = 6  # samples, pixels or products in a line
MOST_LETTERS = 600  # of a line that tells what came


def whole(value: int) -> str:
    """An integer; a huge one in short."""
    return str(value) if abs(value) < 10**9 else f"{value:.3g}"


def short(value: float) -> str:
    """A position, in six digits."""
    return f"{value:.6g}"


def some(count: int, say: Callable[[int], str]) -> list[str]:
    """All of them said, or of many the first few and the last."""
    if count <= MOST_SAID:
        return [say(k) for k in range(count)]
    return [*(say(k) for k in range(MOST_SAID - 2)), "…", say(count - 1)]


def plain(line: str) -> str:
    """One line without what would move or colour a terminal; a long one without its middle."""
    line = " ".join(line.split())
    seen = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
    half = MOST_LETTERS // 2
    return seen if len(seen) <= MOST_LETTERS else f"{seen[:half]} … {seen[-half:]}"


def plural(count: int, what: str) -> str:
    """For example: 1 bin, 2 bins."""
    return f"{whole(count)} {what}{'s' * (count != 1)}"


def number(value: np.generic) -> str:
    """A pixel's value, in five characters or little more."""
    if np.issubdtype(value.dtype, np.integer):
        return str(value)
    real = float(value)
    if np.isfinite(real) and real == round(real) and abs(real) < 10**5:
        return f"{real:.0f}"
    return f"{real:.3g}"
