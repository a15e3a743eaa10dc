"""Detections from what a network says of proposals, and how good they are."""

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from examples.fast_rcnn.boxes import decode, suppressed
from examples.fast_rcnn.proposals import windows
from examples.fast_rcnn.scenes import SIDE, Scene, stream

DIGITS = 10
LEAST_SCORE = 0.05  # of a detection
OVERLAP = 0.3  # of two detections of one digit, at most
MATCHES = 0.5  # IoU of a detection and its object, at least

# Of an image (H, W, 3) and regions (R, 4): probabilities (R, C) and offsets (R, C, 4).
Predict = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Detections:
    """What was found in one scene."""

    boxes: np.ndarray  # (D, 4)
    labels: np.ndarray  # (D,) the digits
    scores: np.ndarray  # (D,)


def detect(predict: Predict, scene: Scene, seed: int, index: int) -> Detections:
    """Classify and move all proposals of a scene, then keep the best of those that overlap."""
    proposals = windows(stream(seed, "proposals", index))
    probabilities, offsets = predict(scene.image, proposals)
    found = []
    for digit in range(DIGITS):
        likely = np.flatnonzero(probabilities[:, digit + 1] > LEAST_SCORE)
        scores = probabilities[likely, digit + 1]
        boxes = decode(offsets[likely, digit + 1], proposals[likely]).clip(0, SIDE - 1)
        best = suppressed(boxes, scores, OVERLAP)
        found.append((boxes[best], np.full(len(best), digit), scores[best]))
    return Detections(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def average_precision(scenes: Sequence[Scene], found: Sequence[Detections]) -> np.ndarray:
    """The average precision (DIGITS,) of each digit at IoU 0.5, by COCO's own program.

    Precision at 101 levels of recall, interpolated; at most 100 detections of a scene count. The
    mean over digits is the mAP. NaN for a digit that is in no scene.

    Source: T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014.
    """
    objects = [
        _object(i, label, box)
        for i, scene in enumerate(scenes)
        for label, box in zip(scene.labels, scene.boxes, strict=True)
    ]
    detections = [
        _object(i, label, box) | {"score": float(score)}
        for i, each in enumerate(found)
        for label, box, score in zip(each.labels, each.boxes, each.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # it tells of its progress
        truth = _dataset(len(scenes), objects)
        judged = COCOeval(truth, _dataset(len(scenes), detections), "bbox")
        judged.params.iouThrs = np.array([MATCHES])
        judged.evaluate()
        judged.accumulate()
    precision = judged.eval["precision"]  # (IoU, recall, digit, area, detections per scene)
    average = precision[0, :, :, 0, -1].mean(axis=0)
    return np.where(average < 0, np.nan, average)


def _object(image: int, label: int, box: np.ndarray) -> dict[str, Any]:
    x1, y1, x2, y2 = box.tolist()
    width, height = x2 - x1 + 1, y2 - y1 + 1
    return {
        "image_id": image,
        "category_id": int(label),
        "bbox": [x1, y1, width, height],
        "area": width * height,
        "iscrowd": 0,
    }


def _dataset(images: int, objects: list[dict[str, Any]]) -> COCO:
    dataset = COCO()
    dataset.dataset = {
        "images": [{"id": i} for i in range(images)],
        "categories": [{"id": digit} for digit in range(DIGITS)],
        "annotations": [{**each, "id": i} for i, each in enumerate(objects, start=1)],
    }
    dataset.createIndex()
    return dataset
