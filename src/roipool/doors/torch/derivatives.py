"""Derivatives of the operators: kernels that stand before all others in the dispatcher.

Gather and backward are linear and each other's transpose, so that every derivative of every
operator, of either mode and any order, is one of the two. Argmax is saved, and the regions for
their images: no geometry is computed again. The derivative for the regions is zero.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad
from torch.autograd.function import _SingleLevelFunction


class _RoiPool(_SingleLevelFunction):
    """Of what reads data at argmax: roi_pool_gather, and roi_pool itself once argmax is known."""

    @staticmethod
    def forward(operator: str, data: Tensor, *others: Any) -> Any:
        return _below_with_derivatives(operator, data, *others)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        operator, data, *others = inputs
        argmax, rois = others if operator == "roi_pool_gather" else (output[1], others[0])
        ctx.dtype = data.dtype
        _save(ctx, operator, argmax, rois, data.shape)

    @staticmethod
    def backward(ctx: Any, grad: Any, *_: Any) -> Any:
        return _gradients(ctx, grad, _scattered)

    @staticmethod
    def jvp(ctx: Any, _: None, data: Any, *others: Any) -> Any:
        argmax, rois = ctx.saved_tensors
        if data is None:  # the regions alone have a tangent
            tangent = torch.zeros_like(argmax, dtype=ctx.dtype)
        else:
            tangent = _gathered(ctx, data, argmax, rois)
        return tangent if ctx.operator == "roi_pool_gather" else (tangent, None)


class _RoiPoolBackward(_SingleLevelFunction):
    """Of what adds to data at argmax."""

    @staticmethod
    def forward(operator: str, grad: Tensor, *others: Any) -> Any:
        return _below_with_derivatives(operator, grad, *others)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        operator, _, argmax, rois, data_shape = inputs
        _save(ctx, operator, argmax, rois, data_shape)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return _gradients(ctx, grad, _gathered)

    @staticmethod
    def jvp(ctx: Any, _: None, grad: Any, *others: Any) -> Any:
        return None if grad is None else _scattered(ctx, grad, *ctx.saved_tensors)


def _save(ctx: Any, operator: str, argmax: Tensor, rois: Tensor, data_shape: Any) -> None:
    ctx.save_for_backward(argmax, rois)
    ctx.save_for_forward(argmax, rois)
    ctx.operator, ctx.data_shape = operator, data_shape
    ctx.set_materialize_grads(False)


def _gathered(ctx: Any, data: Tensor, argmax: Tensor, rois: Tensor) -> Any:
    return torch.ops.roipool.roi_pool_gather.default(data, argmax, rois)


def _scattered(ctx: Any, grad: Tensor, argmax: Tensor, rois: Tensor) -> Any:
    return torch.ops.roipool.roi_pool_backward.default(grad, argmax, rois, ctx.data_shape)


def _gradients(
    ctx: Any, grad: Tensor | None, transpose: Callable[..., Any]
) -> tuple[Tensor | None, ...]:
    """For the first tensor; of the others none but the regions can be asked for theirs."""
    argmax, rois = ctx.saved_tensors  # once: torch.utils.checkpoint allows no second look
    first = None if grad is None else transpose(ctx, grad, argmax, rois)
    zeros = (torch.zeros_like(rois) if needed else None for needed in ctx.needs_input_grad[2:])
    return None, first, *zeros


def _below(operator: str, *arguments: Any) -> Any:
    with torch._C._AutoDispatchBelowAutograd():
        return getattr(torch.ops.roipool, operator).default(*arguments)


def _below_with_derivatives(operator: str, *arguments: Any) -> Any:
    """A Function switches both modes off; outer levels of torch.func's transforms need them."""
    with torch.enable_grad(), forward_ad._set_fwd_grad_enabled(True):
        return _below(operator, *arguments)


def is_differentiated(value: Any) -> bool:
    """Whether a derivative of either mode may follow."""
    if not isinstance(value, Tensor):
        return False
    if torch.is_grad_enabled() and value.requires_grad:
        return True
    # The level is named because forward_ad doesn't know of the one that a compiled graph enters.
    return forward_ad.unpack_dual(value, level=0).tangent is not None


def kernel(operator: str) -> Callable[..., Any]:
    """What autograd does for an operator; only where it is asked to is argmax kept."""
    function: Any = _RoiPoolBackward if operator == "roi_pool_backward" else _RoiPool

    def call(*arguments: Any) -> Any:
        if not any(map(is_differentiated, arguments)):
            return _below(operator, *arguments)
        with enable_single_level_autograd_function():
            if operator == "roi_pool":
                return function.apply("roi_pool_argmax", *arguments)[0]
            return function.apply(operator, *arguments)

    return call
