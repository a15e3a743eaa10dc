"""`roi_pool` and `RoIPool` as `torchvision.ops` has them: a port changes one import.

Values are the same bit for bit on finite features, and gradients up to the order of sums. The
differences:

- A batch index of N or more, or one that is no whole number, raises IndexError or ValueError:
  torchvision reads memory out of bounds. A coordinate that is NaN or infinite raises. A negative
  index marks a padding row of zeros; torchvision reads memory out of bounds there too.
- In float64 too, `spatial_scale` is the float32 nearest to it; torchvision keeps a double there.
- A bin of −inf gives −inf and one of NaN gives NaN: torchvision gives −3.4e38.
- Boxes may be of another dtype than the features, and should: in half precision the features stay
  as they are, autocast or not, and the boxes are not rounded.
- Beyond torchvision: bfloat16, float16 and integers, second derivatives, forward mode, vmap,
  and as many threads as torch uses. Gradients have the same bits on every run.
- TorchScript is not supported: use torch.compile or torch.export.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from roipool import operators as ops


def roi_pool(
    input: Tensor,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
) -> Any:
    """`torchvision.ops.roi_pool`: boxes (K, 5), or a sequence of (K_i, 4), one per image."""
    return ops.roi_pool(input, boxes, output_size, spatial_scale)


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
