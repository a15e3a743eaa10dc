"""tf.image.crop_and_resize beside its name here: `python tensorflow_crops.py COUNT OUT.json`.

Run by TensorFlow's Python, beside roipool. Writes how many values were compared and how far they
and the gradients are apart, as a share of the largest value or of 1: of the image those that
TensorFlow does not sum in float16, of boxes those of no sample on a whole pixel, of "bilinear".
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from roipool.compat.tensorflow import crop_and_resize

SIZES = [(1, 1), (2, 3), (7, 7), (1, 9), (14, 5), (8, 64)]
DTYPES = ("float32", "float64", "float16", "uint8", "int16", "int64")
WHOLE = 5  # each so many boxes is the whole image


def cases(count):
    rng = np.random.default_rng(0)
    for i in range(count):
        images, channels = (int(n) for n in rng.integers(1, 5, 2))
        height, width = (int(n) for n in rng.integers(1, 70, 2))
        boxes = rng.uniform(-0.3, 1.3, (int(rng.integers(1, 30)), 4)).astype(np.float32)
        boxes[::WHOLE] = [0, 0, 1, 1]  # where TensorFlow rounds the last position beyond the image
        yield {
            "image": (rng.standard_normal((images, height, width, channels)) * 50).astype(
                DTYPES[i % len(DTYPES)]
            ),
            "boxes": boxes,
            "box_indices": rng.integers(0, images, len(boxes)).astype(np.int32),
            "crop_size": SIZES[i % len(SIZES)],
            "method": ("bilinear", "nearest")[i // 6 % 2],
            "extrapolation_value": float(i % 3),
        }


def apart(ours, theirs):
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return float("inf")
    return float(np.abs(ours - theirs).max() / max(1, np.abs(theirs).max()))


def answered(function, case):
    """Values and gradients, of eager tensors under a tape."""
    image, boxes = tf.constant(case["image"]), tf.constant(case["boxes"])
    more = [case[name] for name in ("box_indices", "crop_size", "method", "extrapolation_value")]
    wanted = {"image": image, "boxes": boxes} if image.dtype.is_floating else {"boxes": boxes}
    with tf.GradientTape() as tape:
        tape.watch([*wanted.values()])
        crops = function(image, boxes, *more)
        loss = tf.reduce_sum(crops * crops)
    found = {"values": crops, **tape.gradient(loss, wanted)}
    return {name: each.numpy() for name, each in found.items()}


def main(count, path):
    largest = {"values": 0.0, "image": 0.0, "boxes": 0.0}
    compared = 0
    for case in cases(int(count)):
        theirs = answered(tf.image.crop_and_resize, case)
        ours = answered(crop_and_resize, case)
        plain = crop_and_resize(**case)
        pairs = [("values", ours["values"], theirs["values"]), ("values", plain, theirs["values"])]
        if case["image"].dtype in (np.float32, np.float64):
            pairs.append(("image", ours["image"], theirs["image"]))
        if case["method"] == "bilinear":
            inside = np.arange(len(case["boxes"])) % WHOLE > 0
            pairs.append(("boxes", ours["boxes"][inside], theirs["boxes"][inside]))
        for name, mine, other in pairs:
            if other.size:
                largest[name] = max(largest[name], apart(mine, other))
        compared += plain.size
    symbolic = ""
    try:
        tf.function(crop_and_resize)(tf.zeros((1, 4, 4, 1)), [[0.0, 0, 1, 1]], [0], (2, 2))
    except TypeError as error:
        symbolic = str(error)
    Path(path).write_text(json.dumps({"compared": compared, "symbolic": symbolic, **largest}))


if __name__ == "__main__":
    main(*sys.argv[1:])
