"""torchvision's names give torchvision's numbers."""

import copy
import inspect
import subprocess
import sys

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


def test_position_sensitive():
    data, rois = some_maps((2, 18, 13, 11)), some_boxes()
    expected = roipool.ps_roi_pool(data, rois, (3, 2), 0.5, convention="torchvision")
    assert torch.equal(compat.ps_roi_pool(data, rois, (3, 2), 0.5), expected)
    module = compat.PSRoIPool((3, 2), 0.5)
    assert torch.equal(module(data, rois), expected)
    assert repr(module) == "PSRoIPool(output_size=(3, 2), spatial_scale=0.5)"
    expected = roipool.ps_roi_align(data, rois, (3, 2), 0.5)
    assert torch.equal(compat.ps_roi_align(data, rois, (3, 2), 0.5), expected)
    expected = roipool.ps_roi_align(data, rois, (3, 2), 0.5, sampling_ratio=2)
    module = compat.PSRoIAlign((3, 2), 0.5, 2)
    assert torch.equal(module(data, rois), expected)
    assert repr(module) == "PSRoIAlign(output_size=(3, 2), spatial_scale=0.5, sampling_ratio=2)"


def pyramid(levels=(2, 3, 4), dtype=torch.float32):
    """Of two images of 128 by 160 pixels; by name, and one that no name asks for."""
    maps = {
        str(level): some_maps((2, 3, 128 >> level, 160 >> level), seed=level).to(dtype)
        for level in levels
    }
    return {"pool": some_maps((2, 3, 2, 2)), **maps}


BOXES = [
    torch.tensor([[3.0, 4, 100, 110], [20, 30, 40, 44]]),
    torch.tensor([[0.0, 0, 60, 55], [90, 90, 90, 120], [-20, 30, 150, 100]]),
]
LEVELS = [1, 0, 0, 0, 1]  # of names 3 and 4, by squares of 32 pixels on level 3


def some_pooler(**more):
    return compat.MultiScaleRoIAlign(
        ["4", "3"], (3, 2), 2, canonical_scale=32, canonical_level=3, **more
    )


def test_multi_scale_pools_each_box_from_its_level():
    maps, pooler = pyramid(), some_pooler()
    found = pooler(maps, BOXES, [(128, 150), (100, 160)])
    assert pooler.scales == [1 / 8, 1 / 16]
    rows = torch.cat([torch.nn.functional.pad(b, (1, 0), value=i) for i, b in enumerate(BOXES)])
    each = [
        compat.roi_align(maps["34"[level]], row[None], (3, 2), pooler.scales[level], 2)
        for level, row in zip(LEVELS, rows, strict=True)
    ]
    expected = torch.cat(each)
    assert torch.equal(found, expected)
    given = some_pooler(scales=(1 / 8, 1 / 16))
    assert torch.equal(given(maps, BOXES), expected)


def test_multi_scale_has_the_attributes_of_torchvision():
    pooler = compat.MultiScaleRoIAlign(["0", "1"], 7, 2)
    names = ("featmap_names", "output_size", "sampling_ratio", "canonical_scale", "canonical_level")
    assert [getattr(pooler, name) for name in names] == [["0", "1"], (7, 7), 2, 224, 4]
    assert pooler.scales is None
    assert repr(pooler) == (
        "MultiScaleRoIAlign(featmap_names=['0', '1'], output_size=(7, 7), sampling_ratio=2)"
    )


