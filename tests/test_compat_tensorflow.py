"""crop_and_resize under TensorFlow's name, at the arrays that need no TensorFlow."""

import numpy as np
import pytest

import roipool
from roipool.compat.tensorflow import crop_and_resize

BOXES = np.array([[0, 0, 1, 1], [0.9, 0.2, 0.1, 0.7], [-0.4, 0.3, 0.6, 1.2]], np.float32)
IMAGES = np.array([1, 0, 1], np.int32)
HOW = {"method": "bilinear", "extrapolation_value": -2.0}


def some_image(dtype=np.float32):
    return (np.random.default_rng(0).random((2, 7, 9, 3)) * 100).astype(dtype)


def expected(image, **how):
    rows = np.concatenate([IMAGES[:, None], BOXES], axis=1, dtype=np.float32)
    data = np.ascontiguousarray(image.transpose(0, 3, 1, 2), np.float32)
    crops = roipool.crop_and_resize(data, rows, (4, 5), tensorflow=True, **how)
    return crops.transpose(0, 2, 3, 1)


def test_a_table():
    """TensorFlow 2.21's own answers."""
    image = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1)
    boxes = [[0, 0, 1, 1], [0.25, 0.5, 0.75, -0.1], [1, 1, 0, 0], [0.2, 0.1, 1.5, 0.6]]
    table = {
        "bilinear": [
            [0, 1.5, 3, 8, 9.5, 11],
            [3.5, 2.6, 9, 7.5, 6.6, 9],
            [11, 9.5, 8, 3, 1.5, 0],
            [1.9, 2.65, 3.4, 9, 9, 9],
        ],
        "nearest": [
            [0, 2, 3, 8, 10, 11],
            [6, 5, 9, 10, 9, 9],
            [11, 10, 8, 3, 2, 0],
            [0, 1, 2, 9, 9, 9],
        ],
    }
    for method, values in table.items():
        crops = crop_and_resize(image, boxes, [0] * 4, [2, 3], method, 9.0, name="crops")
        np.testing.assert_allclose(crops.reshape(4, 6), values, rtol=1e-6, err_msg=method)


def test_the_last_sample_of_the_whole_image_is_where_tensorflow_has_it():
    ones = np.ones((1, 1, 58, 1), np.float32)
    crops = crop_and_resize(ones, [[0, 0, 0, 1]], [0], (1, 8))
    assert crops.ravel().tolist() == [1] * 7 + [0]


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "int32", "int64", "float16", "float32", "float64"]
)
def test_every_dtype_is_read_as_float32(dtype):
    image = some_image(dtype)
    crops = crop_and_resize(image, BOXES, IMAGES, (4, 5), **HOW)
    assert crops.dtype == np.float32
    assert crops.shape == (3, 4, 5, 3)
    np.testing.assert_array_equal(crops, expected(image, **HOW))


def test_nested_lists_and_no_boxes():
    crops = crop_and_resize(np.array([[[[1.0], [3.0]]]]).tolist(), [[0, 0, 0, 1]], [0], (1, 3))
    assert crops.ravel().tolist() == [1, 2, 3]
    none = crop_and_resize(some_image(), np.zeros((0, 4)), np.zeros(0, int), (4, 5))
    assert none.shape == (0, 4, 5, 3)


def test_tensors_of_pytorch_and_their_gradients():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    image = torch.from_numpy(some_image(np.float64)).requires_grad_()
    boxes = torch.from_numpy(BOXES).requires_grad_()
    crops = crop_and_resize(image, boxes, torch.from_numpy(IMAGES), (4, 5), **HOW)
    assert crops.dtype == torch.float32
    np.testing.assert_array_equal(crops.detach().numpy(), expected(some_image(), **HOW))
    crops.pow(2).sum().backward()
    rows = np.concatenate([IMAGES[:, None], BOXES], axis=1, dtype=np.float32)
    data = some_image().transpose(0, 3, 1, 2)
    grad = 2 * expected(some_image(), **HOW).transpose(0, 3, 1, 2)
    of_data = roipool.crop_and_resize_backward(grad, rows, data.shape, tensorflow=True)
    of_rows = roipool.crop_and_resize_backward_boxes(grad, data, rows, tensorflow=True)
    assert image.grad.dtype == torch.float64
    np.testing.assert_allclose(image.grad.numpy(), of_data.transpose(0, 2, 3, 1), rtol=1e-5)
    np.testing.assert_allclose(boxes.grad.numpy(), of_rows[:, 1:], rtol=1e-4)


def test_arrays_of_jax_under_jit_and_grad():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    image, boxes, images = map(jax.numpy.asarray, (some_image(), BOXES, IMAGES))
    pooled = jax.jit(lambda image, boxes: crop_and_resize(image, boxes, images, (4, 5), **HOW))
    found = pooled(image, boxes)
    assert isinstance(found, jax.Array)
    np.testing.assert_allclose(found, expected(some_image(), **HOW), rtol=1e-6)
    grads = jax.grad(lambda *given: pooled(*given).sum(), argnums=(0, 1))(image, boxes)
    assert [grad.shape for grad in grads] == [image.shape, boxes.shape]
    assert float(abs(grads[1]).min()) > 0


class Other:
    """Of a library that is none of the four."""

    def __dlpack__(self):
        raise AssertionError("not asked for")


def test_what_is_refused():
    image = some_image()
    with pytest.raises(ValueError, match=r"image has shape \(7, 9, 3\); expected \(N, H, W, C\)"):
        crop_and_resize(image[0], BOXES, IMAGES, (4, 5))
    with pytest.raises(ValueError, match=r"shapes \(3, 4\) and \(2,\); expected \(K, 4\)"):
        crop_and_resize(image, BOXES, IMAGES[:2], (4, 5))
    with pytest.raises(ValueError, match='expected "bilinear" or "nearest"'):
        crop_and_resize(image, BOXES, IMAGES, (4, 5), "bicubic")
    with pytest.raises(IndexError, match=r"boxes\[0\] has batch index 2"):
        crop_and_resize(image, BOXES, IMAGES + 1, (4, 5))
    with pytest.raises(TypeError, match="expected an array of NumPy, PyTorch, JAX or TensorFlow"):
        crop_and_resize(Other(), BOXES, IMAGES, (4, 5))
