"""Detectron2's names are roipool's operators with its arguments."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import roipool
from roipool.compat import detectron2 as compat
from tensors import some_boxes, some_maps

SCALES = [1 / 2, 1 / 4, 1 / 8]
SIDES = [20, 12, 33, 40, 64, 90]  # of boxes, in image pixels, over all levels by CANONICAL
CANONICAL = {"canonical_box_size": 32, "canonical_level": 2}


class Boxes:
    """As far as a pooler reads Detectron2's."""

    def __init__(self, tensor):
        self.tensor = tensor


def pyramid(images=2):
    return [some_maps((images, 3, 64 >> level, 80 >> level), seed=level) for level in range(3)]


def squares(turned=False):
    """Of two images."""
    each = []
    for k, sides in enumerate((SIDES[:2], SIDES[2:])):
        side = torch.tensor(sides, dtype=torch.float32)
        x, y = 10.0 + k + 0 * side, 5.0 + 0 * side
        if turned:
            degrees = torch.linspace(-170, 200, len(sides))
            columns = [x + side / 2, y + side / 2, side, side, degrees]
        else:
            columns = [x, y, x + side, y + side]
        each.append(torch.stack(columns, 1))
    return each


def rows_of(boxes):
    return compat.convert_boxes_to_pooler_format(boxes)


def level_by_level(pool, maps, rows, levels):
    """Each region by a call of its own."""
    pairs = zip(levels, rows, strict=True)
    return torch.cat([pool(maps[level], row[None], SCALES[level]) for level, row in pairs])


def test_align():
    data, rois = some_maps(), some_boxes()
    for aligned in (True, False):
        module = compat.ROIAlign((3, 2), 0.5, 2, aligned)
        expected = roipool.roi_align(data, rois, (3, 2), 0.5, sampling_ratio=2, aligned=aligned)
        assert torch.equal(module(data, rois), expected)
    assert repr(compat.ROIAlign(7, spatial_scale=0.5, sampling_ratio=0)) == (
        "ROIAlign(output_size=7, spatial_scale=0.5, sampling_ratio=0, aligned=True)"
    )


def test_rows_and_levels_of_boxes():
    boxes = squares()
    rows = rows_of([Boxes(each) for each in boxes])
    assert rows[:, 0].tolist() == [0, 0, 1, 1, 1, 1]
    assert torch.equal(rows[:, 1:], torch.cat(boxes))
    levels = compat.assign_boxes_to_levels([Boxes(each) for each in boxes], 1, 3, 32, 2)
    assert levels.dtype == torch.int64
    assert levels.tolist() == [0, 0, 1, 1, 2, 2]
    assert torch.equal(compat.assign_boxes_to_levels(squares(turned=True), 1, 3, 32, 2), levels)


@pytest.mark.parametrize(
    ("pooler_type", "operator", "options"),
    [
        ("ROIAlign", roipool.roi_align, {"sampling_ratio": 2, "aligned": False}),
        ("ROIAlignV2", roipool.roi_align, {"sampling_ratio": 2, "aligned": True}),
        ("ROIPool", roipool.roi_pool, {}),
    ],
)
def test_pooler(pooler_type, operator, options):
    maps, boxes = pyramid(), squares()
    pooler = compat.ROIPooler((3, 2), SCALES, 2, pooler_type, **CANONICAL)
    found = pooler(maps, [Boxes(each) for each in boxes])
    assert torch.equal(found, pooler(maps, boxes))
    expected = level_by_level(
        lambda data, rows, scale: operator(data, rows, (3, 2), scale, **options),
        maps,
        rows_of(boxes),
        [0, 0, 1, 1, 2, 2],
    )
    assert found.shape == (6, 3, 3, 2)
    assert torch.equal(found, expected)


def test_pooler_of_one_level_and_of_no_boxes():
    data = some_maps((1, 3, 32, 40))
    pooler = compat.ROIPooler(2, [1 / 2], 0, "ROIAlignV2")
    assert pooler.output_size == (2, 2)
    assert (pooler.min_level, pooler.max_level) == (1, 1)
    found = pooler([data], squares()[:1])
    assert torch.equal(found, roipool.roi_align(data, squares()[:1], 2, 1 / 2))
    assert pooler([data], [torch.zeros(0, 4)]).shape == (0, 3, 2, 2)


def test_angles_are_degrees_and_have_gradients():
    data = some_maps((2, 3, 32, 40))
    rois = rows_of(squares(turned=True)).requires_grad_()
    module = compat.ROIAlignRotated((3, 2), 0.5, 2)
    found = module(data, rois)
    turned = rois.detach().double()
    turned[:, 5] *= math.pi / 180
    expected = roipool.roi_align_rotated(data, turned.float(), (3, 2), 0.5, sampling_ratio=2)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    quarter = torch.tensor([[0, 20.5, 16.5, 8, 8, 90.0]])
    upright = roipool.roi_align(data, torch.tensor([[0, 16.5, 12.5, 24.5, 20.5]]), 2, 0.5)
    square = compat.ROIAlignRotated(2, 0.5, 0)(data, quarter)
    torch.testing.assert_close(square, torch.rot90(upright, -1, (2, 3)), rtol=1e-4, atol=1e-5)
    found.sum().backward()
    assert rois.grad[:, 1:].abs().min() > 0


def test_pooler_of_turned_boxes():
    maps, boxes = pyramid(), squares(turned=True)
    pooler = compat.ROIPooler((3, 2), SCALES, 2, "ROIAlignRotated", **CANONICAL)
    given = [each.requires_grad_() for each in boxes]
    found = pooler(maps, [Boxes(each) for each in given])
    expected = level_by_level(
        lambda data, rows, scale: compat.ROIAlignRotated((3, 2), scale, 2)(data, rows),
        maps,
        rows_of(boxes),
        [0, 0, 1, 1, 2, 2],
    )
    assert torch.equal(found, expected)
    weights = torch.randn_like(found)
    gradients = [torch.autograd.grad(values, given, weights) for values in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)


def test_degrees_of_half_precision_are_turned_in_float32():
    rois = torch.tensor([[0, 8, 8, 6, 4, 33.0]])
    found = compat._in_radians(rois.half())
    np.testing.assert_allclose(found[0, 5].item(), math.radians(33), rtol=1e-7)


def test_what_is_refused():
    with pytest.raises(ValueError, match="pooler_type is 'RoIAlign'; expected one of 'ROIAlign'"):
        compat.ROIPooler(7, SCALES, 0, "RoIAlign")
    with pytest.raises(ValueError, match="expected a pyramid"):
        compat.ROIPooler(7, [1 / 4, 1 / 16], 0, "ROIAlign")
    pooler = compat.ROIPooler(7, SCALES, 0, "ROIAlign")
    with pytest.raises(ValueError, match="one number for each of the 2 levels"):
        pooler(pyramid()[:2], squares())
    with pytest.raises(ValueError, match="boxes for 1 images, but data holds 2"):
        pooler(pyramid(), squares()[:1])
