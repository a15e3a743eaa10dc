"""Bit for bit with ONNX Runtime's MaxRoiPool, on float32."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import roipool
from cases import assert_same_bits
from peers.cases import cases


def max_roi_pool(data, rois, pooled_size, scale):
    def tensor(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)

    node = helper.make_node(
        "MaxRoiPool", ["data", "rois"], ["out"], pooled_shape=pooled_size, spatial_scale=scale
    )
    graph = helper.make_graph([node], "pool", [tensor("data"), tensor("rois")], [tensor("out")])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=onnx.IR_VERSION_2021_7_30
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"data": data, "rois": rois})[0]


@pytest.mark.parametrize("seed", range(5))
def test_same_bits(seed):
    for case in cases(60, seed):
        data, rois = case["data"].astype(np.float32), case["rois"].astype(np.float32)
        expected = max_roi_pool(data, rois, case["pooled_size"], case["scale"])
        actual = roipool.roi_pool(data, rois, case["pooled_size"], case["scale"])
        # Of zeros of both signs it takes either; the first one is ours and MXNet's.
        assert_same_bits(actual + 0.0, expected + 0.0)
