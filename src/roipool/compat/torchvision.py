"""`torchvision.ops`' pooling of regions under its names: a port changes one import.

Values of roi_pool are the same bit for bit on finite features, those of roi_align up to rounding,
and gradients up to the order of sums. The differences:

- A batch index of N or more, or one that is no whole number, raises IndexError or ValueError:
  torchvision reads memory out of bounds. A coordinate that is NaN or infinite raises. A negative
  index marks a padding row of zeros; torchvision reads memory out of bounds there too.
- In float64 too, `spatial_scale` of roi_pool is the float32 nearest to it; torchvision keeps a
  double there.
- Of roi_pool, a bin of −inf gives −inf and one of NaN gives NaN: torchvision gives −3.4e38.
- Of roi_align, an adaptive grid of a box that is reversed along one axis is empty and gives 0,
  where torchvision raises. A `sampling_ratio` above 1024 is refused. Boxes have gradients:
  torchvision leaves them None.
- Boxes may be of another dtype than the features, and should: in half precision the features stay
  as they are, autocast or not, and the boxes are not rounded.
- Beyond torchvision: bfloat16, float16 and, of roi_pool, integers, several tensors of maps in one
  call, second derivatives, forward mode, vmap, and as many threads as torch uses. Gradients have
  the same bits on every run.
- TorchScript is not supported: use torch.compile or torch.export.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from roipool import operators


def roi_pool(
    input: Tensor,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
) -> Any:
    """`torchvision.ops.roi_pool`: boxes (K, 5), or a sequence of (K_i, 4), one per image."""
    return operators.roi_pool(input, boxes, output_size, spatial_scale)


def roi_align(
    input: Tensor,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Any:
    """`torchvision.ops.roi_align`: boxes (K, 5), or a sequence of (K_i, 4), one per image."""
    return operators.roi_align(
        input, boxes, output_size, spatial_scale, sampling_ratio=sampling_ratio, aligned=aligned
    )


class RoIPool(torch.nn.Module):
    """`torchvision.ops.RoIPool`."""

    def __init__(self, output_size: int | tuple[int, int], spatial_scale: float) -> None:
        """See `roi_pool`."""
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input: Tensor, rois: Tensor | Sequence[Tensor]) -> Any:
        """See `roi_pool`."""
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"


class RoIAlign(torch.nn.Module):
    """`torchvision.ops.RoIAlign`."""

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = False,
    ) -> None:
        """See `roi_align`."""
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input: Tensor, rois: Tensor | Sequence[Tensor]) -> Any:
        """See `roi_align`."""
        return roi_align(
            input,
            rois,
            self.output_size,
            self.spatial_scale,
            self.sampling_ratio,
            self.aligned,
        )

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}"
        )
