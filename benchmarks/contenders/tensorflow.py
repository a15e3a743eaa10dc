"""TensorFlow's crop_and_resize: maps and crops have their channels last.

The gradient of its maps is added by all threads at once, and some of it is lost.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf

from benchmarks.contenders import Case

ABOUT = f"{tf.__version__}; maps and crops with channels last"
AGREES = {"forward": "bits", "backward": "counted"}


def _crops(case: Case):
    case.refuse_all_but_plain_float32()
    case.only(crop_and_resize=True)
    tf.config.threading.set_intra_op_parallelism_threads(case.threads)
    data = tf.constant(case.data.transpose(0, 2, 3, 1))
    boxes, images = tf.constant(case.rois[:, 1:]), tf.constant(case.rois[:, 0].astype(np.int32))
    return data, lambda data: tf.image.crop_and_resize(data, boxes, images, case.pooled_size)


def forward(case: Case):
    data, crop = _crops(case)
    return lambda: (crop(data),)


def backward(case: Case):
    data, crop = _crops(case)
    grad = tf.constant(case.grad.transpose(0, 2, 3, 1))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(data)
        values = crop(data)
    return lambda: (tape.gradient(values, data, output_gradients=grad),)


def to_numpy(result):
    return tuple(np.ascontiguousarray(array.numpy().transpose(0, 3, 1, 2)) for array in result)
