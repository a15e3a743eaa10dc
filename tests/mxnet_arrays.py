"""The cases of cases.py as arrays of MXNet, in whose environment this is imported."""

import mxnet as mx
import numpy as np

import roipool
from cases import assert_same_bits, normal_maps, odd_boxes, odd_maps, random_boxes

FLOATS = ["float16", "float32", "float64"]
DTYPES = [*FLOATS, "int8", "uint8", "int32"]
KINDS = {"nd": mx.nd.array, "np": mx.np.array}
SCALE = 1 / 3  # not exact in binary


def array(values, kind="nd"):
    values = np.asarray(values)
    return KINDS[kind](values, dtype=values.dtype)


def maps(shape=(2, 5, 13, 11), dtype="float32", seed=0):
    return normal_maps(np.random.default_rng(seed), shape, np.dtype(dtype))


def maps_of_every_kind(dtype="float32", shape=(2, 5, 13, 11)):
    """Ties, NaN, both infinities and zeros, whole planes of NaN."""
    return odd_maps(np.random.default_rng(0), shape, np.dtype(dtype))


def regions(images=2, height=13, width=11, dtype="float32"):
    """Of every size, and one of each odd kind: padding, inverted, outside, on ties, huge."""
    rng = np.random.default_rng(1)
    rois = random_boxes(rng, 12, images, height, width, SCALE)
    return np.concatenate([rois, odd_boxes(height, width)]).astype(dtype)


WRONG_ROWS = np.array(
    [
        [2, 0, 0, 4, 4],
        [0.5, 0, 0, 4, 4],
        [np.nan, 0, 0, 4, 4],
        [np.inf, 0, 0, 4, 4],
        [1, 0, np.nan, 4, 4],
        [1, 0, 0, np.inf, 4],
        [1, 0, 0, 3e38, 4],
    ],
    np.float32,
)


def expected(data, rois, size=(3, 2), scale=SCALE, grad=None):
    """Values, positions and the gradient that the NumPy door gives."""
    values, argmax = roipool.roi_pool(data, rois, size, scale, return_argmax=True)
    if grad is None:
        return values, argmax
    return values, argmax, roipool.roi_pool_backward(grad, argmax, rois, data.shape)


def assert_is(actual, values):
    """The same bits in MXNet's array."""
    assert_same_bits(actual.asnumpy(), values)
