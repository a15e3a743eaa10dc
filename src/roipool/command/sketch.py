"""The text drawing of one region: coloured on a terminal, and as readable without colours."""

import string
from collections.abc import Sequence

from rich.text import Text

from roipool.command.axis import pixels_in, window
from roipool.command.explanation import Explanation
from roipool.command.palette import bin_colour
from roipool.command.words import number

LETTERS = string.ascii_letters
FAINT = "bright_black"
MOST_ROWS = 40  # of pixels, each a line
MOST_PARTS = 4  # maps, one below the other


def sketch(found: Explanation, width: int) -> Text:
    """Words, map and pooled values, in lines of at most `width` where that can be."""
    lines = [Text(found.heading, "bold"), Text(f"{found.source}, {found.operator}", FAINT), Text()]
    parts = found.parts()
    letters = False
    for part in parts[:MOST_PARTS]:
        if len(parts) > 1:
            lines.append(Text("bin {} {}, of ".format(*part.asked or ()) + part.source, FAINT))
        drawing, letters, key = _map(part, width)
        lines += [*drawing, Text()]
    if len(parts) > MOST_PARTS:
        lines += [Text(f"… {len(parts) - MOST_PARTS} more; --bin I J shows one", FAINT), Text()]
    lines += [*_pooled(found, letters=letters), Text(), Text(key, FAINT), Text()]
    lines += [Text(axis.in_words()) for axis in (found.x, found.y)]
    lines += [Text(line) for line in found.details()]
    lines += [Text(note, FAINT) for note in (*found.on_planes(), *found.notes(), found.on_ends)]
    for line in lines:
        line.rstrip()
    return Text("\n").join(lines)


def _map(found: Explanation, width: int) -> tuple[list[Text], bool, str]:
    """The pixels around a region: in numbers, or where these have no room a letter for each; then
    whether bins have letters, and the key to it all.
    """
    columns, rows = (pixels_in(*window(axis), axis.length) for axis in (found.x, found.y))
    asked = found.asked or (None, None)
    lanes = _lanes(found.y.bins, asked[0])
    margin, cell = 6 + 4 * len(lanes), 4
    numbers = len(rows) <= MOST_ROWS and margin + cell * len(columns) <= width
    if numbers:
        values = found.plane[rows.start : rows.stop, columns.start : columns.stop].flat
        cell = 3 + max((len(number(value)) for value in values), default=1)
        numbers = margin + cell * len(columns) <= width
    if not numbers:
        key = "a letter per bin   + in several bins   . in none"
        marks = f"   * {found.on_marks}" if found.on_marks else ""
        return _with_letters(found, rows, columns, width), True, key + marks
    drawing = _with_numbers(found, rows, columns, cell, lanes, _lanes(found.x.bins, asked[1]))
    if not found.x.bins:
        return drawing, True, "a letter per bin   + in several bins"
    key = f"[ ] {found.on_marks}" if found.on_marks else "bars span what bins read"
    return drawing, False, key


def _lanes(bins: Sequence[tuple[int, int]], asked: int | None) -> list[list[int]]:
    """Bins by number, or that one alone, so that those of one lane do not overlap."""
    lanes: list[list[int]] = []
    for index, (begin, end) in enumerate(bins):
        if begin >= end or asked not in (None, index):
            continue
        for lane in lanes:
            if bins[lane[-1]][1] <= begin:
                lane.append(index)
                break
        else:
            lanes.append([index])
    return lanes


def _with_numbers(
    found: Explanation,
    rows: range,
    columns: range,
    cell: int,
    lanes: list[list[int]],
    above: list[list[int]],
) -> list[Text]:
    margin = " " * (6 + 4 * len(lanes))
    lines = [Text(margin + "".join(f"{x:>{cell - 1}} " for x in columns), FAINT)]
    for lane in above:
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
    winner = found.marked(y, x)
    inside = found.bins_at(y, x)
    shape = found.values.shape
    if winner is not None:
        return f"bold white on {bin_colour(*winner, shape)}", "[]"
    if not inside:
        return FAINT, "  "
    colour = bin_colour(*inside[0], shape)
    marks = "  " if found.x.bins else f"{_letters(inside, shape)} "
    return (f"{colour} underline" if len(inside) > 1 else colour), marks


def _letters(inside: Sequence[tuple[int, int]], shape: tuple[int, ...]) -> str:
    return "+" if len(inside) > 1 else _letter(*inside[0], shape)


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
            won = found.marked(y, x, down, step)
            if won is not None:
                line.append("*", f"bold white on {bin_colour(*won, shape)}")
            elif not inside:
                line.append(".", FAINT)
            else:
                line.append(_letters(inside, shape), bin_colour(*inside[0], shape))
        lines.append(line)
    return lines


def _letter(i: int, j: int, shape: tuple[int, ...]) -> str:
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
