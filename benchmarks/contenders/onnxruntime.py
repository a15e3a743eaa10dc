"""ONNX Runtime's MaxRoiPool: forward only, NumPy arrays in and out."""

import onnxruntime
from onnx import TensorProto, helper

from benchmarks.contenders import Case

ABOUT = onnxruntime.__version__
AGREES = "bits"


def forward(case: Case):
    case.refuse_all_but_plain_float32()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads
    session = onnxruntime.InferenceSession(_model(case), options, ["CPUExecutionProvider"])
    return lambda: session.run(None, {"data": case.data, "rois": case.rois})


def _model(case: Case) -> bytes:
    shapes = {"data": case.data.shape, "rois": case.rois.shape, "values": case.result_shape}
    data, rois, values = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    )
    node = helper.make_node(
        "MaxRoiPool",
        ["data", "rois"],
        ["values"],
        pooled_shape=case.pooled_size,
        spatial_scale=case.spatial_scale,
    )
    graph = helper.make_graph([node], "max_roi_pool", [data, rois], [values])
    # Old versions on purpose: every release of the runtime reads them.
    opsets = [helper.make_opsetid("", 13)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
