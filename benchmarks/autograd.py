"""What a user of PyTorch does with a pooling operator, the same for every operator."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.contenders import Case

Pool = Callable[[Case], Callable[[Tensor, Tensor], Tensor]]  # of (data, rois), for one workload


def modes(pool: Pool) -> list[Callable[[Case], Callable[[], tuple[Tensor, ...]]]]:
    """The contender's forward, train, backward and backward_rois."""
    return [partial(mode, pool) for mode in (_forward, _train, _backward, _backward_rois)]


def _forward(pool: Pool, case: Case):
    run, data, rois = pool(case), *_tensors(case)
    return lambda: (run(data, rois),)


def _train(pool: Pool, case: Case):
    run, data, rois = pool(case), *_tensors(case)
    grad = torch.from_numpy(case.grad)
    data.requires_grad_()

    def train():
        values = run(data, rois)
        return values, *torch.autograd.grad(values, data, grad)

    return train


def _backward(pool: Pool, case: Case):
    run, data, rois = pool(case), *_tensors(case)
    grad, values = torch.from_numpy(case.grad), run(data.requires_grad_(), rois)
    return lambda: torch.autograd.grad(values, data, grad, retain_graph=True)


def _backward_rois(pool: Pool, case: Case):
    run, data, rois = pool(case), *_tensors(case)
    grad, values = torch.from_numpy(case.grad), run(data, rois.requires_grad_())
    return lambda: torch.autograd.grad(values, rois, grad, retain_graph=True)


def _tensors(case: Case) -> tuple[Any, Tensor]:
    """Features, a list of them where there are several levels, and rois."""
    torch.set_num_threads(case.threads)
    maps = [_as_tensor(data) for data in case.maps]
    return maps if len(maps) > 1 else maps[0], torch.from_numpy(case.rois)


def _as_tensor(array: np.ndarray) -> Tensor:
    if array.dtype.kind == "V":  # bfloat16, which NumPy knows only by ml_dtypes
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(result: tuple[Tensor, ...]) -> tuple[Any, ...]:
    """bfloat16 as its bits, as they are stored."""
    return tuple(
        tensor.view(torch.int16).numpy().view(np.uint16)
        if tensor.dtype == torch.bfloat16
        else tensor.detach().numpy()
        for tensor in result
    )
