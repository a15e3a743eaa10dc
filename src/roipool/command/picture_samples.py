"""Drawn on the map: a region as it lies, its bins, their samples, and what each pixel weighs."""

import numpy as np

from roipool.command.explanation import number
from roipool.command.features import InputError, needs
from roipool.command.palette import FAINT, INK, bin_colour
from roipool.command.picture_map import HALO, draw_pixels, few, stretch
from roipool.command.samples import Samples

try:
    from matplotlib.axes import Axes
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke
except ImportError:
    raise InputError(needs("matplotlib", "pictures")) from None

LABELS = REGION, SAMPLE, NOTHING, WEIGHT = (
    "not rounded", "a sample", "counts as 0", "the darker, the more it weighs"
)  # fmt: skip
STRONGEST, STRONGEST_OF_MANY = 0.75, 0.4  # tints


def draw_samples(axes: Axes, found: Samples, across: range, down: range) -> None:
    """Everything but the map."""
    if few(across, down):
        _draw_parts(axes, found)
        _draw_values(axes, found, across, down)
    else:
        _draw_weights(axes, found, across, down)
    _draw_bins(axes, found)
    _draw_dots(axes, found, 5 if few(across, down) else 2)
    if any(found.shown()):
        axes.plot([], [], "s", ms=8, color="#00000060", label=WEIGHT)


def _draw_parts(axes: Axes, found: Samples) -> None:
    """Tint each pixel by its weight; of one that several bins read each has its own part."""
    heaviest = max(
        (max(found.y.weights[i].values()) * max(found.x.weights[j].values()))
        for i, j in found.shown()
    ) if any(found.shown()) else 1  # fmt: skip
    for i, j in found.shown():
        colour = bin_colour(i, j, found.values.shape)
        for y, of_row in found.y.weights[i].items():
            for x, of_column in found.x.weights[j].items():
                top, h = _part(found.y.bins_of(y), i, found.asked and found.asked[0])
                left, w = _part(found.x.bins_of(x), j, found.asked and found.asked[1])
                axes.add_patch(
                    Rectangle(
                        (x - 0.5 + left, y - 0.5 + top), w, h, color=colour, lw=0, zorder=2,
                        alpha=STRONGEST * of_row * of_column / heaviest, gid="weight",
                    )
                )  # fmt: skip


def _part(bins: list[int], p: int, asked: int | None) -> tuple[float, float]:
    """Which part of a pixel is that of one of the bins that read it."""
    return (bins.index(p) / len(bins), 1 / len(bins)) if asked is None else (0.0, 1.0)


def _draw_values(axes: Axes, found: Samples, across: range, down: range) -> None:
    """Each pixel's value in its corner, a cross at its centre, and what it weighs in one bin."""
    for y in down:
        for x in across:
            axes.plot([x], [y], "+", ms=5, mew=0.8, color="#00000080", zorder=3)
            text = number(found.plane[y, x])
            axes.text(
                x - 0.44, y - 0.42, text, ha="left", va="top", size=8 if len(text) < 4 else 6.5,
                color=INK, zorder=9, clip_on=True, path_effects=HALO,
            )  # fmt: skip
    if found.asked is None:
        return
    i, j = found.asked
    for y, of_row in found.y.weights[i].items():
        for x, of_column in found.x.weights[j].items():
            axes.text(
                x + 0.44, y + 0.42, f"× {of_row * of_column:.3g}", ha="right", va="bottom",
                size=6.5, color=INK, weight="bold", zorder=9, clip_on=True, path_effects=HALO,
                gid="times",
            )  # fmt: skip


def _draw_weights(axes: Axes, found: Samples, across: range, down: range) -> None:
    """Tint each pixel by its weight, in the mixed colours of the bins that read it."""
    rows, columns = stretch(across, down)
    shape = found.values.shape
    shown = np.array([[found.shows(i, j) for j in range(shape[1])] for i in range(shape[0])])
    of_rows = found.weights(found.y, down)[:, :: rows.step]
    of_columns = found.weights(found.x, across)[:, :: columns.step]
    total = of_rows.T @ shown @ of_columns
    if not total.any():
        return
    colours = np.array(
        [[to_rgb(bin_colour(i, j, shape)) for j in range(shape[1])] for i in range(shape[0])]
    )
    tint = np.zeros((*total.shape, 4))
    for k in range(3):
        mixed = of_rows.T @ (colours[..., k] * shown) @ of_columns
        np.divide(mixed, total, out=tint[..., k], where=total > 0)
    tint[..., 3] = STRONGEST_OF_MANY * total / total.max()
    draw_pixels(axes, tint.clip(0, 1), across, down, zorder=2)


def _draw_bins(axes: Axes, found: Samples) -> None:
    halo = [withStroke(linewidth=4.5, foreground="white")] if found.photo is not None else []
    (left, right), (top, bottom) = found.x.ends, found.y.ends
    w, h = found.x.size, found.y.size
    dx, dy = (0.03 * np.sign(side) if abs(side) > 0.2 else 0 for side in (w, h))
    for i, j in np.ndindex(*found.values.shape):
        if found.shows(i, j):
            axes.add_patch(
                Rectangle(
                    (left + j * w + dx, top + i * h + dy), w - 2 * dx, h - 2 * dy, fill=False,
                    lw=1.8, zorder=4, gid="bin", ec=bin_colour(i, j, found.values.shape),
                )
            )  # fmt: skip
    axes.add_patch(
        Rectangle(
            (left, top), right - left, bottom - top, fill=False, ec=INK, lw=2.4, zorder=5,
            label=REGION, path_effects=halo, gid="region",
        )
    )  # fmt: skip


def _draw_dots(axes: Axes, found: Samples, size: float) -> None:
    nothing: list[tuple[float, float]] = []
    for i, j in np.ndindex(*found.values.shape):
        if not found.shows(i, j):
            continue
        points = [(x, y) for y in found.y.drawn[i] for x in found.x.drawn[j]]
        counts = [-1 <= x <= found.x.length and -1 <= y <= found.y.length for x, y in points]
        nothing += [point for point, counted in zip(points, counts, strict=True) if not counted]
        points = [point for point, counted in zip(points, counts, strict=True) if counted]
        axes.plot(
            *np.reshape(points, (-1, 2)).T, "o", ms=size, mec="white", mew=0.16 * size, zorder=8,
            color=bin_colour(i, j, found.values.shape), gid="samples",
        )  # fmt: skip
    axes.plot([], [], "o", ms=5, color=FAINT, label=SAMPLE)
    if nothing:
        axes.plot(
            *np.reshape(nothing, (-1, 2)).T, "o", ms=size, mfc="none", mec=FAINT, zorder=8,
            label=NOTHING, gid="nothing",
        )  # fmt: skip
