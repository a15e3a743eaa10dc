"""Drawn on the map: a region as it lies, its bins, their samples, and what each pixel weighs."""

import math

import numpy as np

from roipool.command.explanations.weighed import Weighed
from roipool.command.features import InputError, needs
from roipool.command.palette import FAINT, INK, bin_colour
from roipool.command.picture_map import (
    HALO,
    draw_outlines,
    draw_pixels,
    few,
    fitting,
    room,
    sides,
    stretch,
)
from roipool.command.words import number

try:
    from matplotlib.axes import Axes
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Polygon, Rectangle
except ImportError:
    raise InputError(needs("matplotlib", "pictures")) from None

LABELS = SAMPLE, LARGEST, NOTHING, WEIGHT = (
    "a sample", "a bin's largest", "counts as 0", "tinted by weight"
)  # fmt: skip
STRONGEST, STRONGEST_OF_MANY = 0.75, 0.4  # tints
WIDE = 30  # points of a pixel with room for what it weighs


def draw_weights(
    axes: Axes, found: Weighed, across: range, down: range, numbers: bool = True
) -> None:
    """Everything but the map, values of pixels too where there is room for them."""
    close = few(across, down)
    if close and numbers and found.x.bins:
        _draw_parts(axes, found)
    else:
        _draw_mixed(axes, found, across, down, STRONGEST if close else STRONGEST_OF_MANY)
    if close and numbers:
        _draw_values(axes, found, across, down)
    _draw_bins(axes, found)
    draw_outlines(axes, found)
    _draw_dots(axes, found, 0.25 * room(axes, across, down) if close else 0)
    if any(found.shown()):
        axes.plot([], [], "s", ms=8, color="#00000060", label=WEIGHT)


def _draw_parts(axes: Axes, found: Weighed) -> None:
    """Tint each pixel by its weight; of one that several bins read each has its own part."""
    read = [(bin, list(found.weights_of(*bin))) for bin in found.shown()]
    heaviest = max((weight for _, pixels in read for _, _, weight in pixels), default=1)
    for bin, pixels in read:
        for y, x, weight in pixels:
            left, top, w, h = found.part(*bin, y, x)
            axes.add_patch(
                Rectangle(
                    (x - 0.5 + left, y - 0.5 + top), w, h, lw=0, zorder=2, gid="weight",
                    color=bin_colour(*bin, found.values.shape),
                    alpha=STRONGEST * weight / heaviest,
                )
            )  # fmt: skip


def _draw_values(axes: Axes, found: Weighed, across: range, down: range) -> None:
    """Each pixel's value in its corner, a cross at its centre, and what it weighs in one bin."""
    points = room(axes, across, down)
    for y in down:
        for x in across:
            axes.plot([x], [y], "+", ms=5, mew=0.8, color="#00000080", zorder=3)
            text = number(found.plane[y, x])
            axes.text(
                x - 0.44, y - 0.42, text, ha="left", va="top",
                size=min(8 if len(text) < 4 else 6.5, 0.35 * points),
                color=INK, zorder=9, clip_on=True, path_effects=HALO,
            )  # fmt: skip
    if found.asked is None or points < WIDE:
        return
    for y, x, weight in found.weights_of(*found.asked):
        axes.text(
            x + 0.44, y + 0.42, f"× {weight:.3g}", ha="right", va="bottom", size=6.5, color=INK,
            weight="bold", zorder=9, clip_on=True, path_effects=HALO, gid="times",
        )  # fmt: skip


def _draw_mixed(axes: Axes, found: Weighed, across: range, down: range, strongest: float) -> None:
    """Tint each pixel by its weight, in the mixed colours of the bins that read it."""
    rows, columns = (range(s.start, s.stop, s.step) for s in stretch(across, down))
    shape = found.values.shape
    shown = np.zeros(shape)
    colours = np.zeros((*shape, 3))
    for i, j in np.ndindex(*shape):
        shown[i, j], colours[i, j] = found.shows(i, j), to_rgb(bin_colour(i, j, shape))
    total = found.spread(shown, rows, columns)
    if not total.any():
        return
    tint = np.zeros((*total.shape, 4))
    for k in range(3):
        mixed = found.spread(colours[..., k] * shown, rows, columns)
        np.divide(mixed, total, out=tint[..., k], where=total > 0)
    tint[..., 3] = strongest * total / total.max()
    draw_pixels(axes, tint.clip(0, 1), across, down, zorder=2)


def _draw_bins(axes: Axes, found: Weighed) -> None:
    width = fitting(axes, 1.8)
    for i, j in np.ndindex(*found.values.shape):
        frame = found.frame(i, j) if found.shows(i, j) else None
        if frame is not None:
            axes.add_patch(
                Polygon(
                    _inside(frame), fill=False, lw=width, zorder=4, gid="bin",
                    ec=bin_colour(i, j, found.values.shape),
                )
            )  # fmt: skip


def _inside(corners: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Corners drawn in a little, so that frames side by side are both seen."""
    found = np.array(corners)
    for a, b in ((0, 1), (3, 2), (0, 3), (1, 2)):
        side = found[b] - found[a]
        length = math.hypot(*side)
        if length > 0.2:
            step = 0.03 * side / length
            found[a] += step
            found[b] -= step
    return found


def _draw_dots(axes: Axes, found: Weighed, size: float) -> None:
    """Samples as large as that, or as so many may be."""
    points = {bin: found.samples(*bin) for bin in np.ndindex(*found.values.shape)}
    points = {(i, j): each for (i, j), each in points.items() if found.shows(i, j)}
    count = sum(map(len, points.values()))
    size = size or 0.12 * math.sqrt(math.prod(sides(axes)) / max(count, 1))
    size = min(5, max(2, size))
    nothing: list[tuple[float, float]] = []
    for (i, j), each in points.items():
        colour = bin_colour(i, j, found.values.shape)
        counted = [point for point in each if found.counts(*point)]
        nothing += [point for point in each if not found.counts(*point)]
        axes.plot(
            *np.reshape(counted, (-1, 2)).T, "o", ms=size, mec="white", mew=0.16 * size, zorder=8,
            color=colour, gid="samples",
        )  # fmt: skip
        largest = found.winning(i, j)
        if largest is not None:
            axes.plot(
                *np.reshape(largest, (2, 1)), "o", ms=max(2.4 * size, fitting(axes, 9)),
                mec="white", mew=fitting(axes, 1.5), zorder=8.5, color=colour, gid="winner",
            )  # fmt: skip
            axes.plot([], [], "o", ms=9, color=FAINT, label=LARGEST)
    if count:
        axes.plot([], [], "o", ms=5, color=FAINT, label=SAMPLE)
    if nothing:
        axes.plot(
            *np.reshape(nothing, (-1, 2)).T, "o", ms=size, mfc="none", mec=FAINT, zorder=8,
            label=NOTHING, gid="nothing",
        )  # fmt: skip
