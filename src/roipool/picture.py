"""The picture of one region, by matplotlib: map and bins beside the pooled values."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from roipool.explain import ROUNDING, Axis, Explanation, axis_in_words, notes, number, window
from roipool.features import BadInput, needs

# Told apart by colour-blind eyes (after Okabe and Ito, darkened to carry white text).
BIN_COLOURS = ("#0072B2", "#D55E00", "#00875F", "#A3338B", "#E69F00", "#56B4E9")
INK, FAINT = "#1a1a1a", "#777777"
MOST_NUMBERS = 16  # pixels along a side whose numbers can be read


def bin_colour(i: int, j: int, columns: int) -> str:
    """Bins that touch have different colours; up to six are all different."""
    index = i * columns + j if columns <= 2 else 2 * i + j
    return BIN_COLOURS[index % len(BIN_COLOURS)]


def save_picture(found: Explanation, path: Path) -> None:
    """Draw and write the picture; the name's ending chooses the format."""
    if not path.resolve().parent.is_dir():
        raise BadInput(f"there is no folder {path.parent} to write {path.name} in; make it")
    if path.is_dir() or path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise BadInput(f"{path} is no name for a picture; expected .png, .svg or .pdf")
    buffer = io.BytesIO()
    draw(found).savefig(buffer, format=path.suffix[1:].lower(), dpi=160)
    try:
        path.write_bytes(buffer.getvalue())
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from None


