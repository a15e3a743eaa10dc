"""The operators on CPU tensors, and what their results look like where there are no values."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from roipool import _core, bins, checks, memory
from roipool.checks import DTYPES

NAMES = {getattr(torch, name): name for name in (*DTYPES, "int64")}


def _pool(data: Tensor, rois: Tensor, pooled_size: Sequence[int], spatial_scale: float) -> Tensor:
    values = _empty(_pooled_shape(data, rois, pooled_size), data.dtype, like=data)
    _fill(data, rois, spatial_scale, values, None)
    return values


def _pool_argmax(
    data: Tensor, rois: Tensor, pooled_size: Sequence[int], spatial_scale: float
) -> tuple[Tensor, Tensor]:
    shape = _pooled_shape(data, rois, pooled_size)
    values, argmax = _empty(shape, data.dtype, like=data), _empty(shape, argmax_dtype(data))
    _fill(data, rois, spatial_scale, values, argmax)
    return values, argmax


def _pool_out(
    data: Tensor, rois: Tensor, spatial_scale: float, values: Tensor, argmax: Tensor | None
) -> None:
    _own(values, data, rois)
    if argmax is not None:
        _own(argmax, data, rois, values)
    _fill(data, rois, spatial_scale, values, argmax)


def _fill(
    data: Tensor, rois: Tensor, spatial_scale: float, values: Tensor, argmax: Tensor | None
) -> None:
    images, channels, height, width = data.shape
    edges = bins.max_bins(
        _numbers(rois),
        (images, channels, height, width),
        (values.shape[2], values.shape[3]),
        spatial_scale,
        np.float64 if data.dtype == torch.float64 else np.float32,
    )
    argmax_memory = None if argmax is None else _bits(argmax)
    results = _bits(values), argmax_memory
    _core.run("max", NAMES[data.dtype], (_bits(data), *edges), results, _threads())


def _backward(grad: Tensor, argmax: Tensor, rois: Tensor, data_shape: Sequence[int]) -> Tensor:
    grad_data = _empty(data_shape, grad.dtype, like=grad)
    _scatter(grad, argmax, rois, grad_data)
    return grad_data


def _backward_out(grad: Tensor, argmax: Tensor, rois: Tensor, grad_data: Tensor) -> None:
    _own(grad_data, grad, argmax, rois)
    _scatter(grad, argmax, rois, grad_data)


def _scatter(grad: Tensor, argmax: Tensor, rois: Tensor, grad_data: Tensor) -> None:
    images, _, height, width = grad_data.shape
    inputs = (
        _bits(grad if _channels_last(grad) else grad.contiguous()),
        bins.image_index(_numbers(rois), images),
        _bits(argmax.contiguous()),
    )
    inside = _core.run("max_add", NAMES[grad.dtype], inputs, (_bits(grad_data),), _threads())
    checks.refuse_argmax_outside(inside, height, width)


def _gather(data: Tensor, argmax: Tensor, rois: Tensor) -> Tensor:
    images, channels, height, width = data.shape
    image = torch.from_numpy(bins.image_index(_numbers(rois), images)).long()
    pooled = (argmax >= 0) & (image >= 0)[:, None, None, None]
    if not data.numel():
        return data.new_zeros(argmax.shape)
    plane = image[:, None] * channels + torch.arange(channels)
    at = plane[:, :, None, None] * (height * width) + argmax
    return torch.where(pooled, data.take(torch.where(pooled, at, 0)), 0)


def _numbers(rois: Tensor) -> np.ndarray:
    numbers = rois.detach()
    return (numbers.float() if rois.dtype == torch.bfloat16 else numbers).numpy()


def _bits(tensor: Tensor) -> np.ndarray:
    """The tensor's memory; half types as 16-bit integers, since NumPy has no bfloat16."""
    tensor = tensor.detach()
    return (tensor.view(torch.int16) if tensor.itemsize == 2 else tensor).numpy()


def _threads() -> int:
    """The lower of both settings: a data loader's worker, say, has only torch's at 1."""
    return min(torch.get_num_threads(), _core.default_threads())


def _own(out: Tensor, *others: Tensor) -> None:
    """Tell autograd that `out` changes; its memory must be no other's."""
    if any(np.may_share_memory(_bits(out), _bits(other)) for other in others):
        raise ValueError("out overlaps another tensor of this call; expected memory of its own")
    if not out.is_inference():
        torch.autograd.graph.increment_version(out)


def argmax_dtype(data: Tensor) -> torch.dtype:
    """Wide enough for a position in a plane."""
    return torch.int32 if data.shape[2] * data.shape[3] < 2**31 else torch.int64


def _empty(shape: Sequence[int], dtype: torch.dtype, like: Tensor | None = None) -> Tensor:
    """Memory for a result: contiguous, or channels-last where the tensor it is like is.

    So the layers before and behind expect it. Argmax is contiguous: only the backward reads it.
    """
    stored = np.dtype(np.int16 if dtype.itemsize == 2 else NAMES[dtype])  # NumPy has no bfloat16
    if like is not None and _channels_last(like):
        lying = memory.empty((shape[0], *shape[2:], shape[1]), stored)
        return torch.from_numpy(lying.transpose(0, 3, 1, 2)).view(dtype)
    return torch.from_numpy(memory.empty(tuple(shape), stored)).view(dtype)


def _channels_last(tensor: Tensor) -> bool:
    return not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def _pooled_shape(data: Tensor, rois: Tensor, pooled_size: Sequence[int]) -> tuple[int, ...]:
    return (rois.shape[0], data.shape[1], *pooled_size)


def _fake_pool(
    data: Tensor, rois: Tensor, pooled_size: Sequence[int], spatial_scale: float
) -> Tensor:
    return _fake_empty(_pooled_shape(data, rois, pooled_size), like=data)


def _fake_pool_argmax(
    data: Tensor, rois: Tensor, pooled_size: Sequence[int], spatial_scale: float
) -> tuple[Tensor, Tensor]:
    shape = _pooled_shape(data, rois, pooled_size)
    return _fake_empty(shape, like=data), data.new_empty(shape, dtype=argmax_dtype(data))


def _fake_backward(grad: Tensor, argmax: Tensor, rois: Tensor, data_shape: Sequence[int]) -> Tensor:
    return _fake_empty(data_shape, like=grad)


def _fake_empty(shape: Sequence[int], like: Tensor) -> Tensor:
    lying = torch.channels_last if _channels_last(like) else torch.contiguous_format
    return like.new_empty(shape).contiguous(memory_format=lying)


def _fake_gather(data: Tensor, argmax: Tensor, rois: Tensor) -> Tensor:
    return data.new_empty(argmax.shape)


CPU: dict[str, Callable[..., Any]] = {
    "roi_pool": _pool,
    "roi_pool_argmax": _pool_argmax,
    "roi_pool_out": _pool_out,
    "roi_pool_backward": _backward,
    "roi_pool_backward_out": _backward_out,
    "roi_pool_gather": _gather,
}
FAKE: dict[str, Callable[..., Any]] = {
    "roi_pool": _fake_pool,
    "roi_pool_argmax": _fake_pool_argmax,
    "roi_pool_out": lambda *arguments: None,
    "roi_pool_backward": _fake_backward,
    "roi_pool_backward_out": lambda *arguments: None,
    "roi_pool_gather": _fake_gather,
}
