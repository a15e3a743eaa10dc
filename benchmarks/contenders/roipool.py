"""roipool on NumPy arrays."""

import roipool
from benchmarks.contenders import Case
from roipool import _core

ABOUT = f"{roipool.__version__} ({_core.isa()})"
AGREES = "bits"


def pool(case: Case, return_argmax: bool, **options):
    return roipool.roi_pool(
        case.data,
        case.rois,
        case.pooled_size,
        case.spatial_scale,
        return_argmax=return_argmax,
        **options,
    )


def forward(case: Case):
    return lambda: (pool(case, return_argmax=False),)


def train(case: Case):
    def run():
        values, argmax = pool(case, return_argmax=True)
        return values, roipool.roi_pool_backward(case.grad, argmax, case.rois, case.data.shape)

    return run


def backward(case: Case):
    _, argmax = pool(case, return_argmax=True)
    return lambda: (roipool.roi_pool_backward(case.grad, argmax, case.rois, case.data.shape),)
