"""torchvision's names give torchvision's numbers."""

import inspect

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import roipool
from cases import odd_boxes, random_boxes
from roipool.compat import torchvision as compat
from tensors import some_boxes, some_maps, to_tensor


def test_forms_of_boxes():
    data, rois = some_maps(), some_boxes()
    expected = roipool.roi_pool(data, rois, (3, 2), 0.5)
    assert torch.equal(compat.roi_pool(data, rois, (3, 2), 0.5), expected)
    assert torch.equal(
        compat.roi_pool(data, boxes=rois, output_size=[3, 2], spatial_scale=0.5), expected
    )
    first = rois[rois[:, 0] == 0, 1:]
    assert torch.equal(
        compat.roi_pool(data, [first, first[:0]], 2),
        roipool.roi_pool(data, rois[rois[:, 0] == 0], 2),
    )


def test_module():
    pool = compat.RoIPool((3, 2), 0.5)
    assert repr(pool) == "RoIPool(output_size=(3, 2), spatial_scale=0.5)"
    data, rois = some_maps(), some_boxes()
    assert torch.equal(pool(data, rois), roipool.roi_pool(data, rois, (3, 2), 0.5))


def test_align_has_the_defaults_of_torchvision():
    data, rois = some_maps(), some_boxes()
    expected = roipool.roi_align(data, rois, (3, 2), 0.5, sampling_ratio=0, aligned=False)
    assert torch.equal(compat.roi_align(data, rois, (3, 2), 0.5), expected)
    first = rois[rois[:, 0] == 0, 1:]
    assert torch.equal(
        compat.roi_align(data, [first, first[:0]], 2, 1.0, 2, True),
        roipool.roi_align(data, rois[rois[:, 0] == 0], 2, sampling_ratio=2),
    )
    module = compat.RoIAlign((3, 2), 0.5, -1)
    assert repr(module) == (
        "RoIAlign(output_size=(3, 2), spatial_scale=0.5, sampling_ratio=-1, aligned=False)"
    )
    assert torch.equal(module(data, rois), expected)


def test_a_batch_index_that_torchvision_reads_out_of_bounds():
    with pytest.raises(IndexError, match=r"rois\[0\] has batch index 2"):
        compat.roi_pool(some_maps(), torch.tensor([[2.0, 0, 0, 3, 3]]), 2)


@pytest.mark.parametrize("scale", [1.0, 1 / 16, 0.3])
def test_the_numbers_of_torchvision(scale):
    ops = pytest.importorskip("torchvision.ops", reason="torchvision is not installed")
    rng = np.random.default_rng(0)
    # Regions only: torchvision reads memory elsewhere for padding, and overflows far outside.
    boxes = np.concatenate([random_boxes(rng, 60, 2, 20, 31, scale), odd_boxes(20, 31)[:11]])
    rois = to_tensor(boxes.astype(np.float32))
    for dtype in (torch.float32, torch.float64)[: 1 if scale == 0.3 else 2]:
        data, rows = some_maps((2, 5, 20, 31)).to(dtype).requires_grad_(), rois.to(dtype)
        for size in (7, (3, 5)):
            values, theirs = (f(data, rows, size, scale) for f in (compat.roi_pool, ops.roi_pool))
            assert torch.equal(values, theirs)
            weights = torch.randn_like(values)
            (mine,) = torch.autograd.grad(values, data, weights)
            torch.testing.assert_close(mine, torch.autograd.grad(theirs, data, weights)[0])


def test_the_arguments_of_torchvision():
    ops = pytest.importorskip("torchvision.ops", reason="torchvision is not installed")
    for name in ("roi_pool", "RoIPool", "roi_align", "RoIAlign"):
        mine, theirs = (inspect.signature(getattr(module, name)) for module in (compat, ops))
        assert list(mine.parameters) == list(theirs.parameters)
        for parameter, other in zip(
            mine.parameters.values(), theirs.parameters.values(), strict=True
        ):
            assert parameter.default == other.default
