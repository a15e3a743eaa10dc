"""roi_align from NumPy, against the definition."""

import numpy as np
import pytest

import roipool
from cases import FLOATS, NAMES, normal_maps, odd_boxes, random_boxes
from roipool import reference

SAMPLING = [0, 1, 2, 3]


def close(dtype):
    """How far a sum of a few dozen products may be off, rounded to the dtype once."""
    name = np.dtype(dtype).name
    return {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-5, "float64": 1e-12}[name]


def some_rois(height, width, scale, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    many = random_boxes(rng, 20, 2, height, width, scale)
    return np.concatenate([many, odd_boxes(height, width)]).astype(dtype)


def assert_close(actual, expected, dtype):
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    error = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    assert np.all(error <= close(dtype) * np.maximum(1, np.abs(expected.astype(np.float64))))


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", SAMPLING)
@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
@pytest.mark.parametrize("scale", [1.0, 0.0625, 0.7])
def test_values_and_gradients(dtype, sampling_ratio, aligned, scale):
    height, width = 13, 17
    data = normal_maps(np.random.default_rng(1), (2, 5, height, width), dtype)
    rois = some_rois(height, width, scale, np.float64 if dtype == np.float64 else np.float32)
    how = {"sampling_ratio": sampling_ratio, "aligned": aligned}
    with np.errstate(over="ignore"):
        expected = reference.roi_align(data, rois, (3, 2), scale, sampling_ratio, aligned)
    actual = roipool.roi_align(data, rois, (3, 2), scale, **how)
    assert_close(actual, expected, dtype)
    grad = normal_maps(np.random.default_rng(2), expected.shape, dtype)
    with np.errstate(over="ignore"):
        of_data, of_rois = reference.roi_align_backward(
            grad, data, rois, scale, sampling_ratio, aligned
        )
    assert_close(roipool.roi_align_backward(grad, rois, data.shape, scale, **how), of_data, dtype)
    actual = roipool.roi_align_backward_rois(grad, data, rois, scale, **how)
    assert_close(actual, of_rois, np.float32 if dtype != np.float64 else dtype)
