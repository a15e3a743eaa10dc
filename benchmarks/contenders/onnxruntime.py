"""ONNX Runtime's MaxRoiPool and RoiAlign: forward only, NumPy arrays in and out."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from benchmarks.contenders import Case

ABOUT = onnxruntime.__version__
AGREES = "bits"


def forward(case: Case):
    case.refuse_all_but_plain_float32()
    model, inputs = case.only(roi_pool=_max_roi_pool, roi_align=_roi_align)(case)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    return lambda: session.run(None, inputs)


def _max_roi_pool(case: Case):
    case.refuse_modes()
    inputs = {"data": case.data, "rois": case.rois}
    attributes = {"pooled_shape": case.pooled_size, "spatial_scale": case.spatial_scale}
    return _model(case, "MaxRoiPool", inputs, attributes), inputs


def _roi_align(case: Case):
    inputs = {
        "data": case.data,
        "boxes": np.ascontiguousarray(case.rois[:, 1:]),
        "images": case.rois[:, 0].astype(np.int64),
    }
    aligned, (height, width) = case.options["aligned"], case.pooled_size
    attributes = {
        "output_height": height,
        "output_width": width,
        "sampling_ratio": case.options["sampling_ratio"],
        "spatial_scale": case.spatial_scale,
        "mode": "max" if case.options.get("mode") == "onnx_max" else "avg",
        "coordinate_transformation_mode": "half_pixel" if aligned else "output_half_pixel",
    }
    return _model(case, "RoiAlign", inputs, attributes), inputs


def _model(case: Case, name: str, inputs: dict, attributes: dict) -> bytes:
    known = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in inputs.items()
    ]
    values = helper.make_tensor_value_info("values", TensorProto.FLOAT, case.result_shape)
    node = helper.make_node(name, list(inputs), ["values"], **attributes)
    graph = helper.make_graph([node], "pool", known, [values])
    # Old versions on purpose: every release of the runtime reads them; 16 has both alignments.
    opsets = [helper.make_opsetid("", 16)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
