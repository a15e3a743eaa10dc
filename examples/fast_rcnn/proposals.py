"""Where objects may be, without a network: windows of every size, closely spaced and jittered."""

import numpy as np

from examples.fast_rcnn.scenes import HEIGHTS, SIDE

GROWTH = 1.3  # from one height to the next
ASPECTS = (0.5, 0.8)  # width / height
SPACING = 0.45  # of windows, as a part of their sides
JITTER = 0.1  # of position and size, as a part of the sides


def windows(rng: np.random.Generator) -> np.ndarray:
    """Proposals (P, 4) float32 [x1, y1, x2, y2] inside a scene; P is the same for all."""
    smallest, largest = HEIGHTS
    steps = np.ceil(np.log(largest / smallest) / np.log(GROWTH)).astype(int)
    heights = np.geomspace(smallest, largest, steps + 1)
    grids = [_grid(height * aspect, height) for height in heights for aspect in ASPECTS]
    first, size = np.split(np.concatenate(grids), 2, axis=1)
    moved, grown = rng.uniform(-JITTER, JITTER, (2, *first.shape))
    first, size = first + moved * size, size * (1 + grown)
    boxes = np.concatenate([first, first + size - 1], axis=1)
    return boxes.clip(0, SIDE - 1).astype(np.float32)


def _grid(width: float, height: float) -> np.ndarray:
    """Windows of one size, [left, top, width, height], from border to border."""
    starts = [
        np.linspace(0, SIDE - side, round((SIDE - side) / (SPACING * side)) + 1)
        for side in (width, height)
    ]
    places = np.stack(np.meshgrid(*starts), axis=-1).reshape(-1, 2)
    return np.concatenate([places, np.broadcast_to((width, height), places.shape)], axis=1)
