"""torch.vmap of the operators: one call, on the images and the regions of all examples.

The images of an example follow those of the example before, so the batch indices of its regions
grow by as many. Padding rows stay padding rows and errors stay errors; they name the row and the
batch index as counted over all examples.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def _pool(info: Any, dims: Sequence[Any], data: Tensor, rois: Tensor, *sizes: Any) -> Any:
    data, rois = _data_and_rois(info, dims[0], dims[1], data, rois)
    return _unfolded(info, torch.ops.roipool.roi_pool.default(data, rois, *sizes)), 0


def _pool_argmax(info: Any, dims: Sequence[Any], data: Tensor, rois: Tensor, *sizes: Any) -> Any:
    data, rois = _data_and_rois(info, dims[0], dims[1], data, rois)
    values, argmax = torch.ops.roipool.roi_pool_argmax.default(data, rois, *sizes)
    return (_unfolded(info, values), _unfolded(info, argmax)), (0, 0)


def _gather(info: Any, dims: Sequence[Any], data: Tensor, argmax: Tensor, rois: Tensor) -> Any:
    data, rois = _data_and_rois(info, dims[0], dims[2], data, rois)
    argmax = _folded(info, dims[1], argmax)
    return _unfolded(info, torch.ops.roipool.roi_pool_gather.default(data, argmax, rois)), 0


def _backward(
    info: Any,
    dims: Sequence[Any],
    grad: Tensor,
    argmax: Tensor,
    rois: Tensor,
    data_shape: Sequence[int],
) -> Any:
    images, *plane = data_shape
    grad_data = torch.ops.roipool.roi_pool_backward.default(
        _folded(info, dims[0], grad),
        _folded(info, dims[1], argmax),
        _moved(info, _folded(info, dims[2], rois).double(), images),
        (info.batch_size * images, *plane),
    )
    return _unfolded(info, grad_data), 0


def _data_and_rois(
    info: Any, data_dim: int | None, rois_dim: int | None, data: Tensor, rois: Tensor
) -> tuple[Tensor, Tensor]:
    """Data that all examples share stays as it is, and so do the batch indices."""
    rois = _folded(info, rois_dim, rois)
    if data_dim is None:
        return data, rois
    data = _folded(info, data_dim, data)
    # float64 counts any number of images; but of float64 data it would be another F.
    both = torch.promote_types(rois.dtype, torch.float32)
    rois = rois.to(both if data.dtype == torch.float64 else torch.float64)
    return data, _moved(info, rois, data.shape[0] // info.batch_size)


def _folded(info: Any, dim: int | None, tensor: Tensor) -> Tensor:
    """All examples' rows in one axis; rows that all examples share are repeated."""
    if dim is None:
        tensor = tensor.expand(info.batch_size, *tensor.shape)
    else:
        tensor = tensor.movedim(dim, 0)
    return tensor.flatten(0, 1)


def _unfolded(info: Any, tensor: Tensor) -> Tensor:
    return tensor.unflatten(0, (info.batch_size, tensor.shape[0] // info.batch_size))


def _moved(info: Any, rois: Tensor, images: int) -> Tensor:
    """Regions of all examples' images; an index that is too large is too large for all of them."""
    count = rois.shape[0] // info.batch_size
    example = torch.arange(info.batch_size, device=rois.device).repeat_interleave(count)
    index, corners = rois[:, :1], rois[:, 1:]
    step = torch.where(index < images, example[:, None], info.batch_size) * images
    return torch.cat([torch.where(index >= 0, index + step, index), corners], dim=1)


RULES: dict[str, Callable[..., Any]] = {
    "roi_pool": _pool,
    "roi_pool_argmax": _pool_argmax,
    "roi_pool_backward": _backward,
    "roi_pool_gather": _gather,
}
