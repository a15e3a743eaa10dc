"""What one step of training looks at: a quarter objects, the rest background that is near them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from examples.fast_rcnn.boxes import encode, iou
from examples.fast_rcnn.proposals import windows
from examples.fast_rcnn.scenes import Scene, scene, stream

BACKGROUND = 0  # label d + 1 is the digit d
SCENES = 2  # of a batch
PER_SCENE = 64  # regions
FOREGROUND = 0.25  # of them, at most
IS_OBJECT = 0.5  # IoU from here on
IS_BACKGROUND = 0.1  # IoU from here to IS_OBJECT


@dataclass(frozen=True)
class Sample:
    """Regions of one scene, and what the network should say of them."""

    regions: np.ndarray  # (R, 4) float32
    labels: np.ndarray  # (R,) int64
    offsets: np.ndarray  # (R, 4) float32, from region to object; 0 for background


class Batch(NamedTuple):
    """Scenes and their samples, as one step takes them."""

    images: np.ndarray  # (SCENES, 3, H, W) uint8
    rois: np.ndarray  # (K, 5) float32 [image, x1, y1, x2, y2]
    labels: np.ndarray  # (K,) int64
    offsets: np.ndarray  # (K, 4) float32


def batch(seed: int, step: int) -> Batch:
    """The batch of this step, of scenes that no other step has."""
    rng = stream(seed, "sampling", step)
    scenes = [scene("train", seed, SCENES * step + i) for i in range(SCENES)]
    samples = [sample(each, windows(rng), rng) for each in scenes]
    return Batch(
        np.stack([each.image for each in scenes]).transpose(0, 3, 1, 2),
        np.concatenate([rows(i, each.regions) for i, each in enumerate(samples)]),
        np.concatenate([each.labels for each in samples]),
        np.concatenate([each.offsets for each in samples]),
    )


def rows(image: int, regions: np.ndarray) -> np.ndarray:
    """Regions (R, 4) of one image as rows (R, 5) of `rois`."""
    return np.insert(regions, 0, image, axis=1)


def sample(scene: Scene, proposals: np.ndarray, rng: np.random.Generator) -> Sample:
    """At most PER_SCENE regions, drawn from proposals and the objects' own boxes.

    Source: R. Girshick, "Fast R-CNN", ICCV 2015, section 2.3, mini-batch sampling.
    """
    proposals = np.concatenate([proposals, scene.boxes])
    overlap = iou(proposals, scene.boxes)
    nearest, best = overlap.argmax(axis=1), overlap.max(axis=1)
    objects = _drawn(np.flatnonzero(best >= IS_OBJECT), round(FOREGROUND * PER_SCENE), rng)
    others = np.flatnonzero((best >= IS_BACKGROUND) & (best < IS_OBJECT))
    others = _drawn(others, PER_SCENE - len(objects), rng)
    regions = proposals[np.concatenate([objects, others])]
    labels = np.full(len(regions), BACKGROUND)
    offsets = np.zeros_like(regions)
    labels[: len(objects)] = scene.labels[nearest[objects]] + 1
    offsets[: len(objects)] = encode(scene.boxes[nearest[objects]], proposals[objects])
    return Sample(regions, labels, offsets)


def _drawn(candidates: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(candidates, min(count, len(candidates)), replace=False)
