"""Scenes to train and test on: real handwritten digits on crops of real photographs.

Digits and photographs come with scikit-learn; nothing is downloaded. Training and test scenes
share neither a digit nor a pixel: the last fifth of the digits and the left third of each
photograph are kept for the test.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

Split = Literal["train", "test"]
Purpose = Literal["train", "test", "sampling", "proposals"]

SIDE = 160  # pixels of a scene, which is square
HEIGHTS = (18, 64)  # of digits, log-uniform
MOST_DIGITS = 7
ATTEMPTS = 40  # at placing a digit where no other lies
GAP = 2  # pixels between boxes, at least


@dataclass(frozen=True)
class Scene:
    """One image, and what is to be found in it."""

    image: np.ndarray  # (SIDE, SIDE, 3) uint8
    boxes: np.ndarray  # (G, 4) float32 [x1, y1, x2, y2] in pixels, both ends inclusive
    labels: np.ndarray  # (G,) int64, the digits


def stream(seed: int, purpose: Purpose, index: int) -> np.random.Generator:
    """Random numbers for one thing to draw, which nothing else draws from."""
    return np.random.default_rng((seed, get_args(Purpose).index(purpose), index))


@cache
def digits(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Images (D, 8, 8) of ink from 0 to 1, and what they show."""
    found = load_digits()
    border = len(found.target) * 4 // 5
    chosen = slice(border) if split == "train" else slice(border, None)
    return found.images[chosen] / 16, found.target[chosen]


@cache
def photographs(split: Split) -> list[np.ndarray]:
    """The split's part of each photograph, (height, width, 3) uint8."""
    found = load_sample_images().images
    border = found[0].shape[1] // 3
    return [photo[:, border:] if split == "train" else photo[:, :border] for photo in found]


def scene(split: Split, seed: int, index: int) -> Scene:
    """The scene of this number: the same whenever and in whatever order it is asked for.

    Example:
        >>> one = scene("test", seed=0, index=3)
        >>> one.image.shape, one.boxes.shape, one.labels
        ((160, 160, 3), (2, 4), array([3, 6]))
    """
    rng = stream(seed, split, index)
    canvas = _background(split, rng).astype(np.float32)
    images, values = digits(split)
    boxes: list[np.ndarray] = []
    labels: list[int] = []
    for _ in range(rng.integers(1, MOST_DIGITS + 1)):
        which = rng.integers(len(values))
        ink = _ink(images[which], rng)
        place = _free_place(ink, boxes, rng)
        if place is not None:
            box = _drawn(canvas, ink, place, rng)
            boxes.append(box)
            labels.append(int(values[which]))
    return Scene(
        canvas.round().astype(np.uint8),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
    )


def _background(split: Split, rng: np.random.Generator) -> np.ndarray:
    """A square of a photograph, of any size and place, mirrored or not."""
    photos = photographs(split)
    photo = photos[rng.integers(len(photos))]
    height, width = photo.shape[:2]
    side = rng.uniform(96, min(height, width))
    left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
    corners = (left, top, left + side, top + side)
    crop = Image.fromarray(photo).resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=corners)
    return np.asarray(crop)[:, :: rng.choice((-1, 1))]


def _ink(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How opaque each pixel of the digit is, at a size of its own."""
    height = np.exp(rng.uniform(*np.log(HEIGHTS)))
    size = round(height * rng.uniform(0.8, 1.2) * 10 / 8), round(height * 10 / 8)
    drawing = Image.fromarray(np.pad(digit, 1).astype(np.float32))
    grown = np.asarray(drawing.resize(size, Image.Resampling.BICUBIC))
    ink = np.clip(3 * grown - 0.9, 0, 1)  # crisp edges where the drawing is half dark
    ys, xs = np.nonzero(ink > 0.5)
    return ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def _free_place(
    ink: np.ndarray, taken: list[np.ndarray], rng: np.random.Generator
) -> tuple[int, int] | None:
    """Left and top of a place that overlaps no box, if one was found."""
    height, width = ink.shape
    others = np.array(taken).reshape(-1, 4)
    for _ in range(ATTEMPTS):
        left, top = rng.integers(SIDE - width + 1), rng.integers(SIDE - height + 1)
        before = others[:, 2:] + GAP < (left, top)
        behind = others[:, :2] - GAP >= (left + width, top + height)
        if (before | behind).any(axis=1).all():
            return int(left), int(top)
    return None


def _drawn(
    canvas: np.ndarray, ink: np.ndarray, place: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Draw a digit, dark on what is bright and bright on what is dark; return its box."""
    (left, top), (height, width) = place, ink.shape
    under = canvas[top : top + height, left : left + width]
    low = 0 if under.mean() > 128 else 165
    colour = rng.uniform(low, low + 90, 3)
    under += ink[..., None] * (colour - under)
    return np.array([left, top, left + width - 1, top + height - 1])
