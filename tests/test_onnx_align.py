"""roi_align and ONNX's RoiAlign: the standard's own examples, and ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx.backend.test.case.node import roialign

import roipool
from align_cases import assert_close, calls

TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}


def roi_align_node(data, rois, pooled_size, scale, opset, sampling_ratio, aligned):
    attributes = {
        "output_height": pooled_size[0],
        "output_width": pooled_size[1],
        "spatial_scale": scale,
        "sampling_ratio": sampling_ratio,
    }
    if opset >= 16:
        mode = "half_pixel" if aligned else "output_half_pixel"
        attributes["coordinate_transformation_mode"] = mode
    node = helper.make_node("RoiAlign", ["data", "boxes", "index"], ["out"], **attributes)
    kind = TYPES[data.dtype.name]
    kinds = {"data": kind, "boxes": kind, "index": TensorProto.INT64}
    inputs = [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()]
    out = helper.make_tensor_value_info("out", kind, None)
    graph = helper.make_graph([node], "align", inputs, [out])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=onnx.IR_VERSION_2021_7_30
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    arrays = {"data": data, "boxes": rois[:, 1:], "index": rois[:, 0].astype(np.int64)}
    return session.run(None, arrays)[0]


def it_runs(rois, call):
    """ONNX Runtime fails where the number of samples is negative."""
    adaptive = call["sampling_ratio"] == 0 and call["aligned"]
    return (not adaptive) | np.all(rois[:, 3:] >= rois[:, 1:3], axis=1)


@pytest.mark.parametrize("opset", [10, 16])
def test_onnx_runtime(opset):
    found, left_out = calls(96, seed=5, kept=it_runs)
    count = 0
    for case in found:
        if opset < 16 and case["how"]["aligned"]:
            continue
        arguments = case["data"], case["rois"], case["pooled_size"], case["scale"]
        expected = roi_align_node(*arguments, opset, **case["how"])
        assert_close(roipool.roi_align(*arguments, **case["how"]), expected)
        count += len(case["rois"])
    assert count > (800 if opset == 16 else 400)
    assert left_out < 0.1 * count, f"{left_out} regions lie at a jump"


def test_the_examples_of_the_standard(monkeypatch):
    found = []
    monkeypatch.setattr(
        roialign,
        "expect",
        lambda node, inputs, outputs, name: found.append((node, inputs, outputs)),
    )
    for name in dir(roialign.RoiAlign):
        if name.startswith("export"):
            getattr(roialign.RoiAlign, name)()
    averages = 0
    for node, (data, boxes, index), (expected,) in found:
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if attributes.get("mode") == b"max":
            continue
        mode = attributes.get("coordinate_transformation_mode", b"half_pixel")
        actual = roipool.roi_align(
            data,
            np.concatenate([index[:, None], boxes], axis=1).astype(np.float32),
            (attributes["output_height"], attributes["output_width"]),
            attributes["spatial_scale"],
            sampling_ratio=attributes.get("sampling_ratio", 0),
            aligned=mode == b"half_pixel",
        )
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1.1e-4)  # of 4 digits
        averages += 1
    assert averages >= 2
