"""One region of one photograph by every operator, side by side: what each reads, what it gives.

    make gallery                                   from the root of the repository
    make gallery ARGS="--output build/gallery.png" other options: ARGS=--help

What is drawn is what `roipool explain` draws of any map and region.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from roipool.command.demo import PHOTO, shipped_photo
from roipool.command.explain import explain
from roipool.command.explanation import Explanation
from roipool.command.features import Features, read_features
from roipool.command.operators import choose
from roipool.command.palette import FAINT, INK, bin_colour
from roipool.command.picture import draw_region, figure_of

STRIDE = 12  # pixels of the photograph that become one of the map
SIZE = (3, 3)
BOX = PHOTO["face"]
ANGLE = 0.35
CELL = (3.3, 5.5)  # inches
HEADER = 2.75
ALIKE = 60.0  # steps of brightness, still rather alike
MARGIN = 1.5  # pixels of the map around the region
LIGHT = 0.2  # how much lighter than the photograph the map is drawn, beneath colours

Span = tuple[float, float]


class Shown(NamedTuple):
    """An operator as the gallery has it.

    Attributes:
        name: Of its description.
        words: What it does.
        options: Beside its defaults.
    """

    name: str
    words: str
    options: Mapping[str, Any] = {}


FEW = {"sampling_ratio": 2}
SHOWN = (
    Shown("roi_pool", "Rounds the region to whole pixels. In each bin the largest pixel wins."),
    Shown("roi_align", "Rounds nothing. A bin is the mean of samples between pixels.", FEW),
    Shown("prroi_pool", "No samples: a bin is the exact mean of the map in it, as interpolated."),
    Shown("crop_and_resize", "One sample a bin, corner to corner. What lies between is unread."),
    Shown("roi_align_rotated", "roi_align's samples, in a box turned as an object may be.", FEW),
    Shown("roi_pool_avg", "The same pixels, averaged. Where bins overlap they count twice."),
    Shown("roi_align_max", "The same samples. In each bin the largest wins.", FEW),
    Shown("roi_align_onnx_max", "The largest pixel beside a sample, times its weight there.", FEW),
    Shown("ps_roi_pool", "Each bin has a map of its own, and is the mean of whole pixels there."),
    Shown("ps_roi_align", "Each bin has a map of its own, and is the mean of samples there.", FEW),
)
ACROSS = 5


def main(
    output: Annotated[Path, typer.Option(help="The picture to write.")] = Path("docs/gallery.png"),
) -> None:
    """Draw one region of one photograph by every operator."""
    photo = read_features([shipped_photo()]).maps[0]
    coarse = _shrunk(photo)
    plain = Features(coarse.mean(axis=0)[None, None], "the photograph", ())
    for_bins = Features(_likeness(coarse)[None], "its likeness to parts of the region", ())
    found = [_explained(shown, plain, for_bins) for shown in SHOWN]
    figure = _figure(photo.transpose(1, 2, 0), plain.maps[0, 0], found)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=120)
    print(f"wrote {output}")


def _shrunk(photo: np.ndarray) -> np.ndarray:
    """Blocks of pixels averaged, (3, H, W): as coarse as a network's feature maps are."""
    height, width = (side // STRIDE for side in photo.shape[1:])
    whole = photo[:, : height * STRIDE, : width * STRIDE]
    blocks = whole.reshape(len(photo), height, STRIDE, width, STRIDE)
    return blocks.mean(axis=(2, 4)).astype(np.float32)


def _likeness(map_: np.ndarray) -> np.ndarray:
    """A map for each bin: how much the surroundings of each pixel look like those of the bin's
    middle, which is what a detector learns such maps to say.
    """
    around = np.pad(map_, ((0, 0), (1, 1), (1, 1)), mode="edge")
    seen = np.lib.stride_tricks.sliding_window_view(around, (3, 3), axis=(1, 2))
    x1, y1, x2, y2 = (c / STRIDE - 0.5 for c in BOX)
    planes = []
    for i, j in np.ndindex(*SIZE):
        y = round(y1 + (i + 0.5) * (y2 - y1) / SIZE[0])
        x = round(x1 + (j + 0.5) * (x2 - x1) / SIZE[1])
        apart = np.sqrt(np.mean((seen - seen[:, y : y + 1, x : x + 1]) ** 2, axis=(0, 3, 4)))
        planes.append(255 * np.exp(-apart / ALIKE))
    return np.stack(planes).astype(np.float32)


def _explained(shown: Shown, plain: Features, for_bins: Features) -> Explanation:
    chosen = choose(shown.name, shown.options)
    rows = chosen.operator.rows
    x1, y1, x2, y2 = BOX
    numbers: dict[str, float] = dict(zip(("x1", "y1", "x2", "y2"), BOX, strict=True))
    numbers |= {"center x": (x1 + x2) / 2, "width": x2 - x1}
    numbers |= {"center y": (y1 + y2) / 2, "height": y2 - y1, "angle": ANGLE}
    if not rows.scaled:  # in parts of the map, from the first pixel's centre to the last one's
        last = plain.maps.shape[-1] - 1
        numbers = {name: (number / STRIDE - 0.5) / last for name, number in numbers.items()}
    row = (0, *(numbers[name] for name in rows.columns))
    features = for_bins if chosen.operator.position_sensitive else plain
    return explain(features, row, SIZE, 1 / STRIDE if rows.scaled else 1.0, 0, chosen)


def _figure(photo: np.ndarray, map_: np.ndarray, found: list[Explanation]) -> Figure:
    down = -(-len(found) // ACROSS)
    width, height = CELL[0] * ACROSS, CELL[1] * down + HEADER
    figure = figure_of(width, height)
    _draw_header(figure, photo, map_)
    columns, rows = (
        (
            min(getattr(each, name).covered[0] for each in found) - MARGIN,
            max(getattr(each, name).covered[1] for each in found) + MARGIN,
        )
        for name in "xy"
    )
    for k, (shown, each) in enumerate(zip(SHOWN, found, strict=True)):
        corner = CELL[0] * (k % ACROSS), HEADER + CELL[1] * (k // ACROSS)
        _draw_cell(figure, corner, shown, each, columns, rows)
    return figure


def _axes(figure: Figure, x: float, y: float, width: float, height: float) -> Axes:
    """Axes without ticks, in inches from the top left."""
    across, down = figure.get_size_inches()
    axes = figure.add_axes((x / across, 1 - (y + height) / down, width / across, height / down))
    axes.set(xticks=[], yticks=[])
    return axes


def _say(figure: Figure, x: float, y: float, text: str, size: float, **how: Any) -> None:
    across, down = figure.get_size_inches()
    how = {"color": INK, "va": "top", "linespacing": 1.3, **how}
    figure.text(x / across, 1 - y / down, text, size=size, **how)


def _draw_header(figure: Figure, photo: np.ndarray, map_: np.ndarray) -> None:
    for k, (picture, scale) in enumerate(((photo, 1), (_pale(map_), STRIDE))):
        axes = _axes(figure, 0.15 + 2.45 * k, 0.2, 2.3, 2.3)
        axes.imshow(picture, interpolation="nearest")
        x1, y1, x2, y2 = (corner / scale - 0.5 for corner in BOX)
        halo = [withStroke(linewidth=4, foreground="white")]
        outline = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=INK, lw=2, path_effects=halo)
        axes.add_patch(outline)
    _say(figure, 5.2, 0.2, "One region of one photograph, by every operator", 22, weight="bold")
    text = (
        f"The region is pooled from a map {STRIDE} times as coarse as the photograph, as a "
        f"network's are, into {SIZE[0]}\u00a0×\u00a0{SIZE[1]} bins. Each bin has a colour, and so "
        "has what it reads of the map. Below each map: what comes out, in the map's own greys. "
        "Position-sensitive operators (ps) have a map for each bin: here how much the photograph "
        "looks like that part of the face."
    )
    _say(figure, 5.2, 0.72, "\n".join(textwrap.wrap(text, 98)), 13)
    handles = [
        Patch(fill=False, ec=INK, lw=2.4, label="the region, as it is read"),
        Line2D([], [], color=INK, lw=1.4, ls=(0, (4, 2.5)), label="before it was rounded"),
        Patch(color=bin_colour(0, 0, SIZE), alpha=0.6, label="the stronger, the more it weighs"),
        Patch(fill=False, ec="#00000060", lw=0, hatch="////", label="in several bins"),
        Line2D([], [], ls="", marker="o", ms=5, color=FAINT, label="a sample"),
        Line2D([], [], ls="", marker="o", ms=11, color=FAINT, label="the largest of a bin"),
    ]
    axes = _axes(figure, 5.1, 1.95, 11, 0.6)
    axes.set_axis_off()
    axes.legend(handles=handles, loc="upper left", ncols=3, frameon=False, fontsize=12)


def _draw_cell(
    figure: Figure,
    corner: tuple[float, float],
    shown: Shown,
    found: Explanation,
    columns: Span,
    rows: Span,
) -> None:
    x, y = corner[0] + 0.15, corner[1]
    width, tall = CELL[0] - 0.3, 3.4
    operator = choose(shown.name, shown.options).operator
    arguments = {**operator.fixed, **shown.options}
    said = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    _say(figure, x, y, operator.function or operator.name, 17, weight="bold")
    _say(figure, x, y + 0.32, said.replace("'", '"'), 11, color=FAINT, family="monospace")
    parts = found.parts()
    across = 1 if len(parts) == 1 else SIZE[1]
    down = len(parts) // across
    for k, part in enumerate(parts):
        step = width / across, tall / down
        gap = 0.05 if across > 1 else 0.0
        left, top = x + step[0] * (k % across), y + 0.6 + step[1] * (k // across)
        axes = _axes(figure, left, top, step[0] - gap, step[1] - gap)
        draw_region(axes, replace(part, photo=_pale(part.plane)), columns, rows, numbers=False)
        axes.set(xticks=[], yticks=[], anchor="NW")
    _draw_pooled(_axes(figure, x, y + tall + 0.7, 1.15, 1.15), found)
    words = "\n".join(textwrap.wrap(shown.words, 20))
    _say(figure, x + 1.25, y + tall + 0.68, words, 12)


def _pale(map_: np.ndarray) -> np.ndarray:
    grey = 255 * LIGHT + (1 - LIGHT) * map_.clip(0, 255)
    return np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8)


def _draw_pooled(axes: Axes, found: Explanation) -> None:
    axes.imshow(found.values, cmap="Greys_r", vmin=0, vmax=255)
    for i, j in np.ndindex(*SIZE):
        axes.add_patch(
            Rectangle((j - 0.45, i - 0.45), 0.9, 0.9, fill=False, lw=2, ec=bin_colour(i, j, SIZE))
        )
    axes.set_axis_off()


if __name__ == "__main__":
    typer.run(main)
