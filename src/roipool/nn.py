"""Modules for PyTorch. Importing this needs PyTorch: `pip install roipool[torch]`."""

from typing import Any

import torch

from roipool.doors import torch as _door  # noqa: F401  registers what an exported program calls
from roipool.ops import roi_pool


class RoIPool(torch.nn.Module):
    """`roipool.roi_pool` as a module.

    Example:
        >>> import torch
        >>> pool = RoIPool((2, 2), 0.5)
        >>> pool
        RoIPool(pooled_size=(2, 2), spatial_scale=0.5)
        >>> pool(torch.arange(16.0).reshape(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 6, 6]]))
        tensor([[[[ 5.,  7.],
                  [13., 15.]]]])
    """

    def __init__(self, pooled_size: int | tuple[int, int], spatial_scale: float = 1.0) -> None:
        """See `roipool.roi_pool`."""
        super().__init__()
        self.pooled_size = pooled_size
        self.spatial_scale = spatial_scale

    def forward(self, data: torch.Tensor, rois: Any) -> Any:
        """Pools regions in either of their forms, as `roipool.roi_pool` does."""
        return roi_pool(data, rois, self.pooled_size, self.spatial_scale)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"pooled_size={self.pooled_size}, spatial_scale={self.spatial_scale}"
