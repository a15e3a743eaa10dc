"""torchvision.ops.roi_pool on CPU tensors."""

import torch
import torchvision

from benchmarks.contenders import Case

ABOUT = (
    f"{torchvision.__version__} (torch {torch.__version__}); its forward always keeps the argmax"
)
AGREES = "bits"


def _pool(case: Case, trained: bool):
    case.refuse_all_but_plain_float32()
    data = torch.from_numpy(case.data).requires_grad_(trained)
    rois = torch.from_numpy(case.rois)
    return data, lambda: torchvision.ops.roi_pool(data, rois, case.pooled_size, case.spatial_scale)


def forward(case: Case):
    _, pool = _pool(case, trained=False)
    return lambda: (pool(),)


def train(case: Case):
    data, pool = _pool(case, trained=True)
    grad = torch.from_numpy(case.grad)

    def run():
        values = pool()
        return values, *torch.autograd.grad(values, data, grad)

    return run


def backward(case: Case):
    data, pool = _pool(case, trained=True)
    grad, values = torch.from_numpy(case.grad), pool()
    return lambda: torch.autograd.grad(values, data, grad, retain_graph=True)


def to_numpy(result):
    return tuple(tensor.detach().numpy() for tensor in result)
