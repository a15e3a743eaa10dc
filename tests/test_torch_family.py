"""Derivatives of the family with tensors: either mode, any order, compiled, under vmap."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, jvp, vmap

from aligned_tensors import double_maps
from family import FAMILY

SCALE, SIZE = 0.83, (2, 3)
TRACED = [m for m in FAMILY if not ("rotated" in m.name and ("sampling_ratio", 0) in m.options)]
each_member = pytest.mark.parametrize("member", FAMILY, ids=str)
each_traced = pytest.mark.parametrize("member", TRACED, ids=str)


def regions(member):
    """Nothing near a pixel or a jump; padding among them."""
    corners = [
        [0, 0.31, 0.72, 4.13, 5.21],
        [1, 1.13, 1.1, 3.37, 4.7],
        [0, 2.17, 2.23, 3.6, 3.71],
        [-1, 0, 0, 3, 3],
    ]
    rows = member.rows(torch.tensor(corners, dtype=torch.float64).numpy(), (2, 2, 7, 6), SCALE)
    return torch.from_numpy(rows)


def maps(member, *shape):
    return torch.from_numpy(member.maps(double_maps(*shape).numpy(), SIZE))


def with_corners(rois, corners):
    return torch.cat([rois[:, :1], corners], dim=1)


def pool(member, rois):
    return lambda data, corners: member(data, with_corners(rois, corners), SIZE, SCALE)


@each_member
def test_numerical_derivatives(member):
    rois, data = regions(member), maps(member, 2, 2, 7, 6).requires_grad_()
    corners = rois[:, 1:].clone().requires_grad_(member.moves)
    adaptive = ("sampling_ratio", 0) in member.options and "rotated" in member.name
    assert gradcheck(
        pool(member, rois),
        (data, corners),
        check_forward_ad=True,
        check_batched_grad=not adaptive,
        check_batched_forward_grad=not adaptive,
        fast_mode=True,
    )
    assert gradgradcheck(
        pool(member, rois), (data, corners), check_fwd_over_rev=True, fast_mode=True
    )


@each_traced
def test_vmap_is_a_loop(member):
    rois = torch.stack([regions(member), regions(member).flip(0)])
    data = torch.stack([maps(member, 2, 2, 7, 6), maps(member, 2, 2, 7, 6) * 2 + 1])

    def pooled(maps, boxes):
        return member(maps, boxes, SIZE, SCALE)

    def tangents(maps, boxes):
        return jvp(pooled, (maps, boxes), (maps * 2, boxes * 0 + 1))[1]

    def loss(maps, boxes):
        return pooled(maps, boxes).pow(2).sum()

    for function in (pooled, tangents, grad(loss), grad(loss, argnums=1)):
        looped = torch.stack([function(data[i], rois[i]) for i in range(2)])
        torch.testing.assert_close(vmap(function)(data, rois), looped)


@each_traced
def test_compiled(member):
    rois, data = regions(member).float(), maps(member, 2, 2, 7, 6).float()

    def loss(maps, corners):
        return (pool(member, rois)(maps, corners) ** 2).sum()

    def both(function):
        inputs = [data.clone().requires_grad_(), rois[:, 1:].clone().requires_grad_()]
        value = function(*inputs)
        return value, *torch.autograd.grad(value, inputs, allow_unused=True)

    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for found, expected in zip(both(compiled), both(loss), strict=True):
        if expected is not None or found is not None:
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("channels", [1, 3, 17])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@each_member
def test_gradients_that_lie_channels_last(member, dtype, channels):
    """In memory everything may lie so; numbers stay the same."""
    rois = regions(member).float()
    data = maps(member, 2, channels, 7, 6).to(getattr(torch, dtype))
    found = []
    for lying in (torch.contiguous_format, torch.channels_last):
        given = data.contiguous(memory_format=lying).requires_grad_()
        values = member(given, rois, SIZE, SCALE)
        grad = torch.linspace(-1, 1, values.numel()).view(values.shape).to(values.dtype)
        (moved,) = torch.autograd.grad(values, given, grad.contiguous(memory_format=lying))
        found.append((values.detach().contiguous(), moved.contiguous()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
