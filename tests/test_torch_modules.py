"""`roipool.nn`: each module is its operator, with the arguments that it shows."""

import copy
import inspect

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import roipool
from roipool import nn
from tensors import some_boxes, some_maps

SENSITIVE = some_maps((2, 12, 13, 11))
TURNED = torch.tensor([[0, 5, 6, 7, 4, 0.3], [1, 4, 4, 9, 9, -1.0]])
CROPS = torch.tensor([[0, 0.1, 0.2, 0.8, 0.7], [1, 0, 0, 1, 1]])
# What each module is made with beside the size, and its operator's name and regions.
MODULES = [
    (nn.RoIPool, {"spatial_scale": 0.5, "mode": "avg"}, "roi_pool", some_boxes()),
    (nn.RoIAlign, {"spatial_scale": 0.5, "mode": "onnx_max"}, "roi_align", some_boxes()),
    (nn.RoIAlign, {"sampling_ratio": 2, "aligned": False}, "roi_align", some_boxes()),
    (nn.PSRoIPool, {"spatial_scale": 0.5, "convention": "torchvision"}, "ps_roi_pool", None),
    (nn.PSRoIAlign, {"spatial_scale": 0.5, "sampling_ratio": 2}, "ps_roi_align", None),
    (nn.PrRoIPool, {"spatial_scale": (0.5, 0.25)}, "prroi_pool", None),
    (nn.RoIAlignRotated, {"aligned": False, "clockwise": True}, "roi_align_rotated", TURNED),
    (nn.CropAndResize, {"method": "nearest", "extrapolation_value": 3.0}, "crop_and_resize", CROPS),
]


@pytest.mark.parametrize(("module", "how", "name", "rois"), MODULES)
def test_a_module_is_its_operator(module, how, name, rois):
    operator, regions = getattr(roipool, name), some_boxes() if rois is None else rois
    pool = module((3, 2), **how)
    expected = operator(SENSITIVE, regions, (3, 2), **how)
    for each in (pool, copy.deepcopy(pool)):
        assert torch.equal(each(SENSITIVE, regions), expected)
    for argument, value in how.items():
        assert f"{argument}={value!r}" in repr(pool)


@pytest.mark.parametrize(("module", "how", "name", "rois"), MODULES)
def test_arguments_are_those_of_the_operator(module, how, name, rois):
    def said(function):
        parameters = inspect.signature(function).parameters.values()
        left_out = ("data", "rois", "boxes", "out", "return_argmax")
        return [(p.name, p.default, p.kind) for p in parameters if p.name not in left_out]

    assert said(module) == said(getattr(roipool, name))


def test_what_is_no_argument_is_refused_when_made():
    for module in (nn.RoIPool, nn.RoIAlign):
        with pytest.raises(ValueError, match=r"mode is 'mean'; expected .*avg"):
            module(2, mode="mean")
    with pytest.raises(ValueError, match="convention is 'caffe'"):
        nn.PSRoIPool(2, convention="caffe")
    with pytest.raises(ValueError, match="pooled_size is 0"):
        nn.CropAndResize(0)


MAPS = [some_maps((2, 3, 64 >> level, 80 >> level), seed=level) for level in range(3)]
ROIS = torch.tensor([[0, 3.0, 4, 60, 70], [1, 10, 10, 30, 25], [0, 0, 0, 127, 150]])
PYRAMID = {"scales": (1 / 2, 1 / 4, 1 / 8), "canonical_size": 40.0, "canonical_level": 2}


@pytest.mark.parametrize("operator", ["roi_align", roipool.roi_align])
def test_multi_scale(operator):
    pool = nn.MultiScale(operator, (3, 2), **PYRAMID, sampling_ratio=2)
    expected = roipool.multi_scale(
        roipool.roi_align, MAPS, ROIS, (3, 2), **PYRAMID, sampling_ratio=2
    )
    for each in (pool, copy.deepcopy(pool)):
        assert torch.equal(each(MAPS, ROIS), expected)
    lowest = nn.MultiScale(operator, (3, 2), **PYRAMID, sampling_ratio=2, lowest_level=-9)
    coarse = roipool.roi_align(MAPS[2], ROIS, (3, 2), 1 / 8, sampling_ratio=2)
    assert torch.equal(lowest(MAPS, ROIS), coarse)


def test_multi_scale_refuses_when_made():
    for name in ("roi_aling", "roi_align_max", "gather_points"):
        with pytest.raises(ValueError, match=f"operator is '{name}'; expected the name"):
            nn.MultiScale(name, 2, [1 / 2])
    with pytest.raises(TypeError, match="ratio"):
        nn.MultiScale("roi_align", 2, [1 / 2], ratio=2)
    with pytest.raises(TypeError):
        nn.MultiScale("crop_and_resize", 2, [1 / 2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_multi_scale_has_gradients_for_maps_and_regions(dtype):
    pool = nn.MultiScale("roi_align", (3, 2), **PYRAMID, sampling_ratio=2)
    maps, rois = [each.clone().requires_grad_() for each in MAPS], ROIS.to(dtype).requires_grad_()
    values = pool(maps, rois)
    levels = [1, 0, 2]  # by squares of 40 pixels on the second
    each = [
        roipool.roi_align(
            maps[level], rois[k : k + 1], (3, 2), pool.scales[level], sampling_ratio=2
        )
        for k, level in enumerate(levels)
    ]
    expected, weights = torch.cat(each), torch.randn_like(values)
    inputs = [*maps, rois]
    found = torch.autograd.grad(values, inputs, weights)
    torch.testing.assert_close(found, torch.autograd.grad(expected, inputs, weights))
