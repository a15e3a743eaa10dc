"""ONNX Runtime's MaxRoiPool and RoiAlign, in models that say their inputs' shapes."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from odd_inputs.calls import Call, separate

VERSION = onnxruntime.__version__


def prepare(operator: str, call: Call):
    if operator == "MaxRoiPool":
        inputs = {"X": call.data, "rois": call.reform(call.rois)}
        attributes = {"pooled_shape": call.pooled_size, "spatial_scale": call.scale}
    else:
        boxes, images = separate("corners", call, np.int64)
        inputs = {"X": call.data, "rois": boxes, "batch_indices": images}
        attributes = {
            "output_height": call.pooled_size[0],
            "output_width": call.pooled_size[1],
            "sampling_ratio": call.sampling_ratio,
            "spatial_scale": call.scale,
            "coordinate_transformation_mode": "half_pixel",
        }
    known = [helper.make_tensor_value_info(name, *_kind(array)) for name, array in inputs.items()]
    values = helper.make_tensor_value_info("Y", known[0].type.tensor_type.elem_type, None)

    def run():
        node = helper.make_node(operator, [*inputs], ["Y"], **attributes)
        graph = helper.make_graph([node], "pool", known, [values])
        # Every release of the runtime reads 16, which has half-pixel alignment.
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        return session.run(None, inputs)[0]

    return run


def _kind(array):
    """Dtype and shape; of what is no array, floats of any shape."""
    if not isinstance(array, np.ndarray):
        return TensorProto.FLOAT, None
    return helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