def draw(found: Explanation) -> Any:
    """The figure."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise BadInput(needs("matplotlib", "pictures")) from None
    (left, right), (top, bottom) = window(found.x), window(found.y)
    tall = np.clip((bottom - top) / (right - left), 0.55, 1.35)
    height = 4.4 * tall + 1.75
    figure = Figure(figsize=(9.2, height), facecolor="white")
    inch = 1 / height
    low, high = 1.2 * inch, 1 - 0.75 * inch
    map_axes = figure.add_axes((0.045, low, 0.5, high - low), label="map")
    pooled_axes = figure.add_axes((0.62, low, 0.345, high - low), label="pooled")
    _draw_map(map_axes, found, (left, right), (top, bottom))
    _draw_pooled(pooled_axes, found)
    figure.text(0.02, 1 - 0.3 * inch, found.title, size=13, weight="bold", color=INK)
    words = [axis_in_words(found.x), axis_in_words(found.y), *notes(found), ROUNDING]
    for line, text in enumerate(words):
        y = (0.72 - 0.2 * line) * inch
        figure.text(0.02, y, text, size=9.5, color=INK if line < 2 else FAINT)
    return figure


def _draw_map(
    axes: Any, found: Explanation, columns: tuple[float, float], rows: tuple[float, float]
) -> None:
    height, width = found.plane.shape
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    if found.photo is not None:
        axes.imshow(found.photo, extent=extent, interpolation="nearest")
    elif found.plane.size:
        shades = np.asarray(found.plane, np.float64)
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
    _draw_winners(axes, found, max(0.38, 0.011 * (columns[1] - columns[0])), small)
    axes.legend(
        loc="upper left", bbox_to_anchor=(0, -0.01), ncols=4, frameon=False, fontsize=8,
        handlelength=1.6, columnspacing=1.2, handletextpad=0.5, borderaxespad=0.2,
    )  # fmt: skip


def _ruled(axes: Any, width: int, height: int) -> None:
    axes.set_xticks(range(width))
    axes.set_yticks(range(height))
    lines = {"color": "white", "lw": 1, "zorder": 1}
    axes.vlines(np.arange(width + 1) - 0.5, -0.5, height - 0.5, **lines)
    axes.hlines(np.arange(height + 1) - 0.5, -0.5, width - 0.5, **lines)


def _draw_bins(axes: Any, found: Explanation) -> None:
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    count = len(found.x.bins)
    for i, (top, bottom) in enumerate(found.y.bins):
        for j, (left, right) in enumerate(found.x.bins):
            if top >= bottom or left >= right:
                continue
            colour = bin_colour(i, j, count)
            # Frames of neighbours lie at two depths, so that both are seen where they overlap.
            x, y = left - 0.5 + 0.05 + 0.06 * (j % 2), top - 0.5 + 0.05 + 0.06 * (i % 2)
            w, h = right - left - 0.1 - 0.12 * (j % 2), bottom - top - 0.1 - 0.12 * (i % 2)
            alpha = 0.1 if found.photo is not None else 0.22
            axes.add_patch(
                Rectangle((x, y), w, h, color=colour, alpha=alpha, lw=0, zorder=2, gid="fill")
            )
            axes.add_patch(
                Rectangle((x, y), w, h, fill=False, ec=colour, lw=1.8, zorder=4, gid="bin")
            )


def _draw_overlaps(axes: Any, found: Explanation) -> None:
    """Hatch the strips of pixels that lie in more than one bin."""
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    shared = found.shared() > 1
    label: str | None = "in several bins"
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
                    corner, *size, fill=False, hatch="////", ec="#00000045", lw=0, zorder=3,
                    label=label, gid="overlap",
                )  # fmt: skip
            )
            label = None


def _draw_corners(axes: Any, found: Explanation) -> None:
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    x0, x1, y0, y1 = (float(v) for v in (*found.x.scaled, *found.y.scaled))
    halo = "white" if found.photo is not None else None
    left, right = found.x.covered
    top, bottom = found.y.covered
    outline = (left - 0.5, top - 0.5), right - left + 1, bottom - top + 1
    for colour, width in ((halo, 4.5), (INK, 2.4)):
        if colour:
            label = "region as rounded" if colour == INK else None
            axes.add_patch(
                Rectangle(*outline, fill=False, ec=colour, lw=width, zorder=5, label=label)
            )
    for colour, width in ((halo, 3.0), (INK, 1.4)):
        if colour:
            label = "as given, scaled" if colour == INK else None
            axes.plot(
                [x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=colour, lw=width,
                ls=(0, (4, 2.5)) if colour == INK else "-", zorder=6, label=label,
            )  # fmt: skip


def _draw_winners(axes: Any, found: Explanation, radius: float, numbers: bool) -> None:
    from matplotlib.patches import Wedge  # noqa: PLC0415

    bins_of: dict[tuple[int, int], list[str]] = {}
    for i, j in np.ndindex(*found.values.shape):
        y, x = (int(v) for v in found.winners[i, j])
        if y >= 0:
            colour = bin_colour(i, j, found.values.shape[1])
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
        axes.plot([], [], "o", ms=7, color=FAINT, label="a bin's maximum")
    if not numbers:
        return
    for (y, x), value in np.ndenumerate(found.plane):
        colours = bins_of.get((y, x), [])
        ink = _ink_on(colours[0]) if colours else INK
        text = number(value)
        axes.text(
            x, y, text, ha="center", va="center", size=9 if len(text) < 4 else 7, color=ink,
            weight="bold" if colours else "normal", zorder=9, clip_on=True,
        )  # fmt: skip


def _draw_pooled(axes: Any, found: Explanation) -> None:
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    rows, columns = found.values.shape
    size = float(np.clip(110 / max(rows, columns) / 2.6, 4, 24))
    for (i, j), value in np.ndenumerate(found.values):
        empty = found.winners[i, j, 0] < 0
        colour = "#e4e4e4" if empty else bin_colour(i, j, columns)
        axes.add_patch(Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, color=colour, lw=0))
        axes.text(
            j, i, number(value), ha="center", va="center", size=size, weight="bold",
            color=FAINT if empty else _ink_on(colour),
        )  # fmt: skip
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal")
    axes.set_title(f"pooled to {rows} × {columns}", size=10, color=FAINT, pad=6)
    axes.set_axis_off()


def _ink_on(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 150 else INK
