"""Derivatives of tensors: either mode, any order, under every transform of torch.func."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp
from torch.utils.checkpoint import checkpoint

import roipool
from roipool.doors.torch.operators import operators
from tensors import distinct_maps, some_boxes, some_maps

SIZE, SCALE = (2, 3), 0.9


@pytest.fixture
def maps():
    return distinct_maps(2, 2, 6, 5)


@pytest.fixture
def rois():
    """Inside and over every border, empty, inverted, one pixel, padding."""
    return some_boxes(2, 6, 5, count=6, dtype=np.float64)


def pool(data, rois):
    return roipool.roi_pool(data, rois, SIZE, SCALE)


def arguments(name, data, rois):
    """What each operator takes, differentiable where it can be."""
    data = data.clone().requires_grad_()
    values, argmax = operators.roi_pool_argmax(data, rois, SIZE, SCALE)
    weights = torch.randn_like(values).requires_grad_()
    return {
        "roi_pool": (data, rois, SIZE, SCALE),
        "roi_pool_argmax": (data, rois, SIZE, SCALE),
        "roi_pool_backward": (weights, argmax, rois, data.shape),
        "roi_pool_gather": (data, argmax, rois),
        "roi_pool_out": (data.detach(), rois, SCALE, values.detach(), argmax),
        "roi_pool_backward_out": (weights.detach(), argmax, rois, data.detach()),
    }[name]


DIFFERENTIABLE = ["roi_pool", "roi_pool_backward", "roi_pool_gather"]


@pytest.mark.parametrize(
    "name", [*DIFFERENTIABLE, "roi_pool_argmax", "roi_pool_out", "roi_pool_backward_out"]
)
def test_operators_keep_the_rules_of_the_dispatcher(name, maps, rois):
    done = torch.library.opcheck(
        getattr(operators, name).default, arguments(name, maps[:, :1], rois[:6])
    )
    assert set(done.values()) == {"SUCCESS"}


def test_operators_of_channels_last_keep_the_rules(maps, rois):
    data = maps.contiguous(memory_format=torch.channels_last).requires_grad_()
    done = torch.library.opcheck(operators.roi_pool_argmax.default, (data, rois[:6], SIZE, SCALE))
    assert set(done.values()) == {"SUCCESS"}


def test_gather_and_backward_are_transposes_whatever_argmax_says(maps, rois):
    argmax = torch.zeros(len(rois), 2, 2, 2, dtype=torch.int32)  # of padding rows too
    weights = torch.randn(argmax.shape, dtype=maps.dtype)
    scattered = roipool.roi_pool_backward(weights, argmax, rois, tuple(maps.shape))
    gathered = operators.roi_pool_gather(maps, argmax, rois)
    torch.testing.assert_close((scattered * maps).sum(), (weights * gathered).sum())


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_numerical_derivatives(name, maps, rois):
    first, *others = arguments(name, maps, rois)

    def call(value):
        return getattr(operators, name)(value, *others)

    assert gradcheck(
        call,
        first,
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
    )
    assert gradgradcheck(call, first, check_fwd_over_rev=True, check_rev_over_rev=True)


def test_regions_have_a_gradient_of_zero(maps):
    boxes = torch.tensor([[0.3, 0.2, 3.3, 4.2], [9, 9, 9, 9]], dtype=torch.float64)

    def of_boxes(data, first, second):
        return pool(data, [first, second])

    inputs = [t.requires_grad_() for t in (maps, boxes, boxes.clone() + 1)]
    assert gradcheck(of_boxes, inputs, check_forward_ad=True)
    gradients = torch.autograd.grad(of_boxes(maps.detach(), *inputs[1:]).sum(), inputs[1:])
    assert not torch.cat(gradients).any()


def test_forward_mode_reads_the_tangent_at_argmax():
    data, tangent = some_maps(), some_maps(seed=1)
    rois = some_boxes()
    values, argmax = roipool.roi_pool(data, rois, 3, return_argmax=True)
    image = rois[:, 0].long().clamp(min=0)
    read = tangent.flatten(2)[image].gather(2, argmax.long().clamp(min=0).flatten(2))
    expected = torch.where(argmax >= 0, read.view(argmax.shape), 0)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        primal = data.contiguous(memory_format=memory_format)
        with forward_ad.dual_level():
            dual = roipool.roi_pool(forward_ad.make_dual(primal, tangent), rois, 3)
            assert torch.equal(forward_ad.unpack_dual(dual).primal, values)
            assert torch.equal(forward_ad.unpack_dual(dual).tangent, expected)
        both = jvp(lambda x: roipool.roi_pool(x, rois, 3), (primal,), (tangent,))
        assert torch.equal(both[0], values)
        assert torch.equal(both[1], expected)


def test_forward_mode_of_regions_is_zero(maps, rois):
    _, tangent = jvp(lambda boxes: pool(maps, boxes), (rois,), (torch.ones_like(rois),))
    assert not tangent.any()


def test_jacobians_agree(maps, rois):
    rois = rois[:5]
    forward = jacfwd(pool)(maps, rois)
    assert torch.equal(jacrev(pool)(maps, rois), forward)
    # A bin takes one value; an empty bin and padding take none.
    assert torch.equal(forward.flatten(4).sum(-1), (pool(maps + 1, rois) > 0).to(forward.dtype))


def test_second_derivatives_agree(maps, rois):
    maps = maps[:, :1, :4, :4].contiguous() / 32

    def cubes(data):
        return pool(data, rois).pow(3).sum()

    expected = hessian(cubes)(maps)
    for outer, inner in ((jacrev, jacrev), (jacrev, jacfwd), (jacfwd, jacfwd)):
        torch.testing.assert_close(outer(inner(cubes))(maps), expected)
    weights = torch.func.grad(lambda data: pool(data, rois).sum())(maps)  # how often a pixel won
    torch.testing.assert_close(
        expected.reshape(maps.numel(), -1), torch.diag((6 * maps * weights).flatten())
    )


def test_third_derivative(maps, rois):
    maps = maps / 64
    third = grad(
        lambda x: grad(lambda y: grad(lambda z: pool(z, rois).pow(3).sum())(y).sum())(x).sum()
    )
    weights = grad(lambda x: pool(x, rois).sum())(maps)
    torch.testing.assert_close(third(maps), 6 * weights)


def test_a_vjp_called_after_its_transform_has_ended(maps, rois):
    values, pullback = vjp(lambda x: pool(x, rois), maps)
    weights = torch.randn_like(values).requires_grad_()
    (gradient,) = pullback(weights)
    (back,) = torch.autograd.grad(gradient.sum(), weights)
    argmax = roipool.roi_pool(maps, rois, SIZE, SCALE, return_argmax=True)[1]
    assert torch.equal(back, (argmax >= 0).to(back.dtype))


def test_a_gradient_no_one_asked_for(maps, rois):
    values, argmax = roipool.roi_pool(maps.requires_grad_(), rois, 2, return_argmax=True)
    assert values.requires_grad
    assert not argmax.requires_grad
    whole = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    pooled = roipool.roi_pool(whole, torch.zeros(1, 5, requires_grad=True), 1)
    assert not pooled.requires_grad


def test_checkpoints(maps, rois):
    def step(data):
        return pool(data, rois).pow(2).sum()

    (expected,) = torch.autograd.grad(step(maps.requires_grad_()), maps)
    for reentrant in (False, True):
        checkpoint(step, maps, use_reentrant=reentrant).backward()
        assert torch.equal(maps.grad, expected)
        maps.grad = None
