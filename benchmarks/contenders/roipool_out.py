"""roipool on NumPy arrays, every result in the same memory."""

import numpy as np

import roipool
from benchmarks.contenders import Case
from roipool import _core

ABOUT = f"{roipool.__version__} ({_core.isa()}); every call reuses the memory of its result"
AGREES = "bits"


def _pool(case: Case):
    def run(return_argmax: bool, out):
        return roipool.roi_pool(
            case.data,
            case.rois,
            case.pooled_size,
            case.spatial_scale,
            return_argmax=return_argmax,
            out=out,
        )

    return run


def forward(case: Case):
    run, values = _pool(case), np.empty(case.result_shape, case.data.dtype)
    return lambda: (run(False, values),)


def train(case: Case):
    run, data_shape = _pool(case), case.data.shape
    both = run(True, None)
    grad_data = np.empty(data_shape, case.grad.dtype)

    def step():
        values, argmax = run(True, both)
        roipool.roi_pool_backward(case.grad, argmax, case.rois, data_shape, out=grad_data)
        return values, grad_data

    return step


def backward(case: Case):
    _, argmax = _pool(case)(True, None)
    grad_data = np.empty(case.data.shape, case.grad.dtype)
    return lambda: (
        roipool.roi_pool_backward(case.grad, argmax, case.rois, case.data.shape, out=grad_data),
    )
