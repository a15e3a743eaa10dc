"""Exported models in ONNX Runtime give what the tensors gave, up to the sign of a zero."""

import doctest

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")

import onnx

import roipool.onnx
from cases import NAMES, onnx_boxes
from peers.cases import cases
from roipool.checks import IN_FLOAT32
from roipool.nn import RoIPool
from tensors import some_boxes, some_maps, to_tensor

ANY = {0: torch.export.Dim.DYNAMIC}
ANY_MAPS = dict.fromkeys(range(4), torch.export.Dim.DYNAMIC)


def export(model, arguments, shapes=(ANY_MAPS, ANY), **options):
    program = torch.onnx.export(
        model.eval(),
        arguments,
        dynamo=True,
        verbose=False,
        dynamic_shapes=shapes,
        custom_translation_table=roipool.onnx.translation(),
        **options,
    )
    onnx.checker.check_model(program.model_proto, full_check=True)
    return program


def assert_equal(actual, expected):
    """In shape, dtype and every bit, but that zeros of both signs are one."""
    torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(("size", "scale"), [((7, 7), 0.0625), ((3, 5), 1 / 3), ((2, 1), 1.0)])
def test_one_model_for_maps_and_regions_of_any_number(size, scale):
    pool = RoIPool(size, scale)
    program = export(pool, (some_maps(), some_boxes(scale=scale)))
    for case in cases(40, seed=1):
        data, rois = (to_tensor(case[name].astype(np.float32)) for name in ("data", "rois"))
        assert_equal(program(data, rois)[0], pool(data, rois))
    odd = to_tensor(onnx_boxes(13, 11, scale))
    assert_equal(program(some_maps(), odd)[0], pool(some_maps(), odd))
    assert program(some_maps(), odd[:0])[0].shape == (0, 5, *size)


@pytest.mark.parametrize("dtype", NAMES)
def test_every_dtype(dtype):
    pool = RoIPool((3, 2), 0.7)
    data = some_maps(dtype=dtype)
    rois = to_tensor(onnx_boxes(13, 11, 0.7))
    if dtype in IN_FLOAT32:
        program = export(pool, (data, rois))
        assert_equal(program(data, rois)[0], pool(data, rois))
        return
    with pytest.raises(Exception, match=f"data has dtype {dtype}; an ONNX graph pools in float32"):
        export(pool, (data, rois))


def test_neighbours_and_boxes_of_each_image():
    class Head(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = torch.nn.Conv2d(5, 8, 3, padding=1)

        def forward(self, images, first, second):
            return roipool.roi_pool(self.convolution(images), [first, second], 2).flatten(1)

    torch.manual_seed(0)
    head, boxes = Head(), some_boxes()[:9, 1:]
    program = export(head, (some_maps(), boxes[:4], boxes[4:]), ({2: ANY[0]}, ANY, ANY))
    for count in (1, 5, 0):
        arguments = some_maps((2, 5, 9, 11)), boxes[:count], boxes[count:]
        torch.testing.assert_close(program(*arguments)[0], head(*arguments))


def test_float16_features_round_no_coordinate():
    data = torch.arange(3000.0).reshape(1, 1, 1, 3000).half()
    rois = torch.tensor([[0, 2049.0, 0, 2049, 0]], dtype=torch.float64)  # float16 has no 2049
    program = export(RoIPool(1), (data, rois))
    assert torch.equal(program(data, rois)[0], data[..., 2049:2050])


@pytest.mark.parametrize("opset", [18, 20, 21])
def test_every_opset_that_onnx_runtime_pools_in(opset):
    arguments = some_maps(), some_boxes()[:4]
    program = export(RoIPool(2), arguments, opset_version=opset)
    assert program.model.opset_imports[""] == opset
    assert_equal(program(*arguments)[0], RoIPool(2)(*arguments))


def test_a_batch_index_too_large_is_an_error_of_the_runtime():
    program = export(RoIPool(2), (some_maps(), some_boxes()[:4]))
    with pytest.raises(Exception, match=r"MaxRoiPool.*batch"):
        program(some_maps(), torch.tensor([[2.0, 0, 0, 3, 3]]))


def test_positions_are_refused():
    class Both(torch.nn.Module):
        def forward(self, data, rois):
            return roipool.roi_pool(data, rois, 2, return_argmax=True)

    with pytest.raises(Exception, match="ONNX's MaxRoiPool gives no positions; leave out return_a"):
        export(Both(), (some_maps(), some_boxes()))


def test_what_no_node_says():
    pool = RoIPool(2)
    data = torch.full((1, 1, 4, 4), -torch.inf)
    rois = torch.tensor([[0, 0, 0, 3, 3], [0, -1e30, 0, 1e30, 3], [0, torch.nan, 0, 3, 3]])
    values = export(pool, (data, rois))(data, rois)[0]
    assert (values[0] == torch.finfo(torch.float32).min).all()
    assert not values[1:].any()


def test_example():
    results = doctest.testmod(roipool.onnx)
    assert results.attempted > 0
    assert results.failed == 0
