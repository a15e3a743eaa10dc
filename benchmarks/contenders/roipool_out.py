"""roipool on NumPy arrays, every result in the same memory."""

import numpy as np

import roipool
from benchmarks.contenders import Case
from benchmarks.contenders.roipool import ABOUT as VERSION
from benchmarks.contenders.roipool import AGREES as AGREES
from benchmarks.contenders.roipool import pool

ABOUT = f"{VERSION}; every call reuses the memory of its result"


def forward(case: Case):
    values = pool(case, return_argmax=False)
    return lambda: (pool(case, return_argmax=False, out=values),)


def train(case: Case):
    both = pool(case, return_argmax=True)
    grad_data = np.empty(case.data.shape, case.grad.dtype)

    def run():
        values, argmax = pool(case, return_argmax=True, out=both)
        return values, _gradient(case, argmax, grad_data)

    return run


def backward(case: Case):
    _, argmax = pool(case, return_argmax=True)
    grad_data = np.empty(case.data.shape, case.grad.dtype)
    return lambda: (_gradient(case, argmax, grad_data),)


def _gradient(case: Case, argmax: np.ndarray, out: np.ndarray) -> np.ndarray:
    return roipool.roi_pool_backward(case.grad, argmax, case.rois, case.data.shape, out=out)
