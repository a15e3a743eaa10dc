"""`mmcv.ops`' pooling of regions under its names: functions and modules, without mmcv.

Values of roi_align, roi_align_rotated (angles in radians) and prroi_pool are the same up to
rounding. The differences:

- roi_pool has other bins, those of Fast R-CNN, torchvision and MXNet: scaled corners are rounded to
  pixels of the map. mmcv divides [x1 * scale, (x2 + 1) * scale] as it is, so that both agree only
  on boxes of whole pixels at a scale of 1. mmcv has none on the CPU.
- roi_align with pool_mode="max": a bin without a sample is 0, and values below −10000 count as any.
  mmcv gives −10000 for both on the CPU, and −3.4e38 for the first on GPUs. With `use_torchvision`
  pool_mode is not read, as there: torchvision only averages.
- An aligned box of negative size is what `roipool.roi_align` says: mmcv raises on the CPU. Boxes
  have gradients in all: in mmcv only in prroi_pool.
- The functions take keyword arguments: mmcv's take positional ones only. The old names `out_size`
  and `sample_num` are not taken.
- A negative batch index marks a padding row of zeros; one of N or more raises IndexError, a number
  that is NaN or infinite ValueError. A `sampling_ratio` above 1024 is refused.
- In half precision boxes are not rounded, and sums are of float32; second derivatives, forward
  mode, vmap and bfloat16 are there. Gradients have the same bits on every run.
- On the CPU only.
"""

from typing import Any

from torch import Tensor

from roipool import checks, operators
from roipool.compat.modules import Pooling

Size = int | tuple[int, int]


def roi_pool(input: Tensor, rois: Any, output_size: Size, spatial_scale: float = 1.0) -> Any:
    """`mmcv.ops.roi_pool`, with Fast R-CNN's bins: see `roipool.roi_pool`."""
    return operators.roi_pool(input, rois, output_size, spatial_scale)


def roi_align(
    input: Tensor,
    rois: Any,
    output_size: Size,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    pool_mode: str = "avg",
    aligned: bool = True,
) -> Any:
    """`mmcv.ops.roi_align`: see `roipool.roi_align`.

    Example:
        >>> import torch
        >>> from roipool.compat.mmcv import roi_align
        >>> maps = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> roi_align(maps, torch.tensor([[0.0, 2, 2, 6, 6]]), 2, 0.5)
        tensor([[[[ 5.,  6.],
                  [ 9., 10.]]]])
    """
    return operators.roi_align(
        input,
        rois,
        output_size,
        spatial_scale,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
        mode=_POOL_MODE(pool_mode),
    )


_POOL_MODE = checks.word("pool_mode", ("max", "avg"))


def roi_align_rotated(
    input: Tensor,
    rois: Any,
    output_size: Size,
    spatial_scale: float,
    sampling_ratio: int = 0,
    aligned: bool = True,
    clockwise: bool = False,
) -> Any:
    """`mmcv.ops.roi_align_rotated`: rois (K, 6) [image, cx, cy, width, height, radians]."""
    return operators.roi_align_rotated(
        input,
        rois,
        output_size,
        spatial_scale,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
        clockwise=clockwise,
    )


def prroi_pool(features: Tensor, rois: Any, output_size: Size, spatial_scale: float) -> Any:
    """`mmcv.ops.prroi_pool`: see `roipool.prroi_pool`."""
    return operators.prroi_pool(features, rois, output_size, spatial_scale)


class RoIPool(Pooling):
    """`mmcv.ops.RoIPool`, with Fast R-CNN's bins."""

    function = staticmethod(roi_pool)
    arguments = ("output_size", "spatial_scale")

    def __init__(self, output_size: Size, spatial_scale: float = 1.0) -> None:
        """See `roi_pool`."""
        super().__init__(output_size=output_size, spatial_scale=spatial_scale)


class RoIAlign(Pooling):
    """`mmcv.ops.RoIAlign`."""

    function = staticmethod(roi_align)
    arguments = ("output_size", "spatial_scale", "sampling_ratio", "pool_mode", "aligned")

    def __init__(
        self,
        output_size: Size,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        pool_mode: str = "avg",
        aligned: bool = True,
        use_torchvision: bool = False,
    ) -> None:
        """See `roi_align`; with `use_torchvision` pool_mode is not read, as in mmcv."""
        super().__init__(
            output_size=output_size,
            spatial_scale=spatial_scale,
            sampling_ratio=sampling_ratio,
            pool_mode="avg" if use_torchvision else _POOL_MODE(pool_mode),
            aligned=aligned,
            use_torchvision=use_torchvision,
        )


class RoIAlignRotated(Pooling):
    """`mmcv.ops.RoIAlignRotated`."""

    function = staticmethod(roi_align_rotated)
    arguments = ("output_size", "spatial_scale", "sampling_ratio", "aligned", "clockwise")

    def __init__(
        self,
        output_size: Size,
        spatial_scale: float,
        sampling_ratio: int = 0,
        aligned: bool = True,
        clockwise: bool = False,
    ) -> None:
        """See `roi_align_rotated`."""
        super().__init__(
            output_size=output_size,
            spatial_scale=spatial_scale,
            sampling_ratio=sampling_ratio,
            aligned=aligned,
            clockwise=clockwise,
        )


class PrRoIPool(Pooling):
    """`mmcv.ops.PrRoIPool`."""

    function = staticmethod(prroi_pool)
    arguments = ("output_size", "spatial_scale")

    def __init__(self, output_size: Size, spatial_scale: float) -> None:
        """See `prroi_pool`."""
        super().__init__(output_size=output_size, spatial_scale=spatial_scale)

    def forward(self, features: Tensor, rois: Any) -> Any:
        """Pools boxes as `prroi_pool` does."""
        return super().forward(features, rois)
