"""OpenVINO's ROIPooling, method max, ROIAlign, ROIAlignRotated and PSROIPooling: forward only.

Its bins differ from everyone else's in about 1 of 10,000 values.
"""

import sys

import numpy as np

from benchmarks.contenders import Case, UnsupportedError

sys.modules["openvino_telemetry"] = None  # else importing OpenVINO reports home, in a thread
import openvino  # noqa: E402
from openvino import opset13, opset15  # noqa: E402

ABOUT = openvino.__version__.partition("-")[0] + "; every call reuses the memory of its result"
AGREES = "counted"


def forward(case: Case):
    case.refuse_all_but_plain_float32()
    case.refuse_modes()
    known = {
        "roi_pool": _roi_pooling,
        "roi_align": _roi_align,
        "roi_align_rotated": _rotated,
        "ps_roi_pool": _ps_roi_pooling,
    }
    arrays, node = case.only(**known)(case)
    inputs = [opset13.parameter(array.shape, array.dtype) for array in arrays]
    properties = {
        "INFERENCE_NUM_THREADS": case.threads,
        "INFERENCE_PRECISION_HINT": "f32",  # else it may round to bfloat16
        "PERFORMANCE_HINT": "LATENCY",
    }
    model = openvino.compile_model(openvino.Model([node(*inputs)], inputs), "CPU", properties)
    request = model.create_infer_request()
    for i, array in enumerate(arrays):
        request.set_input_tensor(i, openvino.Tensor(array, shared_memory=True))

    def run(keeping_alive=arrays):  # which a shared tensor does not
        request.start_async()  # infer() would copy the result
        request.wait()
        return (request.get_output_tensor().data,)

    return run


def _roi_pooling(case: Case):
    def node(data, rois):
        return opset13.roi_pooling(data, rois, case.pooled_size, case.spatial_scale, "max")

    return (case.data, case.rois), node


def _roi_align(case: Case):
    def node(data, boxes, images):
        return opset13.roi_align(
            data,
            boxes,
            images,
            *case.pooled_size,
            case.options["sampling_ratio"],
            case.spatial_scale,
            "avg",
            "half_pixel_for_nn" if case.options["aligned"] else "asymmetric",
        )

    boxes = np.ascontiguousarray(case.rois[:, 1:])
    return (case.data, boxes, case.rois[:, 0].astype(np.int32)), node


def _rotated(case: Case):
    def node(data, boxes, images):
        ratio, scale = case.options["sampling_ratio"], case.spatial_scale
        return opset15.roi_align_rotated(
            data, boxes, images, *case.pooled_size, ratio, scale, clockwise_mode=False
        )

    boxes = np.ascontiguousarray(case.rois[:, 1:])
    return (case.data, boxes, case.rois[:, 0].astype(np.int32)), node


def _ps_roi_pooling(case: Case):
    if case.options["convention"] != "rfcn":
        raise UnsupportedError("PSROIPooling has R-FCN's convention alone")
    size = case.pooled_size[0]
    channels = case.data.shape[1] // size**2

    def node(data, rois):
        scale = case.spatial_scale
        return opset13.psroi_pooling(data, rois, channels, size, scale, 1, 1, "average")

    return (case.data, case.rois), node
