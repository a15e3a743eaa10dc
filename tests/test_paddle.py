"""PaddlePaddle's tensors, which come by DLPack (test_dlpack.py): their gradients and parameters."""

import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    paddle = pytest.importorskip("paddle", reason="PaddlePaddle is not installed")

import roipool

X = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
Y = np.array([[0, 0, 0, 4, 4]], np.float32)


def test_what_requires_a_gradient_is_refused():
    data = paddle.to_tensor(X, stop_gradient=False)
    with pytest.raises(TypeError, match="detach what requires a gradient: roi_pool_backward"):
        roipool.roi_pool(data, Y, 2)
    values = roipool.roi_pool(data.detach(), Y, 2, 0.7)
    assert values.stop_gradient
    assert values.tolist() == [[[[7, 9], [19, 21]]]]


def test_a_parameter_comes_back_as_a_tensor():
    layer = paddle.nn.Linear(4, 4)
    layer.weight.stop_gradient = True
    values = roipool.roi_pool(layer.weight.reshape([1, 1, 4, 4]), Y, 2)
    assert type(values) is paddle.Tensor


class Pool(paddle.autograd.PyLayer):
    """The layer that the two operators make."""

    @staticmethod
    def forward(ctx, data, rois):
        values, argmax = roipool.roi_pool(data.detach(), rois, 2, 0.7, return_argmax=True)
        ctx.save_for_backward(argmax, rois)
        ctx.shape = data.shape
        return values

    @staticmethod
    def backward(ctx, grad):
        argmax, rois = ctx.saved_tensor()
        return roipool.roi_pool_backward(grad.detach(), argmax, rois, ctx.shape), None


def test_a_layer_of_the_two_operators_learns():
    data, rois = paddle.to_tensor(X, stop_gradient=False), paddle.to_tensor(Y)
    values = Pool.apply(data, rois)
    values.square().sum().backward()
    expected = np.where(np.isin(X, [7, 9, 19, 21]), 2 * X, 0)
    assert np.array_equal(data.grad.numpy(), expected)
