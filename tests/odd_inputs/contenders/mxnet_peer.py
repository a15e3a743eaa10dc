"""MXNet's ROIPooling and contrib.ROIAlign; errors come when a result is read."""

import numpy as np

np.bool = bool  # MXNet 1.9.1 asks for it, and NumPy 1.24 took it away
import mxnet as mx  # noqa: E402

from odd_inputs.calls import Call  # noqa: E402

VERSION = mx.__version__


def prepare(operator: str, call: Call):
    data, rois = mx.nd.array(call.data, dtype=call.data.dtype), call.reform(call.rois)
    if isinstance(rois, np.ndarray):
        rois = mx.nd.array(rois, dtype=rois.dtype)
    mx.nd.waitall()
    given = data, rois, call.pooled_size, call.scale
    if operator == "ROIPooling":
        return lambda: mx.nd.ROIPooling(*given).asnumpy()
    how = {"sample_ratio": call.sampling_ratio or -1, "aligned": True}
    return lambda: mx.nd.contrib.ROIAlign(*given, **how).asnumpy()
