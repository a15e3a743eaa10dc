"""The map under a region and the pooled values: what pictures of every operator have."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from roipool.command.axis import Axis
from roipool.command.explanation import Explanation
from roipool.command.features import InputError, needs
from roipool.command.palette import FAINT, INK, bin_colour, ink_on
from roipool.command.words import number

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Polygon, Rectangle
    from matplotlib.patheffects import withStroke
except ImportError:
    raise InputError(needs("matplotlib", "pictures")) from None

MOST_NUMBERS = 16  # pixels along a side whose numbers can be read
MOST_PIXELS = 2000  # along a side that are drawn


def draw_map(axes: Axes, found: Explanation, across: range, down: range) -> None:
    """Those pixels of the map, with ticks."""
    shown = stretch(across, down)
    look = (
        {"pixels": found.photo[shown]} if found.photo is not None else _shades(found.plane[shown])
    )
    draw_pixels(axes, across=across, down=down, **look)
    axes.set(aspect="equal", facecolor="#f4f4f4")
    axes.tick_params(
        top=True, labeltop=True, bottom=False, labelbottom=False, length=0, labelsize=8,
        colors=FAINT,
    )  # fmt: skip
    for spine in axes.spines.values():
        spine.set_visible(False)
    if few(across, down):
        axes.set_xticks(across)
        axes.set_yticks(down)
        (left, right), (top, bottom) = ((s.start - 0.5, s.stop - 0.5) for s in (across, down))
        thin = min(1, 0.04 * room(axes, across, down))
        for x in range(across.start, across.stop + 1):
            axes.plot([x - 0.5] * 2, [top, bottom], color="white", lw=thin, zorder=1)
        for y in range(down.start, down.stop + 1):
            axes.plot([left, right], [y - 0.5] * 2, color="white", lw=thin, zorder=1)


def few(across: range, down: range) -> bool:
    """Whether there is room for the pixels' numbers."""
    return max(len(across), len(down)) <= MOST_NUMBERS


def sides(axes: Axes) -> tuple[float, float]:
    """Width and height in points."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    width, height = axes.get_position().size * figure.get_size_inches() * 72
    return float(width), float(height)


def room(axes: Axes, across: range, down: range) -> float:
    """Points that a pixel of a stretch has for itself."""
    width, height = sides(axes)
    return min(width / max(len(across), 1), height / max(len(down), 1))


def fitting(axes: Axes, usual: float) -> float:
    """How thick a line is that usually is so thick: less on a small map."""
    return min(usual, max(0.4 * usual, 0.006 * usual * sides(axes)[0]))


def stretch(across: range, down: range) -> tuple[slice, slice]:
    """The rows and columns to draw of so many pixels."""
    step = 1 + max(len(across), len(down)) // MOST_PIXELS
    return slice(down.start, down.stop, step), slice(across.start, across.stop, step)


def draw_pixels(axes: Axes, pixels: np.ndarray, across: range, down: range, **how: Any) -> None:
    """An array of the pixels in that stretch, where they lie."""
    step = stretch(across, down)[0].step
    height, width = (step * side for side in pixels.shape[:2])
    left, top = across.start - 0.5, down.start - 0.5
    if pixels.size:
        extent = (left, left + width, top + height, top)
        axes.imshow(pixels, extent=extent, interpolation="nearest", **how)


def _shades(plane: np.ndarray) -> dict[str, Any]:
    shades = np.asarray(plane, np.float64) * 1e-3  # the largest double must not overflow
    finite = shades[np.isfinite(shades)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    span = max(high - low, 1e-300)
    return {
        "pixels": shades,
        "cmap": "Greys",
        "vmin": low - 0.05 * span,
        "vmax": high + 2.2 * span,
    }


HALO = [withStroke(linewidth=2.5, foreground="#ffffffc0")]


def draw_numbers(
    axes: Axes, found: Explanation, across: range, down: range,
    marked: Mapping[tuple[int, int], str],
) -> None:  # fmt: skip
    """Each pixel's value at its centre, seen on a mark of a colour too."""
    most = 0.35 * room(axes, across, down)
    for y in down:
        for x in across:
            colour = marked.get((y, x))
            text = number(found.plane[y, x])
            axes.text(
                x, y, text, ha="center", va="center", size=min(9 if len(text) < 4 else 7, most),
                color=ink_on(colour) if colour else INK, weight="bold" if colour else "normal",
                zorder=9, clip_on=True, path_effects=[] if colour else HALO,
            )  # fmt: skip


def draw_ends(axes: Axes, axis: Axis, low: float, high: float) -> None:
    """Write where the region ends in the margin, where its lines point."""
    first, last = sorted(axis.ends)
    ends = [first, last] if last - first > 0.09 * (high - low) else [last]
    for end in ends:
        if low <= end <= high:
            across = axis.name == "x"
            pad = 17 if across else 9 + 6 * len(str(axis.length))  # beyond the tick labels
            axes.annotate(
                f"{end:.6g}",
                (end, 1) if across else (0, end),
                xycoords=("data", "axes fraction") if across else ("axes fraction", "data"),
                xytext=(0, pad) if across else (-pad, 0),
                textcoords="offset points",
                ha="center" if across else "right",
                va="bottom" if across else "center",
                size=8, weight="bold", color=INK, gid="scaled",
            )  # fmt: skip


def draw_outlines(axes: Axes, found: Explanation) -> None:
    """Lines around the region, those for comparison dashed, on a photo with a light edge."""
    halo = found.photo is not None
    for outline in found.outlines():
        width, style = (1.4, (0, (4, 2.5))) if outline.dashed else (fitting(axes, 2.4), "-")
        wider = withStroke(linewidth=width + fitting(axes, 1.9), foreground="white")
        axes.add_patch(
            Polygon(
                outline.corners, fill=False, ec=INK, lw=width, ls=style, label=outline.label,
                zorder=6 if outline.dashed else 5, path_effects=[wider] if halo else [],
                gid="region",
            )
        )  # fmt: skip


def draw_legend(axes: Axes, found: Explanation, marks: tuple[str, ...]) -> None:
    """The labels of outlines, and those of marks that anything drawn has, in this order."""
    shown = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    labels = [*(outline.label for outline in found.outlines()), *marks]
    labels = [label for label in labels if label in shown]
    axes.legend(
        [shown[label] for label in labels],
        labels,
        loc="upper left", bbox_to_anchor=(0, -0.01), ncols=4, frameon=False, fontsize=8,
        handlelength=1.6, columnspacing=1.2, handletextpad=0.5, borderaxespad=0.2,
    )  # fmt: skip


def draw_pooled(axes: Axes, found: Explanation, inches: float) -> None:
    """The pooled values, each in its bin's colour; so wide is the whole."""
    rows, columns = found.values.shape
    longest = max(len(number(value)) for value in found.values.flat)
    cell = inches * 72 / max(rows, columns)  # points
    size = max(3.0, min(24, 0.42 * cell, 0.86 * cell / (0.75 * longest)))
    for (i, j), value in np.ndenumerate(found.values):
        faint = found.is_empty(i, j) or not found.shows(i, j)
        colour = "#e4e4e4" if faint else bin_colour(i, j, (rows, columns))
        axes.add_patch(Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, color=colour, lw=0))
        axes.text(
            j, i, number(value), ha="center", va="center", size=size, weight="bold",
            color=FAINT if faint else ink_on(colour),
        )  # fmt: skip
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal")
    axes.set_title(f"pooled to {rows} × {columns}", size=10, color=FAINT, pad=6)
    axes.set_axis_off()
