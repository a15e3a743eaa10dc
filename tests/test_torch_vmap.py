"""torch.vmap against a loop: over data, over regions, over both, and of derivatives."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.func import grad, jvp, vmap

import roipool
from tensors import some_boxes, some_maps


def batches(dims):
    """Data and regions with a batch axis where `dims` says, padding rows among the regions."""
    data = torch.stack([some_maps((2, 3, 9, 8), seed=i) for i in range(3)], dim=dims[0] or 0)
    rois = torch.stack([some_boxes(2, 9, 8, seed=i) for i in range(3)], dim=dims[1] or 0)
    if dims[0] is None:
        data = data[0]
    if dims[1] is None:
        rois = rois[0]
    return data, rois


def looped(function, dims, *tensors):
    """The definition of vmap."""
    parts = [
        function(*(t if d is None else t.select(d, i) for t, d in zip(tensors, dims, strict=True)))
        for i in range(3)
    ]
    return torch.stack(parts)


folds = pytest.mark.skipif(
    not hasattr(torch.library, "register_vmap"), reason="before 2.5, PyTorch loops over examples"
)
DIMS = [(0, None), (None, 0), (0, 0), (2, 1), (4, None), (None, 2)]


@folds
@pytest.mark.parametrize("dims", DIMS, ids=str)
def test_vmap_is_one_call(dims, monkeypatch):
    from roipool import _core

    data, rois = batches(dims)
    function = lambda x, r: roipool.roi_pool(x, r, 3, 0.7)  # noqa: E731
    expected = looped(function, dims, data, rois)
    calls = []
    forward = _core.run
    monkeypatch.setattr(_core, "run", lambda *a: (calls.append(1), forward(*a)))
    assert torch.equal(vmap(function, in_dims=dims)(data, rois), expected)
    assert len(calls) == 1
    last = vmap(function, in_dims=dims, out_dims=-1)(data, rois)
    assert torch.equal(last, expected.movedim(0, -1))


@pytest.mark.parametrize("dims", DIMS[:4], ids=str)
def test_vmap_of_argmax_and_of_derivatives(dims):
    data, rois = batches(dims)
    argmax = lambda x, r: roipool.roi_pool(x, r, 3, return_argmax=True)[1]  # noqa: E731
    assert torch.equal(vmap(argmax, in_dims=dims)(data, rois), looped(argmax, dims, data, rois))

    def loss(x, r):
        return roipool.roi_pool(x, r, 3).pow(2).sum()

    gradients = vmap(grad(loss), in_dims=dims)(data, rois)
    assert torch.equal(gradients, looped(grad(loss), dims, data, rois))

    def tangents(x, r):
        return jvp(lambda y: roipool.roi_pool(y, r, 3), (x,), (x * 2,))[1]

    assert torch.equal(vmap(tangents, in_dims=dims)(data, rois), looped(tangents, dims, data, rois))


def test_vmap_of_vmap():
    data, rois = some_maps((3, 2, 2, 4, 7, 7)), some_boxes(2, 7, 7, count=12)[:24].view(2, 12, 5)
    pooled = vmap(vmap(lambda x, r: roipool.roi_pool(x, r, 2)), in_dims=(0, None))(data, rois)
    for i, j in np.ndindex(3, 2):
        assert torch.equal(pooled[i, j], roipool.roi_pool(data[i, j], rois[j], 2))


def test_vmap_of_no_regions_and_of_integers():
    data = some_maps((3, 2, 4, 7, 7), np.int8)
    assert vmap(lambda x: roipool.roi_pool(x, torch.zeros(0, 5), 2))(data).shape == (3, 0, 4, 2, 2)
    rois = torch.tensor([[[1, 0, 0, 5, 5]], [[0, 1, 1, 3, 3]], [[-1, 0, 0, 3, 3]]])
    function = lambda x, r: roipool.roi_pool(x, r, 2)  # noqa: E731
    assert torch.equal(vmap(function)(data, rois), looped(function, (0, 0), data, rois))
    # Half types cannot count this many images.
    many = some_maps((3000, 1, 1, 2, 2))
    rows = torch.tensor([[0, 0, 0, 1, 1]], dtype=torch.bfloat16)
    assert torch.equal(
        vmap(lambda x: roipool.roi_pool(x, rows, 1))(many).flatten(), many.amax((1, 2, 3, 4))
    )


@folds
@pytest.mark.parametrize("index", [2, 0.5, float("nan"), float("inf")])
def test_vmap_refuses_wrong_batch_indices(index):
    data, rois = batches((0, 0))
    rois[1, 2, 0] = index
    with pytest.raises((IndexError, ValueError), match=r"rois\[33\] has batch index"):
        vmap(lambda x, r: roipool.roi_pool(x, r, 2))(data, rois)
