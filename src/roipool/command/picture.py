"""The picture of one region, by matplotlib: map and bins beside the pooled values."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from roipool.command.chunked import refuse_overwriting
from roipool.command.explain import (
    ROUNDING,
    Axis,
    Explanation,
    axis_in_words,
    notes,
    number,
    window,
)
from roipool.command.features import InputError, needs
from roipool.command.palette import FAINT, INK, bin_colour, ink_on

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle, Wedge
    from matplotlib.patheffects import withStroke
except ImportError:
    raise InputError(needs("matplotlib", "pictures")) from None

LABELS = GIVEN, ROUNDED, WINNER, OVERLAP = (
    "as given, scaled", "as rounded", "a bin's maximum", "in several bins"
)  # fmt: skip
WIDTH = 9.2  # inches
MOST_NUMBERS = 16  # pixels along a side whose numbers can be read


def figure_of(width: float, height: float) -> Figure:
    """An empty figure that opens no window."""
    return Figure(figsize=(width, height), facecolor="white")


def save_picture(found: Explanation, path: Path, inputs: Sequence[Path] = ()) -> None:
    """Draw and write the picture; the name's ending chooses the format."""
    refuse_overwriting([path], inputs)
    if not path.resolve().parent.is_dir():
        raise InputError(f"there is no folder {path.parent} to write {path.name} in; make it")
    if path.is_dir() or path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"{path} is no name for a picture; expected .png, .svg or .pdf")
    buffer = io.BytesIO()
    draw(found).savefig(buffer, format=path.suffix[1:].lower(), dpi=160)
    try:
        path.write_bytes(buffer.getvalue())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def draw(found: Explanation) -> Figure:
    """The figure."""
    (left, right), (top, bottom) = window(found.x), window(found.y)
    words = [axis_in_words(found.x), axis_in_words(found.y), *notes(found), ROUNDING]
    below, above = 0.5 + 0.2 * len(words), 1.1
    tall = float(np.clip((bottom - top) / (right - left), 0.5, 1.2))
    height = 4.5 * tall + below + above
    figure = figure_of(WIDTH, height)
    span = (height - below - above) / height
    map_axes = figure.add_axes((0.08, below / height, 4.5 / WIDTH, span), label="map")
    pooled_axes = figure.add_axes((0.63, below / height, 0.34, span), label="pooled")
    _draw_map(map_axes, found, (left, right), (top, bottom))
    _draw_pooled(pooled_axes, found)

    def say(inches: float, text: str, size: float, colour: str, weight: str = "normal") -> None:
        y = inches / height if inches > 0 else 1 + inches / height
        figure.text(0.02, y, text, size=size, color=colour, weight=weight)

    say(-0.3, found.heading, min(13, 800 / len(found.heading)), INK, "bold")
    say(-0.52, found.source, 9.5, FAINT)
    for line, text in enumerate(words):
        say(0.2 * (len(words) - line) - 0.05, text, 9.5, INK if line < 2 else FAINT)
    return figure


