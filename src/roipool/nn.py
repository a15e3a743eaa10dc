"""Modules for PyTorch. Importing this needs PyTorch: `pip install roipool[torch]`."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch

from roipool import checks, operators
from roipool.descriptions import OPERATORS
from roipool.doors import torch as _door  # noqa: F401  registers what an exported program calls
from roipool.operators.roi_align import MODES as ALIGN_MODES
from roipool.operators.roi_pool import MODES as POOL_MODES

Size = int | tuple[int, int]


class _Pooling(torch.nn.Module):
    """An operator with its arguments, which are the module's attributes."""

    operator = ""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        said = {"pooled_size": arguments.get("size"), "spatial_scale": 1.0, **arguments}
        scale = said["spatial_scale"]
        arrays = len(scale) if isinstance(scale, Sequence) else None
        OPERATORS[self.operator].call(**said, arrays=arrays)  # refuses what is no argument
        self.arguments = tuple(arguments)
        for name, value in arguments.items():
            setattr(self, name, value)

    def forward(self, data: Any, rois: Any) -> Any:
        """Pools regions in either of their forms, of one tensor of feature maps or several."""
        arguments = {name: getattr(self, name) for name in self.arguments}
        return getattr(operators, self.operator)(data, rois, **arguments)

    def extra_repr(self) -> str:
        """The arguments."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.arguments)


class RoIPool(_Pooling):
    """`roipool.roi_pool` as a module.

    Example:
        >>> import torch
        >>> pool = RoIPool((2, 2), 0.5)
        >>> pool
        RoIPool(pooled_size=(2, 2), spatial_scale=0.5, mode='max')
        >>> pool(torch.arange(16.0).reshape(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 6, 6]]))
        tensor([[[[ 5.,  7.],
                  [13., 15.]]]])
    """

    operator = "roi_pool"

    def __init__(self, pooled_size: Size, spatial_scale: Any = 1.0, *, mode: str = "max") -> None:
        """See `roipool.roi_pool`."""
        mode = checks.word("mode", tuple(POOL_MODES))(mode)
        super().__init__(pooled_size=pooled_size, spatial_scale=spatial_scale, mode=mode)


class RoIAlign(_Pooling):
    """`roipool.roi_align` as a module.

    Example:
        >>> import torch
        >>> pool = RoIAlign((2, 2), 0.5, sampling_ratio=2)
        >>> pool
        RoIAlign(pooled_size=(2, 2), spatial_scale=0.5, sampling_ratio=2, aligned=True, mode='avg')
        >>> pool(torch.arange(16.0).reshape(1, 1, 4, 4), torch.tensor([[0.0, 2, 2, 6, 6]]))
        tensor([[[[ 5.,  6.],
                  [ 9., 10.]]]])
    """

    operator = "roi_align"

    def __init__(
        self,
        pooled_size: Size,
        spatial_scale: Any = 1.0,
        *,
        sampling_ratio: int = 0,
        aligned: bool = True,
        mode: str = "avg",
    ) -> None:
        """See `roipool.roi_align`."""
        super().__init__(
            pooled_size=pooled_size,
            spatial_scale=spatial_scale,
            sampling_ratio=sampling_ratio,
            aligned=aligned,
            mode=checks.word("mode", tuple(ALIGN_MODES))(mode),
        )


class PSRoIPool(_Pooling):
    """`roipool.ps_roi_pool` as a module.

    Example:
        >>> import torch
        >>> pool = PSRoIPool((1, 2))
        >>> pool
        PSRoIPool(pooled_size=(1, 2), spatial_scale=1.0, convention='rfcn')
        >>> maps = torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1).expand(1, 2, 4, 4)
        >>> pool(maps, torch.tensor([[0.0, 0, 0, 3, 3]]))    # each bin reads a channel of its own
        tensor([[[[1., 2.]]]])
    """

    operator = "ps_roi_pool"

    def __init__(
        self, pooled_size: Size, spatial_scale: Any = 1.0, *, convention: str = "rfcn"
    ) -> None:
        """See `roipool.ps_roi_pool`."""
        super().__init__(
            pooled_size=pooled_size, spatial_scale=spatial_scale, convention=convention
        )


class PSRoIAlign(_Pooling):
    """`roipool.ps_roi_align` as a module.

    Example:
        >>> import torch
        >>> pool = PSRoIAlign((1, 2), sampling_ratio=2)
        >>> pool
        PSRoIAlign(pooled_size=(1, 2), spatial_scale=1.0, sampling_ratio=2)
        >>> maps = torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1).expand(1, 2, 4, 4)
        >>> pool(maps, torch.tensor([[0.0, 0, 0, 3, 3]]))    # each bin reads a channel of its own
        tensor([[[[1., 2.]]]])
    """

    operator = "ps_roi_align"

    def __init__(
        self, pooled_size: Size, spatial_scale: Any = 1.0, *, sampling_ratio: int = 0
    ) -> None:
        """See `roipool.ps_roi_align`."""
        super().__init__(
            pooled_size=pooled_size, spatial_scale=spatial_scale, sampling_ratio=sampling_ratio
        )


class PrRoIPool(_Pooling):
    """`roipool.prroi_pool` as a module.

    Example:
        >>> import torch
        >>> pool = PrRoIPool(2)
        >>> pool
        PrRoIPool(pooled_size=2, spatial_scale=1.0)
        >>> pool(torch.arange(16.0).reshape(1, 1, 4, 4), torch.tensor([[0.0, 1, 1, 3, 3]]))
        tensor([[[[ 7.5000,  8.5000],
                  [11.5000, 12.5000]]]])
    """

    operator = "prroi_pool"

    def __init__(self, pooled_size: Size, spatial_scale: Any = 1.0) -> None:
        """See `roipool.prroi_pool`."""
        super().__init__(pooled_size=pooled_size, spatial_scale=spatial_scale)


class RoIAlignRotated(_Pooling):
    """`roipool.roi_align_rotated` as a module.

    Example:
        >>> import torch
        >>> pool = RoIAlignRotated(2, clockwise=True)
        >>> maps = torch.arange(25.0).reshape(1, 1, 5, 5)
        >>> pool(maps, torch.tensor([[0, 2.5, 2.5, 2, 2, torch.pi / 2]])).round(decimals=3)
        tensor([[[[10., 15.],
                  [ 9., 14.]]]])
    """

    operator = "roi_align_rotated"

    def __init__(
        self,
        pooled_size: Size,
        spatial_scale: Any = 1.0,
        *,
        sampling_ratio: int = 0,
        aligned: bool = True,
        clockwise: bool = False,
    ) -> None:
        """See `roipool.roi_align_rotated`."""
        super().__init__(
            pooled_size=pooled_size,
            spatial_scale=spatial_scale,
            sampling_ratio=sampling_ratio,
            aligned=aligned,
            clockwise=clockwise,
        )


class CropAndResize(_Pooling):
    """`roipool.crop_and_resize` as a module.

    Example:
        >>> import torch
        >>> crop = CropAndResize((2, 3))
        >>> crop(torch.arange(12.0).reshape(1, 1, 3, 4), torch.tensor([[0.0, 0, 0, 1, 1]]))
        tensor([[[[ 0.0000,  1.5000,  3.0000],
                  [ 8.0000,  9.5000, 11.0000]]]])
    """

    operator = "crop_and_resize"

    def __init__(
        self,
        size: Size,
        *,
        method: str = "bilinear",
        extrapolation_value: float = 0.0,
        tensorflow: bool = False,
    ) -> None:
        """See `roipool.crop_and_resize`."""
        super().__init__(
            size=size,
            method=method,
            extrapolation_value=extrapolation_value,
            tensorflow=tensorflow,
        )

    def forward(self, data: Any, boxes: Any) -> Any:
        """Crops boxes in either of their forms, of one tensor of feature maps or several."""
        return super().forward(data, boxes)


class MultiScale(torch.nn.Module):
    """`roipool.multi_scale` as a module: an operator over a feature pyramid.

    Example:
        >>> import torch
        >>> pool = MultiScale("roi_align", 1, (1 / 4, 1 / 8), sampling_ratio=2)
        >>> pool
        MultiScale(operator=roi_align, pooled_size=1, scales=(0.25, 0.125), sampling_ratio=2)
        >>> maps = [torch.zeros(1, 1, 64, 64), torch.ones(1, 1, 32, 32)]
        >>> pool(maps, torch.tensor([[0.0, 0, 0, 200, 200], [0, 0, 0, 30, 20]])).flatten()
        tensor([1., 0.])
    """

    def __init__(
        self,
        operator: str | Callable[..., Any],
        pooled_size: Size,
        scales: Sequence[float],
        *,
        canonical_size: float = 224.0,
        canonical_level: int = 4,
        lowest_level: int | None = None,
        **options: Any,
    ) -> None:
        """See `roipool.multi_scale`; the operator may be given by its name too."""
        super().__init__()
        self.operator = _named(operator) if isinstance(operator, str) else operator
        inspect.signature(self.operator).bind(None, None, pooled_size, scales, **options)
        self.pooled_size = pooled_size
        self.scales = tuple(scales)
        self.canonical_size = canonical_size
        self.canonical_level = canonical_level
        self.lowest_level = lowest_level
        self.options = options

    def forward(self, maps: Sequence[Any], rois: Any) -> Any:
        """Pools each region from the level of its size; the finest level comes first."""
        return operators.multi_scale(
            self.operator,
            maps,
            rois,
            self.pooled_size,
            self.scales,
            canonical_size=self.canonical_size,
            canonical_level=self.canonical_level,
            lowest_level=self.lowest_level,
            **self.options,
        )

    def extra_repr(self) -> str:
        """The arguments."""
        said = {"pooled_size": self.pooled_size, "scales": self.scales, **self.options}
        listed = [f"{name}={value!r}" for name, value in said.items()]
        return ", ".join([f"operator={self.operator.__name__}", *listed])


def _named(operator: str) -> Callable[..., Any]:
    if operator not in OPERATORS or not hasattr(operators, operator):
        raise ValueError(
            f"operator is {operator!r}; expected the name of a function of roipool's that pools "
            "regions in image pixels, such as 'roi_align'"
        )
    found: Callable[..., Any] = getattr(operators, operator)
    return found
