"""Derivatives of roi_align for maps and regions: either mode, any order, under every transform."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

import roipool
from aligned_tensors import HOW, SCALE, double_maps, each_way, pool, some_rois, with_corners
from tensors import some_boxes, some_maps


@each_way
@pytest.mark.parametrize("asked", ["data", "rois", "both"])
def test_numerical_derivatives(asked, how):
    rois = some_rois()
    data, corners = double_maps(2, 2, 7, 6), rois[:, 1:].clone()
    if asked != "rois":
        data.requires_grad_()
    if asked != "data":
        corners.requires_grad_()

    def pooled(maps, sides):
        return roipool.roi_align(maps, with_corners(rois, sides), (2, 3), SCALE, **how)

    assert gradcheck(
        pooled,
        (data, corners),
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
    )
    assert gradgradcheck(pooled, (data, corners), check_fwd_over_rev=True)


@each_way
def test_numerical_derivatives_of_gradients(how):
    rois = some_rois()
    data, grad_values = double_maps(2, 2, 7, 6), double_maps(4, 2, 2, 3)
    inputs = [t.requires_grad_() for t in (grad_values, data, rois[:, 1:].clone())]

    def of_data(weights, corners):
        boxes = with_corners(rois, corners)
        return roipool.roi_align_backward(weights, boxes, data.shape, SCALE, **how)

    def of_rois(weights, maps, corners):
        boxes = with_corners(rois, corners)
        return roipool.roi_align_backward_rois(weights, maps, boxes, SCALE, **how)

    assert gradcheck(of_data, inputs[::2], check_forward_ad=True)
    assert gradcheck(of_rois, inputs, check_forward_ad=True)


@pytest.mark.parametrize("argument", [0, 1])
def test_jacobians_of_both_modes_agree(argument):
    inputs = double_maps(2, 1, 7, 6), some_rois()
    torch.testing.assert_close(
        jacrev(pool, argnums=argument)(*inputs), jacfwd(pool, argnums=argument)(*inputs)
    )


def test_second_derivatives_agree():
    data, rois = double_maps(2, 1, 5, 4), some_rois()[:2]

    def loss(maps, boxes):
        return pool(maps, boxes).pow(2).sum()

    expected = hessian(loss, argnums=(0, 1))(data, rois)
    for outer, inner in ((jacrev, jacrev), (jacrev, jacfwd), (jacfwd, jacfwd)):
        found = outer(inner(loss, argnums=(0, 1)), argnums=(0, 1))(data, rois)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("how", [HOW[0], HOW[2]], ids=str)
@pytest.mark.parametrize("dims", [(0, None), (None, 0), (0, 0), (2, 1)], ids=str)
def test_vmap_is_a_loop(dims, how):
    data = torch.stack([some_maps((2, 3, 9, 8), seed=i) for i in range(3)], dim=dims[0] or 0)
    rois = torch.stack([some_boxes(2, 9, 8, seed=i) for i in range(3)], dim=dims[1] or 0)
    data = data[0] if dims[0] is None else data
    rois = rois[0] if dims[1] is None else rois

    def pooled(maps, boxes):
        return roipool.roi_align(maps, boxes, 2, 0.7, **how)

    def tangents(maps, boxes):
        return jvp(pooled, (maps, boxes), (maps * 2, boxes * 0 + 1))[1]

    def loss(maps, boxes):
        return pooled(maps, boxes).pow(2).sum()

    functions = [pooled, tangents, grad(loss), grad(loss, argnums=1)]
    for function in functions:
        looped = [
            function(*(t if d is None else t.select(d, i) for t, d in zip((data, rois), dims)))  # noqa: B905
            for i in range(3)
        ]
        torch.testing.assert_close(vmap(function, in_dims=dims)(data, rois), torch.stack(looped))


def test_batched_gradients():
    data, rois = double_maps(2, 1, 7, 6).requires_grad_(), some_rois().requires_grad_()
    values = pool(data, rois)
    weights = torch.stack([double_maps(*values.shape), values.detach()])
    batched = torch.autograd.grad(
        values, (data, rois), weights, is_grads_batched=True, retain_graph=True
    )
    for i in range(2):
        single = torch.autograd.grad(values, (data, rois), weights[i], retain_graph=True)
        torch.testing.assert_close([b[i] for b in batched], list(single))


def test_derivatives_of_several_maps():
    rois = some_rois()
    maps = [double_maps(1, 2, 7, 6), double_maps(2, 2, 5, 4)]
    inputs = [t.requires_grad_() for t in (*maps, rois[:, 1:].clone())]

    def pooled(first, second, corners):
        boxes = with_corners(rois, corners)
        return roipool.roi_align([first, second], boxes, 2, [0.83, 0.5], sampling_ratio=2)

    assert gradcheck(pooled, inputs, check_forward_ad=True)
    assert gradgradcheck(pooled, inputs)
    batch = torch.stack([maps[1].detach(), maps[1].detach() * 2])
    corners = rois[:, 1:]
    found = vmap(lambda second: pooled(maps[0].detach(), second, corners))(batch)
    for i in range(2):
        torch.testing.assert_close(found[i], pooled(maps[0].detach(), batch[i], corners))
