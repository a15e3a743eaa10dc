"""TensorFlow's crop_and_resize: maps and crops have their channels last."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf

from odd_inputs.calls import Call, separate

VERSION = tf.__version__


def prepare(operator: str, call: Call):
    boxes, images = separate("shares", call, np.int32)
    image = tf.constant(call.data.transpose(0, 2, 3, 1))
    boxes = tf.constant(boxes) if isinstance(boxes, np.ndarray) else boxes
    images = tf.constant(images)

    def run():
        crops = tf.image.crop_and_resize(image, boxes, images, call.pooled_size)
        return crops.numpy().transpose(0, 3, 1, 2)

    return run
