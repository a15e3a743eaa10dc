"""roipool on NumPy arrays, every result in the same memory."""

import numpy as np

from benchmarks.contenders import Case
from benchmarks.contenders.roipool import ABOUT as VERSION
from benchmarks.contenders.roipool import AGREES as AGREES
from benchmarks.contenders.roipool import argmax_of, differentiating, finds, pooling, several

ABOUT = f"{VERSION}; every call reuses the memory of its result"


def forward(case: Case):
    pool, data = pooling(case), several(case, case.maps)
    values = pool(data, case.rois)
    return lambda: (pool(data, case.rois, out=values),)


def train(case: Case):
    positions = finds(case)
    pool, gradient = pooling(case, positions), differentiating(case)
    out, grad_data = pool(case.data, case.rois), _like_data(case)

    def run():
        found = pool(case.data, case.rois, out=out)
        values, argmax = found if positions else (found, None)
        return values, gradient(argmax, out=grad_data)

    return run


def backward(case: Case):
    gradient, argmax, grad_data = differentiating(case), argmax_of(case), _like_data(case)
    return lambda: (gradient(argmax, out=grad_data),)


def _like_data(case: Case) -> np.ndarray:
    return np.empty(case.data.shape, case.grad.dtype)
