"""Exported models with roi_align in ONNX Runtime give what the tensors gave, to rounding."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")

import roipool
from align_cases import assert_close, calls
from cases import NAMES
from roipool.nn import RoIAlign
from tensors import some_boxes, some_maps, to_array, to_tensor
from test_torch_onnx import ANY, ANY_MAPS, export


def near_boxes(dtype=np.float32):
    """All but those whose adaptive grid fills ONNX Runtime's memory, on the map or not."""
    rois = to_array(some_boxes(dtype=dtype))
    return to_tensor(rois[(np.abs(rois[:, 1:]).max(axis=1) < 1000) | (rois[:, 0] < 0)])


@pytest.mark.parametrize("scale", [0.7, (0.5, 1 / 3)])
@pytest.mark.parametrize(("sampling_ratio", "aligned"), [(0, True), (2, False)])
def test_one_model_for_maps_and_regions_of_any_number(scale, sampling_ratio, aligned):
    pool = RoIAlign((3, 2), scale, sampling_ratio=sampling_ratio, aligned=aligned)
    program = export(pool, (some_maps(), near_boxes()))
    shapes = {(case["data"].shape, len(case["rois"])) for case in calls(8, seed=1)[0]}
    for shape, count in shapes:
        data, rois = some_maps(shape), some_boxes(shape[0], *shape[2:], count)[:count]
        assert_close(to_array(program(data, rois)[0]), to_array(pool(data, rois)))
    assert_close(
        *(
            to_array(out)
            for out in (program(some_maps(), near_boxes())[0], pool(some_maps(), near_boxes()))
        )
    )
    assert program(some_maps(), near_boxes()[:0])[0].shape == (0, 5, 3, 2)


@pytest.mark.parametrize("dtype", NAMES[:4])
def test_every_dtype(dtype):
    pool = RoIAlign((3, 2), 0.7)
    data = some_maps(dtype=dtype)
    rois = near_boxes(np.float64 if dtype == "float64" else np.float32)
    actual = export(pool, (data, rois))(data, rois)[0]
    assert_close(to_array(actual), to_array(pool(data, rois)))


def test_boxes_of_each_image_and_two_operators():
    class Head(torch.nn.Module):
        def forward(self, images, first, second):
            aligned = roipool.roi_align(images, [first, second], 2, 0.5, sampling_ratio=2)
            return aligned + roipool.roi_pool(images, [first, second], 2, 0.5)

    boxes = some_boxes()[:9, 1:]
    program = export(Head(), (some_maps(), boxes[:4], boxes[4:]), ({2: ANY[0]}, ANY, ANY))
    for count in (1, 5, 0):
        arguments = some_maps((2, 5, 9, 11)), boxes[:count], boxes[count:]
        torch.testing.assert_close(program(*arguments)[0], Head()(*arguments))


@pytest.mark.parametrize("pool", [roipool.roi_align, roipool.roi_pool])
def test_several_arrays_of_maps(pool):
    scales = 1.0, (0.5, 0.4)

    class Pyramid(torch.nn.Module):
        def forward(self, fine, coarse, rois):
            return pool([fine, coarse], rois, 2, scales)

    rois = near_boxes()
    rois[rois[:, 0] == 0, 0] += torch.arange(len(rois))[rois[:, 0] == 0] % 4
    fine, coarse = some_maps(), some_maps((2, 5, 7, 6), seed=1)
    program = export(Pyramid(), (fine, coarse, rois), (ANY_MAPS, ANY_MAPS, ANY))
    index = rois[:, :1]
    of_fine = torch.where(index < 2, rois, -1)
    of_coarse = rois - torch.tensor([2.0, 0, 0, 0, 0])  # below 0: padding
    expected = pool(fine, of_fine, 2, scales[0]) + pool(coarse, of_coarse, 2, scales[1])
    assert_close(to_array(program(fine, coarse, rois)[0]), to_array(expected))


def test_positions_of_several_are_refused():
    class Both(torch.nn.Module):
        def forward(self, fine, coarse, rois):
            return roipool.roi_pool([fine, coarse], rois, 2, return_argmax=True)

    arguments = some_maps(), some_maps((2, 5, 7, 6)), near_boxes()
    with pytest.raises(Exception, match="ONNX's MaxRoiPool gives no positions; leave out return_a"):
        export(Both(), arguments, (ANY_MAPS, ANY_MAPS, ANY))
