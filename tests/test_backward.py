import ml_dtypes
import numpy as np
import pytest

import roipool
from cases import FLOATS, NAMES, assert_same_bits, normal_maps, odd_boxes, random_boxes
from roipool import reference


def pooled_with_grad(rng, dtype, shape=(2, 5, 13, 11), pooled_size=(3, 4), count=40):
    data = normal_maps(rng, shape, dtype)
    rois = np.concatenate([random_boxes(rng, count, shape[0], *shape[2:]), odd_boxes(*shape[2:])])
    values, argmax = roipool.roi_pool(data, rois, pooled_size, return_argmax=True)
    return data, rois, argmax, normal_maps(rng, values.shape, dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
@pytest.mark.parametrize("channels", [1, 5, 33])
def test_as_the_reference_to_the_bit(dtype, channels):
    rng = np.random.default_rng(channels)
    data, rois, argmax, grad = pooled_with_grad(rng, dtype, (2, channels, 13, 11))
    expected = reference.roi_pool_backward(grad, argmax, rois, data.shape)
    actual = roipool.roi_pool_backward(grad, argmax, rois, data.shape)
    assert actual.dtype == grad.dtype
    assert_same_bits(actual, expected)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_types_of_every_kind_are_rounded_right(dtype):
    bits = np.arange(2**16, dtype=np.uint16)
    grad = np.stack([bits.view(dtype), np.roll(bits, 12345).view(dtype)]).reshape(2, 2**16, 1, 1)
    argmax = np.zeros(grad.shape, np.int32)
    rois = [[0, 0, 0, 0, 0]] * 2
    with np.errstate(over="ignore", invalid="ignore"):
        sums = grad[0].astype(np.float32) + grad[1].astype(np.float32)
        expected = sums.astype(dtype).reshape(1, 2**16, 1, 1)
    assert_same_bits(roipool.roi_pool_backward(grad, argmax, rois, expected.shape), expected)


def test_as_numerical_differences():
    rng = np.random.default_rng(2)
    data = rng.permutation(2 * 3 * 8 * 9).reshape(2, 3, 8, 9).astype(np.float64)
    rois = np.concatenate([random_boxes(rng, 6, 2, 8, 9), odd_boxes(8, 9)])
    values, argmax = roipool.roi_pool(data, rois, 3, return_argmax=True)
    weights = rng.standard_normal(values.shape)
    grad = roipool.roi_pool_backward(weights, argmax, rois, data.shape)
    for at in np.ndindex(*data.shape):
        step = np.zeros(data.shape)
        step[at] = 0.25  # distinct whole numbers: no winner changes
        up, down = (roipool.roi_pool(data + sign * step, rois, 3) for sign in (1, -1))
        np.testing.assert_allclose(((up - down) * weights).sum() / 0.5, grad[at], atol=1e-12)


def test_padding_and_empty_bins_give_nothing():
    data = np.ones((1, 1, 4, 4), np.float32)
    rois = [[-1, 0, 0, 3, 3], [0, 9, 9, 12, 12]]
    values, argmax = roipool.roi_pool(data, rois, 2, return_argmax=True)
    grad = roipool.roi_pool_backward(np.ones_like(values), argmax, rois, data.shape)
    assert_same_bits(grad, np.zeros_like(data))


def test_an_image_without_regions_gets_zeros():
    argmax = np.zeros((1, 2, 1, 1), np.int32)
    grad = roipool.roi_pool_backward(
        np.ones((1, 2, 1, 1), np.float32), argmax, [[1, 0, 0, 1, 1]], (3, 2, 2, 2)
    )
    assert grad.sum(axis=(1, 2, 3)).tolist() == [0, 2, 0]


def test_layouts_of_the_gradient():
    rng = np.random.default_rng(4)
    data, rois, argmax, grad = pooled_with_grad(rng, np.float32)
    expected = roipool.roi_pool_backward(grad, argmax, rois, data.shape)
    for other in (grad[::-1][::-1], np.asfortranarray(grad), grad.astype(">f4")):
        assert_same_bits(roipool.roi_pool_backward(other, argmax, rois, data.shape), expected)
    wide = roipool.roi_pool_backward(grad, argmax.astype(np.int64), rois, data.shape)
    assert_same_bits(wide, expected)


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 5)])
def test_no_regions(shape):
    empty = np.zeros((0, shape[1], 2, 2), np.float32)
    grad = roipool.roi_pool_backward(empty, empty.astype(np.int32), np.zeros((0, 5)), shape)
    assert_same_bits(grad, np.zeros(shape, np.float32))


def test_positions_outside_the_map_are_refused():
    grad = np.ones((1, 1, 1, 1), np.float32)
    for position in (4, -2, 2**31 - 1):
        with pytest.raises(IndexError, match=r"argmax holds positions outside .* -1 to 3"):
            roipool.roi_pool_backward(
                grad, np.full(grad.shape, position), [[0, 0, 0, 0, 0]], (1, 1, 2, 2)
            )
    with pytest.raises(IndexError, match="argmax holds positions outside"):
        roipool.roi_pool_backward(grad, np.full(grad.shape, 2**32), [[0, 0, 0, 0, 0]], (1, 1, 2, 2))