def _draw_map(
    axes: Axes, found: Explanation, columns: tuple[float, float], rows: tuple[float, float]
) -> None:
    height, width = found.plane.shape
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    if found.photo is not None:
        axes.imshow(found.photo, extent=extent, interpolation="nearest")
    elif found.plane.size:
        shades = np.asarray(found.plane, np.float64) * 1e-3  # the largest double must not overflow
        finite = shades[np.isfinite(shades)]
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
        span = max(high - low, 1e-300)
        axes.imshow(
            shades, extent=extent, interpolation="nearest", cmap="Greys",
            vmin=low - 0.05 * span, vmax=high + 2.2 * span,
        )  # fmt: skip
    axes.set(xlim=columns, ylim=rows[::-1], aspect="equal", facecolor="#f4f4f4")
    axes.tick_params(
        top=True, labeltop=True, bottom=False, labelbottom=False, length=0, labelsize=8,
        colors=FAINT,
    )  # fmt: skip
    for spine in axes.spines.values():
        spine.set_visible(False)
    small = max(columns[1] - columns[0], rows[1] - rows[0]) <= MOST_NUMBERS
    if small:
        _ruled(axes, width, height)
    _draw_bins(axes, found)
    _draw_overlaps(axes, found)
    _draw_corners(axes, found)
    _draw_scaled(axes, found.x, *columns)
    _draw_scaled(axes, found.y, *rows)
    _draw_winners(axes, found, max(0.38, 0.011 * (columns[1] - columns[0])), small)
    shown = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    axes.legend(
        [shown[label] for label in LABELS if label in shown],
        [label for label in LABELS if label in shown],
        loc="upper left", bbox_to_anchor=(0, -0.01), ncols=4, frameon=False, fontsize=8,
        handlelength=1.6, columnspacing=1.2, handletextpad=0.5, borderaxespad=0.2,
    )  # fmt: skip


def _ruled(axes: Axes, width: int, height: int) -> None:
    axes.set_xticks(range(width))
    axes.set_yticks(range(height))
    for x in range(width + 1):
        axes.plot([x - 0.5] * 2, [-0.5, height - 0.5], color="white", lw=1, zorder=1)
    for y in range(height + 1):
        axes.plot([-0.5, width - 0.5], [y - 0.5] * 2, color="white", lw=1, zorder=1)


def _draw_bins(axes: Axes, found: Explanation) -> None:
    overlap = bool((found.shared() > 1).any())
    for i, (top, bottom) in enumerate(found.y.bins):
        for j, (left, right) in enumerate(found.x.bins):
            if top >= bottom or left >= right:
                continue
            colour = bin_colour(i, j, found.values.shape)
            # Where neighbours overlap, frames lie at two depths so that both are seen.
            dx, dy = 0.06 + 0.06 * (j % 2) * overlap, 0.06 + 0.06 * (i % 2) * overlap
            x, y = left - 0.5 + dx, top - 0.5 + dy
            w, h = right - left - 2 * dx, bottom - top - 2 * dy
            alpha = 0.1 if found.photo is not None else 0.22
            axes.add_patch(
                Rectangle((x, y), w, h, color=colour, alpha=alpha, lw=0, zorder=2, gid="fill")
            )
            axes.add_patch(
                Rectangle((x, y), w, h, fill=False, ec=colour, lw=1.8, zorder=4, gid="bin")
            )


def _draw_overlaps(axes: Axes, found: Explanation) -> None:
    """Hatch the strips of pixels that lie in more than one bin."""
    shared = found.shared() > 1
    label: str | None = OVERLAP
    inside = {axis.name: [edge for b in axis.bins if b[0] < b[1] for edge in b]
              for axis in (found.x, found.y)}  # fmt: skip
    for axis, across in ((found.x, inside["y"]), (found.y, inside["x"])):
        if not shared.any() or not across:
            return
        for (begin, end), (next_begin, next_end) in zip(axis.bins, axis.bins[1:], strict=False):
            first, last = max(begin, next_begin), min(end, next_end)
            if first >= last:
                continue
            corner = (first - 0.5, min(across) - 0.5)
            size = (last - first, max(across) - min(across))
            if axis is found.y:
                corner, size = corner[::-1], size[::-1]
            axes.add_patch(
                Rectangle(
                    corner,
                    *size,
                    fill=False,
                    hatch="////",
                    ec="#00000045",
                    lw=0,
                    zorder=3,
                    label=label,
                    gid="overlap",
                )
            )
            label = None


