"""Drawn on the map: a region as rounded, its bins, and the largest pixel of each."""

from itertools import pairwise

import numpy as np

from roipool.command.explanations.winners import Winners
from roipool.command.features import InputError, needs
from roipool.command.palette import FAINT, bin_colour
from roipool.command.picture_map import draw_numbers, draw_outlines, few

try:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle, Wedge
except ImportError:
    raise InputError(needs("matplotlib", "pictures")) from None

LABELS = WINNER, OVERLAP = "a bin's maximum", "in several bins"


def draw_winners(
    axes: Axes, found: Winners, across: range, down: range, numbers: bool = True
) -> None:
    """Everything but the map, values of pixels too where there is room for them."""
    _draw_bins(axes, found)
    if found.asked is None:
        _draw_overlaps(axes, found)
    draw_outlines(axes, found)
    bins_of = _draw_marks(axes, found, max(0.38, 0.011 * len(across)))
    if numbers and few(across, down):
        draw_numbers(axes, found, across, down, bins_of)


def _draw_bins(axes: Axes, found: Winners) -> None:
    for i, j in found.shown():
        (top, bottom), (left, right) = found.y.bins[i], found.x.bins[j]
        colour = bin_colour(i, j, found.values.shape)
        # Where neighbours overlap, frames lie at two depths so that both are seen.
        dx, dy = (0.06 + 0.06 * (p % 2) * found.overlaps for p in (j, i))
        corner, w, h = (
            (left - 0.5 + dx, top - 0.5 + dy),
            right - left - 2 * dx,
            bottom - top - 2 * dy,
        )
        alpha = 0.1 if found.photo is not None else 0.22
        axes.add_patch(
            Rectangle(corner, w, h, color=colour, alpha=alpha, lw=0, zorder=2, gid="fill")
        )
        axes.add_patch(Rectangle(corner, w, h, fill=False, ec=colour, lw=1.8, zorder=4, gid="bin"))


def _draw_overlaps(axes: Axes, found: Winners) -> None:
    """Hatch the strips of pixels that lie in more than one bin."""
    label: str | None = OVERLAP
    for axis, other in ((found.x, found.y), (found.y, found.x)):
        if not other.is_read:
            return
        edges = [edge for begin, end in other.bins if begin < end for edge in (begin, end)]
        for (begin, end), (next_begin, next_end) in pairwise(axis.bins):
            first, last = max(begin, next_begin), min(end, next_end)
            if first >= last:
                continue
            corner, size = (first - 0.5, min(edges) - 0.5), (last - first, max(edges) - min(edges))
            if axis is found.y:
                corner, size = corner[::-1], size[::-1]
            axes.add_patch(
                Rectangle(
                    corner, *size, fill=False, hatch="////", ec="#00000045", lw=0, zorder=3,
                    label=label, gid="overlap",
                )
            )  # fmt: skip
            label = None


def _draw_marks(axes: Axes, found: Winners, radius: float) -> dict[tuple[int, int], str]:
    """Mark the winners; from each to the colour of its mark."""
    bins_of: dict[tuple[int, int], list[str]] = {}
    for i, j in np.ndindex(*found.values.shape):
        y, x = (int(v) for v in found.winners[i, j])
        if y >= 0 and found.shows(i, j):
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
    return {pixel: colours[0] for pixel, colours in bins_of.items()}
