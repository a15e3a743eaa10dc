"""roipool on CPU tensors, through PyTorch's dispatcher and autograd."""

import torch

import roipool
from benchmarks.autograd import modes
from benchmarks.autograd import to_numpy as to_numpy
from benchmarks.contenders import Case
from roipool import _core

ABOUT = f"{roipool.__version__} ({_core.isa()}, torch {torch.__version__})"
AGREES = "bits"


def _pool(case: Case):
    return lambda data, rois: roipool.roi_pool(data, rois, case.pooled_size, case.spatial_scale)


forward, train, backward = modes(_pool)
