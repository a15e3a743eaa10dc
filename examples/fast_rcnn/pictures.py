"""The curve of the losses, and detections beside the truth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from examples.fast_rcnn.boxes import iou
from examples.fast_rcnn.evaluation import MATCHES, Detections
from examples.fast_rcnn.scenes import Scene

SHOWN = 0.7  # score of a detection in the picture, at least
# Told apart by colour-blind eyes (after Okabe and Ito).
TRUTH, RIGHT, WRONG = "white", "#56B4E9", "#E69F00"
CLASSES, BOXES, INK, FAINT = "#0072B2", "#D55E00", "#1a1a1a", "#777777"


def draw_losses(losses: np.ndarray, names: Sequence[str], path: Path) -> None:
    """One or two losses (steps, n) by name, each step and a moving mean."""
    figure = Figure(figsize=(7, 3.4), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    window = max(len(losses) // 40, 1)
    steps = np.arange(1, len(losses) + 1)
    for loss, name, colour in zip(losses.T, names, (CLASSES, BOXES), strict=False):
        mean = np.convolve(loss, np.full(window, 1 / window), "valid")
        axes.plot(steps, loss, color=colour, alpha=0.15, lw=0.6)
        axes.plot(steps[window - 1 :], mean, color=colour, lw=2)
        axes.annotate(
            f"{name} {mean[-1]:.2f}", (steps[-1], mean[-1]), (6, 0), textcoords="offset points",
            color=colour, weight="bold", va="center",
        )  # fmt: skip
    axes.set(xlabel="step", yscale="log", xlim=(0, len(losses)))
    axes.set_title(f"Losses, and their mean over {window} steps", loc="left", size=11, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=FAINT, which="both")
    figure.savefig(path, dpi=150)


def draw_detections(scenes: Sequence[Scene], found: Sequence[Detections], path: Path) -> None:
    """Scenes as they are in one row, as they were detected in another."""
    size = 1.9  # inches
    figure = Figure((size * len(scenes), 2 * size + 0.3), facecolor="white", layout="constrained")
    grid = figure.subplots(2, len(scenes), squeeze=False)
    for scene, detections, (above, below) in zip(scenes, found, grid.T, strict=True):
        for axes in (above, below):
            axes.imshow(scene.image, interpolation="bicubic")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        for box, label in zip(scene.boxes, scene.labels, strict=True):
            _draw_box(above, box, str(label), TRUTH)
        for k in np.flatnonzero(detections.scores >= SHOWN):
            box, label = detections.boxes[k], detections.labels[k]
            colour = RIGHT if _is_right(scene, box, label) else WRONG
            _draw_box(below, box, str(label), colour)
    for axes, name in zip(grid[:, 0], ("truth", "detections"), strict=True):
        axes.set_ylabel(name, size=11, color=INK)
    legend = {
        f"right: the digit, at IoU {MATCHES} or more": RIGHT,
        f"wrong; only scores of {SHOWN} or more are drawn": WRONG,
    }
    patches = [Patch(color=colour, label=text) for text, colour in legend.items()]
    figure.legend(handles=patches, loc="outside lower left", ncols=2, frameon=False)
    figure.savefig(path, dpi=150)


def _is_right(scene: Scene, box: np.ndarray, label: int) -> bool:
    overlap = iou(box[None], scene.boxes)[0]
    return bool(np.any((overlap >= MATCHES) & (scene.labels == label)))


def _draw_box(axes: Axes, box: np.ndarray, text: str, colour: str) -> None:
    x1, y1, x2, y2 = box
    halo = [withStroke(linewidth=3, foreground="#000000a0")]
    axes.add_patch(
        Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1 + 1, y2 - y1 + 1, fill=False, ec=colour, lw=1.6,
                  path_effects=halo)
    )  # fmt: skip
    inside = y1 < 12  # where there is no room above
    axes.annotate(
        text, (x1 - 0.5, y1 - 0.5), (1.5, -1.5 if inside else 1.5), textcoords="offset points",
        va="top" if inside else "baseline", size=8, weight="bold", color=colour, path_effects=halo,
    )  # fmt: skip
