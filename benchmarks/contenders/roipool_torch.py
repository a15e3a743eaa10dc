"""roipool on CPU tensors, through PyTorch's dispatcher and autograd."""

import torch

import roipool
from benchmarks.autograd import modes
from benchmarks.autograd import to_numpy as to_numpy
from benchmarks.contenders import Case
from benchmarks.contenders.roipool import of, pooling
from roipool import _core

ABOUT = f"{roipool.__version__} ({_core.isa()}, torch {torch.__version__})"
AGREES = "bits"


forward, train, backward, of_rois = modes(pooling)


def backward_rois(case: Case):
    of(case, "_backward_rois")  # or values do not move with them
    return of_rois(case)
