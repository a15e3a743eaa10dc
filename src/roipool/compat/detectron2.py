"""Detectron2's `ROIAlign`, `ROIAlignRotated` and `ROIPooler` under their names.

Neither Detectron2 nor torchvision is needed: boxes may be Detectron2's `Boxes` and `RotatedBoxes`,
or whatever else has a `tensor`, or tensors. Angles are in degrees and turn counter-clockwise, as
there. Values are the same up to rounding, those of pooler_type "ROIPool" bit for bit on finite
features. The differences:

- Boxes have gradients, angles too: Detectron2 leaves them None.
- Levels are found by comparing areas, not by a logarithm: a few of ten million boxes, as large as
  the limit between two levels, are pooled from the other. A negative area is of the finest level.
- An `output_size` of two different sides: Detectron2 raises, but for a single level. `scales` need
  not be powers of two, if each is half of the one before.
- A negative batch index marks a padding row of zeros; one of N or more raises IndexError, a number
  that is NaN or infinite ValueError. A `sampling_ratio` above 1024 is refused.
- In half precision boxes are not rounded, and sums are of float32; second derivatives, forward
  mode, vmap and bfloat16 are there. Gradients have the same bits on every run.
- On the CPU only, and without TorchScript: use torch.compile or torch.export.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from roipool import checks, operators
from roipool.compat.modules import Pooling

Size = int | tuple[int, int]


def _align(
    input: Tensor,
    rois: Any,
    output_size: Size,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Any:
    return operators.roi_align(
        input, rois, output_size, spatial_scale, sampling_ratio=sampling_ratio, aligned=aligned
    )


def _align_rotated(
    input: Tensor, rois: Any, output_size: Size, spatial_scale: float, sampling_ratio: int
) -> Any:
    return operators.roi_align_rotated(
        input, _in_radians(rois), output_size, spatial_scale, sampling_ratio=sampling_ratio
    )


def _in_radians(rois: Tensor) -> Tensor:
    """Rows or boxes whose last number is an angle, never in fewer bits than float32."""
    rois = rois.to(torch.promote_types(rois.dtype, torch.float32))
    return torch.cat([rois[:, :-1], torch.deg2rad(rois[:, -1:])], dim=1)


class ROIAlign(Pooling):
    """`detectron2.layers.ROIAlign`: rois (K, 5) [image, x1, y1, x2, y2].

    Example:
        >>> import torch
        >>> from roipool.compat.detectron2 import ROIAlign
        >>> pool = ROIAlign((2, 2), 0.5, sampling_ratio=2)
        >>> pool(torch.arange(16.0).reshape(1, 1, 4, 4), torch.tensor([[0.0, 2, 2, 6, 6]]))
        tensor([[[[ 5.,  6.],
                  [ 9., 10.]]]])
    """

    function = staticmethod(_align)
    arguments = ("output_size", "spatial_scale", "sampling_ratio", "aligned")

    def __init__(
        self, output_size: Size, spatial_scale: float, sampling_ratio: int, aligned: bool = True
    ) -> None:
        """See `roipool.roi_align`."""
        super().__init__(
            output_size=output_size,
            spatial_scale=spatial_scale,
            sampling_ratio=sampling_ratio,
            aligned=aligned,
        )


class ROIAlignRotated(Pooling):
    """`detectron2.layers.ROIAlignRotated`: rois (K, 6) [image, cx, cy, width, height, degrees].

    Example:
        >>> import torch
        >>> from roipool.compat.detectron2 import ROIAlignRotated
        >>> pool = ROIAlignRotated(2, 1.0, sampling_ratio=1)
        >>> maps = torch.arange(25.0).reshape(1, 1, 5, 5)
        >>> pool(maps, torch.tensor([[0, 2.5, 2.5, 2, 2, 90]])).round(decimals=3)
        tensor([[[[14.,  9.],
                  [15., 10.]]]])
    """

    function = staticmethod(_align_rotated)
    arguments = ("output_size", "spatial_scale", "sampling_ratio")

    def __init__(self, output_size: Size, spatial_scale: float, sampling_ratio: int) -> None:
        """See `roipool.roi_align_rotated`."""
        super().__init__(
            output_size=output_size, spatial_scale=spatial_scale, sampling_ratio=sampling_ratio
        )


# By pooler_type: the operator and its options beside the samples.
_POOLERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ROIAlign": (operators.roi_align, {"aligned": False}),
    "ROIAlignV2": (operators.roi_align, {"aligned": True}),
    "ROIPool": (operators.roi_pool, {}),
    "ROIAlignRotated": (operators.roi_align_rotated, {}),
}


class ROIPooler(torch.nn.Module):
    """`detectron2.modeling.poolers.ROIPooler`: each box is pooled from the level of its size.

    Example:
        >>> import torch
        >>> from roipool.compat.detectron2 import ROIPooler
        >>> pool = ROIPooler((7, 14), (1 / 4, 1 / 8), 0, "ROIAlignV2")
        >>> maps = [torch.ones(2, 5, 64, 64), torch.ones(2, 5, 32, 32)]
        >>> pool(maps, [torch.tensor([[0.0, 0, 200, 100]]), torch.zeros(0, 4)]).shape
        torch.Size([1, 5, 7, 14])
    """

    def __init__(
        self,
        output_size: int | Sequence[int],
        scales: Sequence[float],
        sampling_ratio: int,
        pooler_type: str,
        canonical_box_size: int = 224,
        canonical_level: int = 4,
    ) -> None:
        """Of maps with these scales.

        Args:
            output_size: (h, w), or one int for both.
            scales: Size of the map / size of the image, of each level, the finest first.
            sampling_ratio: Samples along each axis of a bin; "ROIPool" has none.
            pooler_type: "ROIAlign", "ROIAlignV2" (aligned), "ROIPool" or "ROIAlignRotated".
            canonical_box_size: The side of a square that belongs to the canonical level.
            canonical_level: That level.
        """
        super().__init__()
        if pooler_type not in _POOLERS:
            known = ", ".join(map(repr, _POOLERS))
            raise ValueError(f"pooler_type is {pooler_type!r}; expected one of {known}")
        self.scales = list(scales)
        self.min_level = _level(scales[0])
        self.max_level = self.min_level + len(self.scales) - 1
        if [_level(scale) for scale in scales] != [*range(self.min_level, self.max_level + 1)]:
            raise ValueError(
                f"scales are {self.scales}; expected a pyramid, each half of the one before"
            )
        self.output_size = checks.pooled_size(output_size)
        self.sampling_ratio = sampling_ratio
        self.pooler_type = pooler_type
        self.canonical_box_size = canonical_box_size
        self.canonical_level = canonical_level

    def forward(self, x: list[Tensor], box_lists: Sequence[Any]) -> Any:
        """Pools the boxes of each image: (K, C, h, w), in their order.

        Args:
            x: Maps (N, C, H_l, W_l), the finest first.
            box_lists: Boxes (K_i, 4), or turned ones (K_i, 5), of each image.
        """
        operator, options = _POOLERS[self.pooler_type]
        boxes = [_tensor(each) for each in box_lists]
        if operator is operators.roi_align_rotated:
            boxes = [_in_radians(each) for each in boxes]
        if operator is not operators.roi_pool:
            options = options | {"sampling_ratio": self.sampling_ratio}
        return operators.multi_scale(
            operator,
            x,
            boxes,
            self.output_size,
            self.scales,
            canonical_size=self.canonical_box_size,
            canonical_level=self.canonical_level,
            lowest_level=self.min_level,
            **options,
        )

    def extra_repr(self) -> str:
        """The arguments."""
        names = ("output_size", "scales", "sampling_ratio", "pooler_type")
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)


def _level(scale: float) -> int:
    return round(-math.log2(scale))


def _tensor(boxes: Any) -> Tensor:
    return boxes if isinstance(boxes, Tensor) else boxes.tensor


def assign_boxes_to_levels(
    box_lists: Sequence[Any],
    min_level: int,
    max_level: int,
    canonical_box_size: int,
    canonical_level: int,
) -> Tensor:
    """Of each box the number of its level, where `min_level` is 0: (K,) int64."""
    levels: Tensor = operators.assign_levels(
        [_tensor(each) for each in box_lists],
        min_level,
        max_level,
        canonical_size=canonical_box_size,
        canonical_level=canonical_level,
    )
    return levels.long() - min_level


def convert_boxes_to_pooler_format(box_lists: Sequence[Any]) -> Tensor:
    """The boxes of each image as rows (K, 5), or (K, 6) of turned ones, with the image first."""
    boxes = [_tensor(each) for each in box_lists]
    pad = torch.nn.functional.pad
    return torch.cat([pad(each, (1, 0), value=float(i)) for i, each in enumerate(boxes)])
