"""mmcv's names are roipool's operators with its arguments."""

import math

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import roipool
from roipool.compat import mmcv as compat
from tensors import some_boxes, some_maps


def test_pool():
    data, rois = some_maps(), some_boxes()
    expected = roipool.roi_pool(data, rois, (3, 2), 0.5)
    assert torch.equal(compat.roi_pool(data, rois, (3, 2), 0.5), expected)
    module = compat.RoIPool((3, 2), 0.5)
    assert torch.equal(module(data, rois), expected)
    assert repr(module) == "RoIPool(output_size=(3, 2), spatial_scale=0.5)"


def test_the_bins_agree_where_the_page_says_so():
    """mmcv's own, floor(p * step + x1 * scale) to ceil((p + 1) * step + x1 * scale)."""
    data = some_maps((1, 2, 13, 11))
    x1, y1, x2, y2 = 2, 1, 8, 11
    bins = {
        axis: [
            slice(
                math.floor(p * (end + 1 - begin) / 3 + begin),
                math.ceil((p + 1) * (end + 1 - begin) / 3 + begin),
            )
            for p in range(3)
        ]
        for axis, begin, end in (("y", y1, y2), ("x", x1, x2))
    }
    expected = torch.stack([data[0, :, y, x].amax((1, 2)) for y in bins["y"] for x in bins["x"]], 1)
    found = compat.roi_pool(data, torch.tensor([[0.0, x1, y1, x2, y2]]), 3)
    assert torch.equal(found[0].flatten(1), expected)


def test_align():
    data, rois = some_maps(), some_boxes()
    expected = roipool.roi_align(data, rois, (3, 2), 0.5)
    assert torch.equal(compat.roi_align(data, rois, (3, 2), 0.5), expected)
    expected = roipool.roi_align(data, rois, (3, 2), 0.5, sampling_ratio=2, aligned=False)
    assert torch.equal(compat.roi_align(data, rois, (3, 2), 0.5, 2, "avg", False), expected)
    module = compat.RoIAlign((3, 2), 0.5, 2, "avg", False)
    assert torch.equal(module(data, rois), expected)
    assert repr(module) == (
        "RoIAlign(output_size=(3, 2), spatial_scale=0.5, sampling_ratio=2, pool_mode='avg', "
        "aligned=False)"
    )


def test_align_of_the_largest_sample():
    data, rois = some_maps(), some_boxes()
    expected = roipool.roi_align(data, rois, 2, 0.5, sampling_ratio=2, mode="max")
    assert torch.equal(compat.roi_align(data, rois, 2, 0.5, 2, "max"), expected)
    assert torch.equal(compat.RoIAlign(2, 0.5, 2, "max")(data, rois), expected)


def test_align_by_torchvision_only_averages():
    data, rois = some_maps(), some_boxes()
    module = compat.RoIAlign(2, 0.5, 2, "max", use_torchvision=True)
    assert torch.equal(module(data, rois), roipool.roi_align(data, rois, 2, 0.5, sampling_ratio=2))


def test_rotated():
    data = some_maps((2, 3, 32, 40))
    rois = torch.tensor([[0, 20, 16, 24, 10, 0.4], [1, 33, 40, 9, 30, -2.0]])
    for options in ((2,), (0, False), (2, True, True)):
        how = dict(zip(("sampling_ratio", "aligned", "clockwise"), options, strict=False))
        expected = roipool.roi_align_rotated(data, rois, (3, 2), 0.5, **how)
        assert torch.equal(compat.roi_align_rotated(data, rois, (3, 2), 0.5, *options), expected)
        assert torch.equal(compat.RoIAlignRotated((3, 2), 0.5, *options)(data, rois), expected)


def test_precise():
    data, rois = some_maps(), some_boxes()
    expected = roipool.prroi_pool(data, rois, (3, 2), 0.5)
    assert torch.equal(compat.prroi_pool(data, rois, (3, 2), 0.5), expected)
    module = compat.PrRoIPool((3, 2), 0.5)
    assert torch.equal(module(features=data, rois=rois), expected)
    rois = torch.tensor([[0, 1.3, 2.2, 9.1, 7.9]], requires_grad=True)
    module(data, rois).pow(2).sum().backward()
    assert rois.grad[:, 1:].abs().min() > 0


def test_what_is_refused():
    with pytest.raises(ValueError, match='pool_mode is \'mean\'; expected "max" or "avg"'):
        compat.roi_align(some_maps(), some_boxes(), 2, 1.0, 0, "mean")
    with pytest.raises(ValueError, match="pool_mode is 'onnx_max'"):
        compat.RoIAlign(2, pool_mode="onnx_max")
