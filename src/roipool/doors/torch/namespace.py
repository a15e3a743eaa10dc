"""PyTorch's functions as geometry's text calls them."""

from typing import Any

import torch
from torch import Tensor


class Namespace:
    """Where casts keep derivatives, and what is made lies on a device, without a copy to there."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __getattr__(self, name: str) -> Any:
        """Whatever is made of tensors, and lies where they do."""
        return getattr(torch, name)

    def arange(self, *ends: Any, dtype: torch.dtype | None = None) -> Tensor:
        """As of torch; so are the next two."""
        return torch.arange(*ends, dtype=dtype, device=self.device)

    def zeros(self, shape: Any, dtype: torch.dtype | None = None) -> Tensor:
        """Of that shape."""
        return torch.zeros(shape, dtype=dtype, device=self.device)

    def full(self, shape: Any, value: Any, dtype: torch.dtype | None = None) -> Tensor:
        """Of that shape, each of that value."""
        return torch.full(shape, value, dtype=dtype, device=self.device)

    def asarray(self, values: Any, dtype: torch.dtype | None = None) -> Tensor:
        """Of a tensor, a number or a sequence of numbers."""
        if isinstance(values, Tensor):
            return values if dtype is None else values.to(dtype)
        if isinstance(values, (tuple, list)):
            return torch.stack([self.asarray(value, dtype) for value in values])
        return torch.full((), values, dtype=dtype, device=self.device)
