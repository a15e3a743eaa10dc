"""Boxes [x1, y1, x2, y2] in pixels, both ends inclusive, as `roi_pool` takes them."""

import numpy as np

SPREAD = np.array([0.1, 0.1, 0.2, 0.2], np.float32)  # brings offsets to about unit variance


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of every box (B, 4) with every other (O, 4): (B, O).

    Example:
        >>> iou(np.array([[0, 0, 9, 9]]), np.array([[0, 0, 9, 9], [5, 0, 14, 9]])).round(3)
        array([[1.   , 0.333]])
    """
    first = np.maximum(boxes[:, None, :2], others[None, :, :2])
    last = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(last - first + 1, 0, None).prod(axis=2)
    return shared / (_area(boxes)[:, None] + _area(others)[None] - shared)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1)


def encode(boxes: np.ndarray, proposals: np.ndarray) -> np.ndarray:
    """The offsets (B, 4) by which proposals (B, 4) become boxes (B, 4).

        t_x = (x - p_x) / p_w      t_y = (y - p_y) / p_h      of centres
        t_w = log(w / p_w)         t_h = log(h / p_h)         all divided by SPREAD

    Source: R. Girshick et al., "Rich feature hierarchies", CVPR 2014, appendix C.
    """
    (centre, size), (from_centre, from_size) = _centred(boxes), _centred(proposals)
    moved, grown = (centre - from_centre) / from_size, np.log(size / from_size)
    return np.concatenate([moved, grown], axis=1) / SPREAD


def decode(offsets: np.ndarray, proposals: np.ndarray) -> np.ndarray:
    """The boxes that offsets (B, 4) make of proposals (B, 4): the inverse of `encode`."""
    centre, size = _centred(proposals)
    moved, grown = np.split(offsets * SPREAD, 2, axis=1)
    centre, size = centre + moved * size, np.exp(np.minimum(grown, 4)) * size
    first = centre - (size - 1) / 2
    return np.concatenate([first, first + size - 1], axis=1)


def _centred(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, last = np.split(boxes, 2, axis=1)
    return (first + last) / 2, last - first + 1


def suppressed(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Non-maximum suppression: the boxes that overlap no better one by more than `threshold`.

    Returns:
        Their indices, the best first.
    """
    left = np.argsort(-scores, kind="stable")
    kept = []
    while left.size:
        kept.append(left[0])
        overlap = iou(boxes[left[:1]], boxes[left[1:]])[0]
        left = left[1:][overlap <= threshold]
    return np.array(kept, np.int64)
