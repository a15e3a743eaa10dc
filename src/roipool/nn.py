"""Modules for PyTorch. Importing this needs PyTorch: `pip install roipool[torch]`."""

from collections.abc import Sequence
from typing import Any

import torch

from roipool import operators
from roipool.descriptions import OPERATORS
from roipool.doors import torch as _door  # noqa: F401  registers what an exported program calls


class _Pooling(torch.nn.Module):
    """An operator with its arguments, which are the module's attributes."""

    operator = ""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        scale = arguments["spatial_scale"]
        arrays = len(scale) if isinstance(scale, Sequence) else None
        OPERATORS[self.operator].call(**arguments, arrays=arrays)  # refuses what is no argument
        self.arguments = tuple(arguments)
        for name, value in arguments.items():
            setattr(self, name, value)

    def forward(self, data: Any, rois: Any) -> Any:
        """Pools regions in either of their forms, of one tensor of feature maps or several."""
        arguments = {name: getattr(self, name) for name in self.arguments}
        return getattr(operators, self.operator)(data, rois, **arguments)

    def extra_repr(self) -> str:
        """The arguments."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.arguments)


class RoIPool(_Pooling):
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

    operator = "roi_pool"

    def __init__(self, pooled_size: int | tuple[int, int], spatial_scale: Any = 1.0) -> None:
        """See `roipool.roi_pool`."""
        super().__init__(pooled_size=pooled_size, spatial_scale=spatial_scale)


class RoIAlign(_Pooling):
    """`roipool.roi_align` as a module.

    Example:
        >>> import torch
        >>> pool = RoIAlign((2, 2), 0.5, sampling_ratio=2)
        >>> pool
        RoIAlign(pooled_size=(2, 2), spatial_scale=0.5, sampling_ratio=2, aligned=True)
        >>> pool(torch.arange(16.0).reshape(1, 1, 4, 4), torch.tensor([[0.0, 2, 2, 6, 6]]))
        tensor([[[[ 5.,  6.],
                  [ 9., 10.]]]])
    """

    operator = "roi_align"

    def __init__(
        self,
        pooled_size: int | tuple[int, int],
        spatial_scale: Any = 1.0,
        *,
        sampling_ratio: int = 0,
        aligned: bool = True,
    ) -> None:
        """See `roipool.roi_align`."""
        super().__init__(
            pooled_size=pooled_size,
            spatial_scale=spatial_scale,
            sampling_ratio=sampling_ratio,
            aligned=aligned,
        )