def _draw_corners(axes: Axes, found: Explanation) -> None:
    x0, x1, y0, y1 = (float(v) for v in (*found.x.scaled, *found.y.scaled))
    halo = "white" if found.photo is not None else None
    left, right = found.x.covered
    top, bottom = found.y.covered
    outline = (left - 0.5, top - 0.5), right - left + 1, bottom - top + 1
    for colour, width in ((halo, 4.5), (INK, 2.4)):
        if colour:
            label = ROUNDED if colour == INK else None
            axes.add_patch(
                Rectangle(*outline, fill=False, ec=colour, lw=width, zorder=5, label=label)
            )
    for colour, width in ((halo, 3.0), (INK, 1.4)):
        if colour:
            label = GIVEN if colour == INK else None
            axes.plot(
                [x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=colour, lw=width,
                ls=(0, (4, 2.5)) if colour == INK else "-", zorder=6, label=label,
            )  # fmt: skip


def _draw_scaled(axes: Axes, axis: Axis, low: float, high: float) -> None:
    """Write the scaled corners in the margin, where the dashed lines point."""
    first, last = sorted(float(value) for value in axis.scaled)
    ends = [first, last] if last - first > 0.09 * (high - low) else [last]
    for end in ends:
        if low <= end <= high:
            across = axis.name == "x"
            pad = 17 if across else 9 + 6 * len(str(axis.length))  # beyond the tick labels
            axes.annotate(
                f"{end:.4g}",
                (end, 1) if across else (0, end),
                xycoords=("data", "axes fraction") if across else ("axes fraction", "data"),
                xytext=(0, pad) if across else (-pad, 0),
                textcoords="offset points",
                ha="center" if across else "right",
                va="bottom" if across else "center",
                size=8, weight="bold", color=INK, gid="scaled",
            )  # fmt: skip


def _draw_winners(axes: Axes, found: Explanation, radius: float, numbers: bool) -> None:
    halo = [withStroke(linewidth=2.5, foreground="#ffffffc0")]
    bins_of: dict[tuple[int, int], list[str]] = {}
    for i, j in np.ndindex(*found.values.shape):
        y, x = (int(v) for v in found.winners[i, j])
        if y >= 0:
            colour = bin_colour(i, j, found.values.shape)
            bins_of.setdefault((y, x), []).append(colour)
    for (y, x), colours in bins_of.items():
        axes.add_patch(Wedge((x, y), radius * 1.15, 0, 360, color="white", lw=0, zorder=7))
        angle = 360 / len(colours)
        for k, colour in enumerate(colours):  # one pixel may win in several bins
            sector = (90 + k * angle, 90 + (k + 1) * angle)
            axes.add_patch(
                Wedge((x, y), radius, *sector, color=colour, lw=0, zorder=8, gid="winner")
            )
    if bins_of:
        axes.plot([], [], "o", ms=7, color=FAINT, label=WINNER)
    if not numbers:
        return
    for (y, x), value in np.ndenumerate(found.plane):
        colours = bins_of.get((y, x), [])
        ink = ink_on(colours[0]) if colours else INK
        text = number(value)
        axes.text(
            x, y, text, ha="center", va="center", size=9 if len(text) < 4 else 7, color=ink,
            weight="bold" if colours else "normal", zorder=9, clip_on=True,
            path_effects=[] if colours else halo,
        )  # fmt: skip


def _draw_pooled(axes: Axes, found: Explanation) -> None:
    rows, columns = found.values.shape
    longest = max(len(number(value)) for value in found.values.flat)
    cell = 0.34 * WIDTH * 72 / max(rows, columns)  # points
    size = max(3.0, min(24, 0.42 * cell, 0.86 * cell / (0.75 * longest)))
    for (i, j), value in np.ndenumerate(found.values):
        empty = found.winners[i, j, 0] < 0
        colour = "#e4e4e4" if empty else bin_colour(i, j, (rows, columns))
        axes.add_patch(Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, color=colour, lw=0))
        axes.text(
            j, i, number(value), ha="center", va="center", size=size, weight="bold",
            color=FAINT if empty else ink_on(colour),
        )  # fmt: skip
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal")
    axes.set_title(f"pooled to {rows} × {columns}", size=10, color=FAINT, pad=6)
    axes.set_axis_off()
