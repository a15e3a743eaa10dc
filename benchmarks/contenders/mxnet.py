"""MXNet's ROIPooling and contrib.ROIAlign, whose engine is asynchronous."""

import numpy as np

from benchmarks.contenders import Case

np.bool = bool  # MXNet 1.9.1 asks for it, and NumPy 1.24 took it away
import mxnet as mx  # noqa: E402

ABOUT = f"{mx.__version__}; its ROIPooling always keeps the argmax"
AGREES = "bits"


def _pool(case: Case):
    case.refuse_all_but_plain_float32()
    case.refuse_modes()
    call = case.only(roi_pool=_roi_pool, roi_align=_roi_align)
    data, rois = mx.nd.array(case.data), mx.nd.array(case.rois)
    mx.nd.waitall()
    return data, lambda: call(case, data, rois)


def _roi_pool(case: Case, data, rois):
    return mx.nd.ROIPooling(data, rois, case.pooled_size, case.spatial_scale)


def _roi_align(case: Case, data, rois):
    return mx.nd.contrib.ROIAlign(
        data,
        rois,
        case.pooled_size,
        case.spatial_scale,
        sample_ratio=case.options["sampling_ratio"] or -1,
        aligned=case.options["aligned"],
    )


def forward(case: Case):
    _, pool = _pool(case)

    def run():
        values = pool()
        values.wait_to_read()
        return (values,)

    return run


def train(case: Case):
    data, pool = _pool(case)
    grad = mx.nd.array(case.grad)
    data.attach_grad()

    def run():
        with mx.autograd.record():
            values = pool()
        values.backward(grad)
        data.grad.wait_to_read()
        return values, data.grad

    return run


def backward(case: Case):
    data, pool = _pool(case)
    grad = mx.nd.array(case.grad)
    data.attach_grad()
    with mx.autograd.record():
        values = pool()
    mx.nd.waitall()

    def run():
        values.backward(grad, retain_graph=True)
        data.grad.wait_to_read()
        return (data.grad,)

    return run


def to_numpy(result):
    return tuple(array.asnumpy() for array in result)
