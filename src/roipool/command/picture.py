"""The picture of one region, by matplotlib: map and bins beside the pooled values.

Of several operators side by side, each with its pooled values under its map.
"""

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from roipool.command.axis import pixels_in, window
from roipool.command.explanation import Explanation
from roipool.command.explanations.weighed import Weighed
from roipool.command.explanations.winners import Winners
from roipool.command.features import InputError, needs
from roipool.command.outputs import refuse_overwriting, resolved
from roipool.command.palette import FAINT, INK, bin_colour
from roipool.command.picture_map import draw_ends, draw_legend, draw_map, draw_pooled
from roipool.command.picture_weights import LABELS as OF_WEIGHTS
from roipool.command.picture_weights import draw_weights
from roipool.command.picture_winners import LABELS as OF_WINNERS
from roipool.command.picture_winners import draw_winners

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError:
    raise InputError(needs("matplotlib", "pictures")) from None

WIDTH = 9.2  # inches
LINE = 0.2
MARKS = (*OF_WINNERS, *OF_WEIGHTS)
GAP = 0.7  # between a map and what is under it
Span = tuple[float, float]
Box = tuple[float, float, float, float]


def figure_of(width: float, height: float) -> Figure:
    """An empty figure that opens no window."""
    return Figure(figsize=(width, height), facecolor="white")


def save_picture(
    found: Explanation,
    path: Path,
    inputs: Sequence[Path] = (),
    others: Sequence[Explanation] = (),
) -> None:
    """Draw and write the picture, others beside it; the name's ending chooses the format."""
    refuse_overwriting([path], inputs)
    if not resolved(path).parent.is_dir():
        raise InputError(f"there is no folder {path.parent} to write {path.name} in; make it")
    if path.is_dir() or path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"{path} is no name for a picture; expected .png, .svg or .pdf")
    figure = draw_beside([found, *others]) if others else draw(found)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix[1:].lower(), dpi=160)
    try:
        path.write_bytes(buffer.getvalue())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def draw(found: Explanation) -> Figure:
    """Map and bins, and to their right the pooled values."""
    columns, rows = window(found.x), window(found.y)
    words = _words(found)
    below, above = 0.5 + LINE * len(words), 1.1
    middle = 4.5 * _tall(columns, rows)
    height = below + middle + above
    figure = figure_of(WIDTH, height)
    box = (below / height, 4.5 / WIDTH, middle / height)
    _draw_region(figure, (0.08, *box), found, columns, rows)
    box = (below / height, 0.34, middle / height)
    draw_pooled(figure.add_axes((0.63, *box), label="pooled"), found, 0.34 * WIDTH)
    _say(figure, 0.02, height - 0.3, found.heading, min(13, 800 / len(found.heading)), INK, "bold")
    _say(figure, 0.02, height - 0.52, f"{found.source}, {found.operator}", 9.5, FAINT)
    for line, text in enumerate(words):
        _say(figure, 0.02, below - 0.55 - LINE * line, text, 9.5, INK if line < 2 else FAINT)
    return figure


def draw_beside(several: Sequence[Explanation]) -> Figure:
    """One column for each operator: map and bins, pooled values, words."""
    columns = _common([window(found.x) for found in several])
    rows = _common([window(found.y) for found in several])
    words = [_wrapped(found) for found in several]
    side, pooled, above = 4.1, 1.6, 1.2
    below = 0.2 + LINE * max(map(len, words))
    middle = side * _tall(columns, rows)
    height, width = below + pooled + GAP + middle + above, (side + 1.0) * len(several)
    figure = figure_of(width, height)
    for k, (found, lines) in enumerate(zip(several, words, strict=True)):
        left = k / len(several)
        box = (left + 0.65 / width, (below + pooled + GAP) / height, side / width, middle / height)
        _draw_region(figure, box, found, columns, rows)
        box = (left + 0.65 / width, below / height, side / width, pooled / height)
        draw_pooled(figure.add_axes(box, label="pooled"), found, pooled)
        _say(figure, left + 0.015, height - 0.3, found.operator, 13, INK, "bold")
        _say(
            figure,
            left + 0.015,
            height - 0.52,
            found.heading,
            min(9, 630 / len(found.heading)),
            FAINT,
        )
        for line, (text, ink) in enumerate(lines):
            _say(figure, left + 0.015, below - 0.2 - LINE * line, text, 8.5, ink)
    return figure


def _common(spans: Sequence[Span]) -> Span:
    return min(low for low, _ in spans), max(high for _, high in spans)


def _tall(columns: Span, rows: Span) -> float:
    """The height of a map of width 1."""
    return float(np.clip((rows[1] - rows[0]) / (columns[1] - columns[0]), 0.5, 1.2))


def _words(found: Explanation) -> list[str]:
    steps = [found.x.in_words(), found.y.in_words()]
    further = [*found.on_planes(), *found.notes(), *found.on_drawing(), found.on_ends]
    return [*steps, *further]


def _wrapped(found: Explanation) -> list[tuple[str, str]]:
    inks = [INK, INK, *[FAINT] * len(_words(found))]
    words = zip(_words(found), inks, strict=False)
    return [(line, ink) for text, ink in words for line in textwrap.wrap(text, 78)]


def _say(
    figure: Figure, x: float, inches: float, text: str, size: float, colour: str,
    weight: str = "normal",
) -> None:  # fmt: skip
    y = inches / figure.get_size_inches()[1]
    figure.text(x, y, text, size=size, color=colour, weight=weight, parse_math=False)


def _draw_region(figure: Figure, box: Box, found: Explanation, columns: Span, rows: Span) -> None:
    """The map and what is read of it; of position-sensitive maps a small one for each bin."""
    parts = found.parts()
    if len(parts) == 1:
        axes = figure.add_axes(box, label="map")
        draw_region(axes, parts[0], columns, rows)
        draw_ends(axes, found.x, *columns)
        draw_ends(axes, found.y, *rows)
        draw_legend(axes, found, MARKS)
        return
    left, bottom, width, height = box
    down, across = found.values.shape
    title = 12 / 72 / figure.get_size_inches()[1]
    for part in parts:
        i, j = part.asked or (0, 0)
        corner = left + j * width / across, bottom + (down - 1 - i) * height / down
        size = 0.94 * width / across, height / down - title
        axes = figure.add_axes((*corner, *size), label="map")
        draw_region(axes, part, columns, rows)
        axes.set(xticks=[], yticks=[])
        said = part.source if across <= 5 else part.source.split()[-1]
        ink = bin_colour(i, j, (down, across))
        axes.set_title(said, size=8, color=ink, pad=2, parse_math=False)
        if (i, j) == (down - 1, 0):
            draw_legend(axes, found, MARKS)


def draw_region(
    axes: Axes, found: Explanation, columns: Span, rows: Span, numbers: bool = True
) -> None:
    """That stretch of the map, and what is read of it; in numbers too where these have room."""
    across = pixels_in(*columns, found.plane.shape[1])
    down = pixels_in(*rows, found.plane.shape[0])
    draw_map(axes, found, across, down)
    if isinstance(found, Winners):
        draw_winners(axes, found, across, down, numbers)
    elif isinstance(found, Weighed):
        draw_weights(axes, found, across, down, numbers)
    axes.set(xlim=columns, ylim=rows[::-1])
