"""OpenVINO's ROIPooling, method max, and ROIAlign."""

import sys

import numpy as np

sys.modules["openvino_telemetry"] = None  # else importing OpenVINO reports home, in a thread
import openvino  # noqa: E402
from openvino import opset13  # noqa: E402

from odd_inputs.calls import Call, UnsupportedError, separate  # noqa: E402

VERSION = openvino.__version__.partition("-")[0]
PROPERTIES = {"INFERENCE_PRECISION_HINT": "f32"}  # else it may round to bfloat16


def prepare(operator: str, call: Call):
    size, scale = call.pooled_size, call.scale
    if operator == "ROIPooling":
        arrays = [call.data, call.reform(call.rois)]
        how = size, scale, "max"
        node = opset13.roi_pooling
    else:
        boxes, images = separate("corners", call, np.int32)
        arrays = [call.data, boxes, images]
        how = *size, call.sampling_ratio, scale, "avg", "half_pixel_for_nn"
        node = opset13.roi_align
    if not all(isinstance(array, np.ndarray) for array in arrays):
        raise UnsupportedError("a model's inputs are arrays")
    inputs = [opset13.parameter(array.shape, array.dtype) for array in arrays]

    def run():
        made = openvino.Model([node(*inputs, *how)], inputs)
        request = openvino.compile_model(made, "CPU", PROPERTIES).create_infer_request()
        shared = [np.ascontiguousarray(array) for array in arrays]  # a tensor keeps none alive
        for i, array in enumerate(shared):
            request.set_input_tensor(i, openvino.Tensor(array, shared_memory=True))
        request.infer()
        return request.get_output_tensor().data.copy()

    return run