@pytest.mark.parametrize(
    ("height", "image", "scale"), [(32, 128, 1 / 4), (34, 128, 1 / 4), (16, 33, 1 / 2), (25, 6, 4)]
)
def test_scales_are_powers_of_two_by_the_largest_height(height, image, scale):
    pooler = compat.MultiScaleRoIAlign(["0"], 2, 2)
    maps, shapes = {"0": some_maps((1, 1, height, 7))}, [(image // 2, 900), (image, 9)]
    pooler(maps, [torch.zeros(0, 4)], shapes)
    assert pooler.scales == [scale]


def test_multi_scale_of_levels_that_autocast_left_in_other_dtypes():
    maps = pyramid()
    maps["4"] = maps["4"].to(torch.bfloat16)
    found = some_pooler(scales=(1 / 8, 1 / 16))(maps, BOXES)
    assert found.dtype == torch.float32
    maps["4"] = maps["4"].float()
    assert torch.equal(found, some_pooler(scales=(1 / 8, 1 / 16))(maps, BOXES))


def test_multi_scale_refuses_what_it_cannot_know():
    with pytest.raises(ValueError, match=r"x has maps \['a'\], but featmap_names are \['4', '3'\]"):
        some_pooler()({"a": some_maps()}, BOXES, [(9, 9)])
    with pytest.raises(ValueError, match=r"of height 16 and image_shapes \[\]; give them"):
        some_pooler()(pyramid(), BOXES)


def theirs(file, name, ours):
    """A class that says it is torchvision's, with ours' attributes and another forward."""

    class Theirs(torch.nn.Module):
        __init__ = ours.__init__

        def forward(self, *given):
            raise AssertionError("not replaced")

    Theirs.__module__, Theirs.__name__, Theirs.__qualname__ = f"torchvision.ops.{file}", name, name
    Theirs.__init__ = lambda self, *args, **more: self.__setstate__(ours(*args, **more).__dict__)
    return Theirs


FILES = {
    "MultiScaleRoIAlign": "poolers",
    "RoIAlign": "roi_align",
    "RoIPool": "roi_pool",
    "PSRoIAlign": "ps_roi_align",
    "PSRoIPool": "ps_roi_pool",
}
THEIRS = {name: theirs(file, name, getattr(compat, name)) for name, file in FILES.items()}


def some_model():
    """A module of each kind, one of them twice."""
    model = torch.nn.Module()
    model.multi = THEIRS["MultiScaleRoIAlign"](["2", "3"], 2, 2)
    align = THEIRS["RoIAlign"]((3, 2), 0.5, 2, True)
    ps = [THEIRS["PSRoIAlign"]((3, 2), 0.5, 2), THEIRS["PSRoIPool"]((3, 2), 0.5)]
    model.layers = torch.nn.ModuleList([align, torch.nn.Linear(2, 3), torch.nn.ModuleList(ps)])
    model.again, model.pool = align, THEIRS["RoIPool"](2, 0.5)
    return model


def test_use_keeps_scales_that_were_inferred_before():
    pooler = THEIRS["MultiScaleRoIAlign"](["3", "4"], 2, 2)
    pooler.scales, pooler.map_levels = [1 / 4, 1 / 8], object()
    assert compat.use(pooler) == 1
    given = compat.MultiScaleRoIAlign(["3", "4"], 2, 2, scales=[1 / 4, 1 / 8])
    assert torch.equal(pooler(pyramid(), BOXES, [(128, 160)]), given(pyramid(), BOXES))


def test_use_replaces_each_kind_once():
    model = some_model()
    keys = list(model.state_dict())
    model.pool.eval()
    called = []
    model.again.register_forward_hook(lambda *given: called.append(given))
    assert compat.use(model) == 5
    assert compat.use(model) == 0
    assert list(model.state_dict()) == keys == ["layers.1.weight", "layers.1.bias"]
    assert model.again is model.layers[0]
    assert [type(model.multi), type(model.pool)] == [compat.MultiScaleRoIAlign, compat.RoIPool]
    assert (model.pool.training, model.multi.training) == (False, True)
    data, rois = some_maps((2, 18, 13, 11)), some_boxes()
    expected = compat.roi_align(data, rois, (3, 2), 0.5, 2, True)
    for each in (model, copy.deepcopy(model)):
        assert torch.equal(each.again(data, rois), expected)
        assert torch.equal(each.pool(data, rois), compat.roi_pool(data, rois, 2, 0.5))
        align, pool = each.layers[2]
        assert torch.equal(align(data, rois), compat.ps_roi_align(data, rois, (3, 2), 0.5, 2))
        assert torch.equal(pool(data, rois), compat.ps_roi_pool(data, rois, (3, 2), 0.5))
        assert each.multi(pyramid(), BOXES, [(128, 160)]).shape == (5, 3, 2, 2)
    assert len(called) == 2


def test_use_replaces_a_model_that_is_a_pooling_itself_and_leaves_others():
    assert compat.use(THEIRS["RoIPool"](2, 0.5)) == 1
    derived = type("RoIPool", (THEIRS["RoIPool"],), {"__module__": "a.users"})(2, 0.5)
    assert compat.use(torch.nn.Sequential(torch.nn.Linear(2, 2), derived)) == 0
    assert isinstance(derived, THEIRS["RoIPool"])


def test_a_replaced_model_can_be_compiled():
    model = THEIRS["RoIPool"](2, 0.5)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    data, rois = some_maps(), some_boxes()
    assert compat.use(compiled) == 1
    assert torch.equal(compiled(data, rois), compat.roi_pool(data, rois, 2, 0.5))
    pooler = some_pooler()
    compiled = torch.compile(pooler, fullgraph=True, backend="eager")
    shapes = [(128, 150), (100, 160)]
    assert torch.equal(compiled(pyramid(), BOXES, shapes), pooler(pyramid(), BOXES, shapes))
    torch._dynamo.reset()


def test_a_port_needs_no_incumbent():
    script = (
        "import sys\n"
        "for name in ('torchvision', 'detectron2', 'mmcv', 'tensorflow', 'mxnet'):\n"
        "    sys.modules[name] = None\n"
        "from roipool.compat import detectron2, mmcv, mxnet, tensorflow, torchvision\n"
        "import torch\n"
        "assert torchvision.use(torch.nn.Linear(2, 2)) == 0\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
