"""`torchvision.ops`' pooling of regions under its names, and `use`, for models that it built.

A port changes one import. Values of roi_pool are the same bit for bit on finite features, those of
the others up to rounding, and gradients up to the order of sums. The differences:

- A batch index of N or more, or one that is no whole number, raises IndexError or ValueError:
  torchvision reads memory out of bounds. A coordinate that is NaN or infinite raises. A negative
  index marks a padding row of zeros; torchvision reads memory out of bounds there too.
- In float64 too, `spatial_scale` of roi_pool is the float32 nearest to it; torchvision keeps a
  double there.
- Of roi_pool, a bin of −inf gives −inf and one of NaN gives NaN: torchvision gives −3.4e38.
- Of roi_align, an adaptive grid of a box that is reversed along one axis is empty and gives 0,
  where torchvision raises. Of ps_roi_align every empty grid gives 0, where torchvision gives NaN.
  A `sampling_ratio` above 1024 is refused. Boxes have gradients: torchvision leaves them None.
- ps_roi_pool never reads the last row and column of a map, as torchvision's values have it. Its
  gradient is that of these values: torchvision's reaches the last row and column.
- MultiScaleRoIAlign: a box of negative area is pooled from the finest map: torchvision gives zeros.
  Where names leave out a level between two maps, torchvision gives zeros for the largest boxes too:
  here they are pooled from the coarsest. A few of ten million boxes, as large as the limit between
  two levels, are pooled from the other. `scales` may be given, and image shapes then left out: what
  both infer at the first call are powers of two, by heights alone, and wrong where padding is a
  large part of an image.
- Boxes may be of another dtype than the features, and should: in half precision the features stay
  as they are, autocast or not, and the boxes are not rounded.
- Beyond torchvision: bfloat16, float16 and, of roi_pool, integers, several tensors of maps in one
  call, second derivatives, forward mode, vmap, and as many threads as torch uses. Gradients have
  the same bits on every run.
- On the CPU only. TorchScript is not supported: use torch.compile or torch.export.

Importing this does not load torchvision.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from roipool import checks, operators
from roipool.compat.modules import Pooling

Boxes = Tensor | Sequence[Tensor]
Size = int | tuple[int, int]


def roi_pool(input: Tensor, boxes: Boxes, output_size: Size, spatial_scale: float = 1.0) -> Any:
    """`torchvision.ops.roi_pool`: boxes (K, 5), or a sequence of (K_i, 4), one per image."""
    return operators.roi_pool(input, boxes, output_size, spatial_scale)


def roi_align(
    input: Tensor,
    boxes: Boxes,
    output_size: Size,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Any:
    """`torchvision.ops.roi_align`: boxes (K, 5), or a sequence of (K_i, 4), one per image."""
    return operators.roi_align(
        input, boxes, output_size, spatial_scale, sampling_ratio=sampling_ratio, aligned=aligned
    )


def ps_roi_pool(input: Tensor, boxes: Boxes, output_size: Size, spatial_scale: float = 1.0) -> Any:
    """`torchvision.ops.ps_roi_pool`: boxes (K, 5), or a sequence of (K_i, 4), one per image."""
    return operators.ps_roi_pool(input, boxes, output_size, spatial_scale, convention="torchvision")


def ps_roi_align(
    input: Tensor,
    boxes: Boxes,
    output_size: Size,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
) -> Any:
    """`torchvision.ops.ps_roi_align`: boxes (K, 5), or a sequence of (K_i, 4), one per image."""
    return operators.ps_roi_align(
        input, boxes, output_size, spatial_scale, sampling_ratio=sampling_ratio
    )


class RoIPool(Pooling):
    """`torchvision.ops.RoIPool`."""

    function = staticmethod(roi_pool)
    arguments = ("output_size", "spatial_scale")

    def __init__(self, output_size: Size, spatial_scale: float) -> None:
        """See `roi_pool`."""
        super().__init__(output_size=output_size, spatial_scale=spatial_scale)


class RoIAlign(Pooling):
    """`torchvision.ops.RoIAlign`."""

    function = staticmethod(roi_align)
    arguments = ("output_size", "spatial_scale", "sampling_ratio", "aligned")

    def __init__(
        self, output_size: Size, spatial_scale: float, sampling_ratio: int, aligned: bool = False
    ) -> None:
        """See `roi_align`."""
        super().__init__(
            output_size=output_size,
            spatial_scale=spatial_scale,
            sampling_ratio=sampling_ratio,
            aligned=aligned,
        )


class PSRoIPool(Pooling):
    """`torchvision.ops.PSRoIPool`."""

    function = staticmethod(ps_roi_pool)
    arguments = ("output_size", "spatial_scale")

    def __init__(self, output_size: int, spatial_scale: float) -> None:
        """See `ps_roi_pool`."""
        super().__init__(output_size=output_size, spatial_scale=spatial_scale)


class PSRoIAlign(Pooling):
    """`torchvision.ops.PSRoIAlign`."""

    function = staticmethod(ps_roi_align)
    arguments = ("output_size", "spatial_scale", "sampling_ratio")

    def __init__(self, output_size: int, spatial_scale: float, sampling_ratio: int) -> None:
        """See `ps_roi_align`."""
        super().__init__(
            output_size=output_size, spatial_scale=spatial_scale, sampling_ratio=sampling_ratio
        )


class MultiScaleRoIAlign(torch.nn.Module):
    """`torchvision.ops.MultiScaleRoIAlign`: each box is pooled from the map of its size.

    Example:
        >>> import torch
        >>> from roipool.compat.torchvision import MultiScaleRoIAlign
        >>> pool = MultiScaleRoIAlign(["0", "1"], 7, 2)
        >>> maps = {"0": torch.ones(1, 5, 64, 64), "1": torch.ones(1, 5, 32, 32)}
        >>> pool(maps, [torch.tensor([[0.0, 0, 200, 100]])], [(256, 256)]).shape
        torch.Size([1, 5, 7, 7])
        >>> pool.scales
        [0.25, 0.125]
    """

    def __init__(
        self,
        featmap_names: Sequence[str],
        output_size: int | Sequence[int],
        sampling_ratio: int,
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
        scales: Sequence[float] | None = None,
    ) -> None:
        """Of the maps with these names, in the order in which they will be given.

        Args:
            featmap_names: The keys of the maps to pool from, the finest first.
            output_size: (h, w), or one int for both.
            sampling_ratio: Samples along each axis of a bin.
            canonical_scale: The side of a square that belongs to the canonical level.
            canonical_level: That level.
            scales: Size of the map / size of the image, for each map; inferred at the first call
                where none are given.
        """
        super().__init__()
        self.featmap_names = featmap_names
        self.output_size = checks.pooled_size(output_size)
        self.sampling_ratio = sampling_ratio
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level
        self.scales = None if scales is None else list(scales)

    def forward(
        self,
        x: Mapping[str, Tensor],
        boxes: Sequence[Tensor],
        image_shapes: Sequence[tuple[int, int]] = (),
    ) -> Any:
        """Pools the boxes (K_i, 4) of each image: (K, C, h, w), in their order.

        Args:
            x: Maps (N, C, H_l, W_l) by name.
            boxes: In image pixels, one tensor for each image.
            image_shapes: (h, w) of each image; read where no scales are known yet.
        """
        maps = [each for name, each in x.items() if name in self.featmap_names]
        if not maps:
            raise ValueError(f"x has maps {[*x]}, but featmap_names are {self.featmap_names}")
        if self.scales is None:
            self.scales = [_inferred(each, image_shapes) for each in maps]
        return operators.multi_scale(
            operators.roi_align,
            [each.to(maps[0].dtype) for each in maps],  # of autocast, levels may differ
            boxes,
            self.output_size,
            self.scales,
            canonical_size=self.canonical_scale,
            canonical_level=self.canonical_level,
            sampling_ratio=self.sampling_ratio,
            aligned=False,
        )

    def extra_repr(self) -> str:
        """The arguments."""
        names = ("featmap_names", "output_size", "sampling_ratio")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


def _inferred(maps: Tensor, image_shapes: Sequence[tuple[int, int]]) -> float:
    """The power of two that is nearest to map / image, by the largest height."""
    height, image = maps.shape[-2], max([0, *[shape[0] for shape in image_shapes]])
    if height < 1 or image < 1:
        raise ValueError(
            f"no scale can be inferred of maps of height {height} and image_shapes "
            f"{[*image_shapes]}; give them: MultiScaleRoIAlign(..., scales=[1 / 4, ...])"
        )
    return float(2.0 ** round(math.log2(height / image)))


# From the file and name of each of torchvision's classes: that need not be imported to know them.
_OURS: Mapping[tuple[str, str], type[torch.nn.Module]] = {
    ("torchvision.ops.poolers", "MultiScaleRoIAlign"): MultiScaleRoIAlign,
    ("torchvision.ops.roi_align", "RoIAlign"): RoIAlign,
    ("torchvision.ops.roi_pool", "RoIPool"): RoIPool,
    ("torchvision.ops.ps_roi_align", "PSRoIAlign"): PSRoIAlign,
    ("torchvision.ops.ps_roi_pool", "PSRoIPool"): PSRoIPool,
}


def use(model: torch.nn.Module) -> int:
    """Puts these modules in the place of torchvision's, anywhere in a model, and counts them.

        model = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights="DEFAULT")
        roipool.compat.torchvision.use(model)    # 1

    Each module stays the same object, of another class: its settings, mode and hooks stay, and so
    do other references to it. Parameters are untouched: what torchvision saved can be loaded.
    Subclasses of torchvision's modules are left as they are, and so is what calls its functions:
    of Mask R-CNN that crops the masks that it is trained with.

    Args:
        model: Built by torchvision, or of its modules; not scripted.

    Returns:
        How many modules were replaced; 0 where there were none, or all had been.
    """
    count = 0
    for module in model.modules():
        kind = type(module)
        ours = _OURS.get((kind.__module__, kind.__qualname__))
        if ours is not None:
            module.__class__ = ours
            count += 1
    return count
