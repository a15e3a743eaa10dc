"""roi_pool under mx.autograd.record."""

import mxnet as mx
import numpy as np
import pytest

import roipool
from cases import assert_same_bits
from mxnet_arrays import (
    FLOATS,
    KINDS,
    SCALE,
    array,
    assert_is,
    expected,
    maps,
    maps_of_every_kind,
    regions,
)
from peers.cases import cases


def leaf(values, kind="nd", grad_req="write"):
    x = array(values, kind)
    x.attach_grad(grad_req)
    x.grad[:] = 1
    return x


@pytest.mark.parametrize("return_argmax", [False, True])
@pytest.mark.parametrize("grad_req", ["write", "add"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients(dtype, kind, grad_req, return_argmax):
    data, rois = maps_of_every_kind(dtype), regions()
    grad = maps((len(rois), 5, 3, 2), dtype, seed=1)
    values, argmax, grad_data = expected(data, rois, grad=grad)
    x, r = leaf(data, kind, grad_req), leaf(rois, kind, grad_req)
    before = {"write": 0, "add": 1}[grad_req]
    if grad_req == "add":
        grad_data = grad_data + np.ones_like(grad_data)
    for _ in range(2):
        with mx.autograd.record():
            out = roipool.roi_pool(x, r, (3, 2), SCALE, return_argmax=return_argmax)
            if return_argmax:
                assert_is(out[1], argmax)
                out = out[0]
        assert type(out) is type(x)
        assert_is(out, values)
        out.backward(array(grad, kind))
        assert_is(x.grad, grad_data)
        assert_is(r.grad, np.full_like(rois, before))
        if grad_req == "add":
            x.grad[:], r.grad[:] = 1, 1


def test_gradients_are_added_call_by_call():
    data, rois = maps(), regions()
    x = leaf(data, grad_req="add")
    sum_ = np.ones_like(data)
    for seed in range(3):
        grad = maps((len(rois), 5, 3, 2), seed=seed)
        with mx.autograd.record():
            out = roipool.roi_pool(x, rois, (3, 2), SCALE)
        out.backward(array(grad))
        sum_ += expected(data, rois, grad=grad)[2]
    assert_is(x.grad, sum_)


def test_bit_for_bit_as_mxnet():
    count = 0
    for case in cases(60, seed=3):
        grads = []
        for pool in (mx.nd.ROIPooling, roipool.roi_pool):
            x = leaf(case["data"])
            with mx.autograd.record():
                out = pool(x, array(case["rois"]), case["pooled_size"], case["scale"])
            out.backward(array(case["grad"]))
            grads.append(x.grad.asnumpy())
        assert_same_bits(*grads)
        count += grads[0].size
    assert count > 50_000


def test_in_the_midst_of_a_network():
    data, rois = maps(), regions()
    x = leaf(data)
    with mx.autograd.record():
        y = x * 2
        first, second = (roipool.roi_pool(y, rois, n, SCALE) for n in (2, 3))
        loss = (first * 3).sum() + second.sum() + y.sum()
    loss.backward()
    grads = [
        expected(data * 2, rois, n, grad=np.full((len(rois), 5, n, n), g, np.float32))[2]
        for n, g in ((2, 3), (3, 1))
    ]
    np.testing.assert_allclose(x.grad.asnumpy(), 2 * (grads[0] + grads[1] + 1), rtol=1e-6)


@pytest.mark.parametrize("train_mode", [True, False])
def test_every_mode(train_mode):
    """What is not training may be differentiated too, but the operator isn't told of it."""
    data, rois = maps(), regions()
    grad = maps((len(rois), 5, 3, 2), seed=1)
    x = leaf(data)
    with mx.autograd.record(train_mode=train_mode):
        out = roipool.roi_pool(x, rois, (3, 2), SCALE)
    out.backward(array(grad), train_mode=train_mode)
    assert_is(x.grad, expected(data, rois, grad=grad)[2])


def test_twice_with_a_kept_graph():
    data, rois = maps(), regions()
    x = leaf(data)
    with mx.autograd.record():
        out = roipool.roi_pool(x, rois, (3, 2), SCALE)
    for seed in range(2):
        grad = maps(out.shape, seed=seed)
        out.backward(array(grad), retain_graph=True)
        assert_is(x.grad, expected(data, rois, grad=grad)[2])


def test_every_form_of_regions():
    data = maps()
    parts = [regions()[:4, 1:], regions()[4:9, 1:]]
    grad = maps((9, 5, 2, 2), seed=1)
    grad_data = expected(data, parts, 2, grad=grad)[2]
    before = [part.copy() for part in parts]
    rows = np.asfortranarray(regions()[:9])
    forms = [parts, [array(part) for part in parts], [part.tolist() for part in parts]]
    for rois in forms:
        x = leaf(data)
        with mx.autograd.record():
            out = roipool.roi_pool(x, rois, 2, SCALE)
        out.backward(array(grad))
        assert_is(x.grad, grad_data)
    with mx.autograd.record():
        roipool.roi_pool(x, rows, 2, SCALE)
    assert rows.flags.writeable  # what MXNet takes over is a copy
    assert all(np.array_equal(*pair) for pair in zip(parts, before, strict=True))


def test_integers_are_not_recorded():
    x = array(maps(dtype="int32"))
    x.attach_grad()
    with mx.autograd.record():
        out = roipool.roi_pool(x, regions(), 2, SCALE)
    assert_is(out, expected(maps(dtype="int32"), regions(), 2)[0])
    with pytest.raises(mx.MXNetError, match="not in a computational graph"):
        out.backward()


def test_errors_leave_the_recording_on():
    x = leaf(maps())
    with mx.autograd.record():
        with pytest.raises(IndexError, match=r"rois\[0\] has batch index 2, but data holds 2"):
            roipool.roi_pool(x, [[2, 0, 0, 4, 4]], 2)
        with pytest.raises(ValueError, match=r"rois\[0, 1\] \(x1\) is nan"):
            roipool.roi_pool(x, [[0, np.nan, 0, 4, 4]], 2)
        with pytest.raises(ValueError, match=r"data has shape \(5, 13, 11\); expected feature"):
            roipool.roi_pool(x[0], regions(), 2)
        with pytest.raises(ValueError, match=r"leave out, or call under autograd.pause"):
            roipool.roi_pool(x, regions(), 2, out=x)
        out = roipool.roi_pool(x, regions(), 2, SCALE)
    out.backward()
    assert_is(x.grad, expected(maps(), regions(), 2, grad=np.ones(out.shape, np.float32))[2])


def test_out_while_recording_is_paused():
    x = leaf(maps())
    out = array(np.empty((len(regions()), 5, 2, 2), np.float32))
    with mx.autograd.record(), mx.autograd.pause():
        roipool.roi_pool(x, regions(), 2, SCALE, out=out)
    assert_is(out, expected(maps(), regions(), 2)[0])


@pytest.mark.parametrize("np_shape", [False, True])
@pytest.mark.parametrize("none", [mx.nd.empty((0, 5)), []], ids=["array", "list"])
def test_no_regions(none, np_shape):
    x = leaf(maps())
    with mx.util.np_shape(np_shape):
        with mx.autograd.record():
            out = roipool.roi_pool(x, none, 2)
        out.backward()
    assert out.shape == (0, 5, 2, 2)
    assert_is(x.grad, np.zeros(x.shape, np.float32))


def test_empty_maps_are_not_recorded():
    x = mx.nd.empty((1, 0, 4, 4))
    with mx.autograd.record():
        out = roipool.roi_pool(x, regions()[:3], 2)
    assert_is(out, np.zeros((3, 0, 2, 2), np.float32))


def test_a_second_derivative_is_refused():
    """As MXNet refuses that of its own ROIPooling."""
    x = leaf(maps())
    with mx.autograd.record():
        out = mx.nd.square(roipool.roi_pool(mx.nd.square(x), regions(), 2, SCALE))
        (grad,) = mx.autograd.grad(out, [x], create_graph=True)
        loss = mx.nd.square(grad).sum() + out.sum()
    with pytest.raises(mx.MXNetError, match="_backward_CustomFunction is non-differentiable"):
        loss.backward()
