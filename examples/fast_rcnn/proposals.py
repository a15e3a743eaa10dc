"""Where objects may be, without a network: windows of every size, closely spaced and jittered."""

from functools import cache

import numpy as np

from examples.fast_rcnn.scenes import HEIGHTS, SIDE

GROWTH = 1.3  # from one height to the next
ASPECTS = (0.5, 0.8)  # width / height
SPACING = 0.45  # of windows, as a part of their sides
JITTER = 0.1  # of position and size, as a part of the sides


def windows(rng: np.random.Generator) -> np.ndarray:
    """Proposals (P, 4) float32 [x1, y1, x2, y2] inside a scene; P is the same for all."""
    first, size = _grid()
    moved, grown = rng.uniform(-JITTER, JITTER, (2, *first.shape))
    first, size = first + moved * size, size * (1 + grown)
    boxes = np.concatenate([first, first + size - 1], axis=1)
    return boxes.clip(0, SIDE - 1).astype(np.float32)


@cache
def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Left and top (P, 2), width and height (P, 2) of windows from border to border."""
    smallest, largest = HEIGHTS
    steps = round(np.log(largest / smallest) / np.log(GROWTH))
    places, sizes = [], []
    for height in np.geomspace(smallest, largest, steps + 1):
        for aspect in ASPECTS:
            size = height * aspect, height
            lines = [np.linspace(0, SIDE - n, round((SIDE - n) / (SPACING * n)) + 1) for n in size]
            places.append(np.stack(np.meshgrid(*lines), axis=-1).reshape(-1, 2))
            sizes.append(np.broadcast_to(size, places[-1].shape))
    return np.concatenate(places), np.concatenate(sizes)
