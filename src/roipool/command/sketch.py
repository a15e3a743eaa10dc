"""The text drawing of one region: coloured on a terminal, and as readable without colours."""

import string
from collections.abc import Sequence

import numpy as np
from rich.text import Text

from roipool.command.explanation import Explanation, number, pixels_in, window
from roipool.command.palette import bin_colour
from roipool.command.winners import Winners

LETTERS = string.ascii_letters
FAINT = "bright_black"
MOST_ROWS = 40  # of pixels, each a line


def sketch(found: Explanation, width: int) -> Text:
    """Words, map and pooled values, in lines of at most `width` where that can be."""
    lines = [Text(found.heading, "bold"), Text(f"{found.source}, {found.operator}", FAINT), Text()]
    columns, rows = (pixels_in(*window(axis), axis.length) for axis in (found.x, found.y))
    lanes = _lanes(found.y.bins)
    margin = 6 + 4 * len(lanes)
    cell = 4
    numbers = len(rows) <= MOST_ROWS and margin + cell * len(columns) <= width
    if numbers:
        values = found.plane[rows.start : rows.stop, columns.start : columns.stop].flat
        cell = 3 + max((len(number(value)) for value in values), default=1)
        numbers = margin + cell * len(columns) <= width
    if numbers:
        lines += _with_numbers(found, rows, columns, cell, lanes)
        key = "[ ] a bin's maximum" if isinstance(found, Winners) else "bars span what bins read"
    else:
        lines += _with_letters(found, rows, columns, width)
        key = "a letter per bin   + in several bins   . in none"
        key += "   * a bin's maximum" if isinstance(found, Winners) else ""
    lines += [Text(), *_pooled(found, letters=not numbers), Text(), Text(key, FAINT), Text()]
    lines += [Text(axis.in_words()) for axis in (found.x, found.y)]
    lines += [Text(line) for line in found.details()]
    lines += [Text(note, FAINT) for note in (*found.notes(), found.on_ends)]
    for line in lines:
        line.rstrip()
    return Text("\n").join(lines)


def _lanes(bins: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Bins by number, so that those of one lane do not overlap."""
    lanes: list[list[int]] = []
    for index, (begin, end) in enumerate(bins):
        if begin >= end:
            continue
        for lane in lanes:
            if bins[lane[-1]][1] <= begin:
                lane.append(index)
                break
        else:
            lanes.append([index])
    return lanes


def _with_numbers(
    found: Explanation, rows: range, columns: range, cell: int, lanes: list[list[int]]
) -> list[Text]:
    margin = " " * (6 + 4 * len(lanes))
    lines = [Text(margin + "".join(f"{x:>{cell - 1}} " for x in columns), FAINT)]
    for lane in _lanes(found.x.bins):
        bar = [" "] * (cell * len(columns))
        for index in lane:
            begin, end = found.x.bins[index]
            label = f" {index} ".center(cell * (end - begin) - 2, "─")
            start = cell * (begin - columns.start)
            bar[start : start + cell * (end - begin)] = list(f"└{label}┘")
        lines.append(Text(margin + "".join(bar), FAINT))
    for y in rows:
        line = Text(f"{y:>5} ", FAINT)
        for lane in lanes:
            line.append(_beside(found.y.bins, lane, y))
        for x in columns:
            style, marks = _style(found, y, x)
            text = number(found.plane[y, x]).rjust(cell - 3)
            line.append(f" {marks[0]}{text}{marks[1]}", style)
        lines.append(line)
    return lines


def _beside(bins: Sequence[tuple[int, int]], lane: Sequence[int], y: int) -> str:
    for index in lane:
        begin, end = bins[index]
        if begin <= y < end:
            if end - begin == 1:
                return f"{index:>2}[ "
            return f"{index:>2}┌ " if y == begin else "  └ " if y == end - 1 else "  │ "
    return "    "


def _style(found: Explanation, y: int, x: int) -> tuple[str, str]:
    winner = _winner(found, y, x)
    inside = found.bins_at(y, x)
    shape = found.values.shape
    if winner is not None:
        return f"bold white on {bin_colour(*winner, shape)}", "[]"
    if not inside:
        return FAINT, "  "
    colour = bin_colour(*inside[0], shape)
    return (f"{colour} underline" if len(inside) > 1 else colour), "  "


def _winner(
    found: Explanation, y: int, x: int, down: int = 1, across: int = 1
) -> tuple[int, int] | None:
    """The first bin whose maximum is this pixel, or in this block of them."""
    if not isinstance(found, Winners):
        return None
    near = (found.winners >= (y, x)) & (found.winners < (y + down, x + across))
    won = (tuple(bin) for bin in np.argwhere(near.all(axis=2)))
    return next((bin for bin in won if found.shows(*bin)), None)


def _with_letters(found: Explanation, rows: range, columns: range, width: int) -> list[Text]:
    """One character for a pixel, or for a block of them where the region is too wide."""
    margin = 7
    step = -(-len(columns) // max(width - margin, 1))
    down = max(2 * step, 1) if step > 1 or len(rows) > MOST_ROWS else 1  # a character is tall
    shape = found.values.shape
    lines = [
        Text(
            f"{'':{margin}}{columns.start}" + f"{columns.stop - 1:>{len(columns) // step - 1}}",
            FAINT,
        )
    ]
    for y in rows[::down]:
        line = Text(f"{y:>6} ", FAINT)
        for x in columns[::step]:
            inside = found.bins_at(y, x)
            won = _winner(found, y, x, down, step)
            if won is not None:
                line.append("*", f"bold white on {bin_colour(*won, shape)}")
            elif not inside:
                line.append(".", FAINT)
            else:
                text = "+" if len(inside) > 1 else _letter(*inside[0], shape)
                line.append(text, bin_colour(*inside[0], shape))
        lines.append(line)
    return lines


def _letter(i: int, j: int, shape: tuple[int, int]) -> str:
    return LETTERS[(i * shape[1] + j) % len(LETTERS)]


def _pooled(found: Explanation, *, letters: bool) -> list[Text]:
    rows, columns = shape = found.values.shape
    width = max(len(number(value)) for value in found.values.flat)
    lines = [Text(f"pooled to {rows} x {columns}:", FAINT)]
    for i in range(rows):
        line = Text("  ")
        for j in range(columns):
            letter = f"{_letter(i, j, shape)}:" if letters else ""
            faint = found.is_empty(i, j) or not found.shows(i, j)
            style = FAINT if faint else f"bold white on {bin_colour(i, j, shape)}"
            line.append(f" {letter}{number(found.values[i, j]):>{width}} ", style)
            line.append(" ")
        lines.append(line)
    return lines
