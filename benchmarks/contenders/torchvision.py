"""torchvision.ops.roi_pool on CPU tensors."""

import torch
import torchvision

from benchmarks.autograd import modes
from benchmarks.autograd import to_numpy as to_numpy
from benchmarks.contenders import Case

ABOUT = (
    f"{torchvision.__version__} (torch {torch.__version__}); its forward always keeps the argmax"
)
AGREES = "bits"


def _pool(case: Case):
    case.refuse_all_but_plain_float32()
    size, scale = case.pooled_size, case.spatial_scale
    return lambda data, rois: torchvision.ops.roi_pool(data, rois, size, scale)


forward, train, backward = modes(_pool)
