"""A look at regions where calls take none: on devices, and in compiled programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roipool import checks
from roipool.descriptions import CORNERS
from roipool.operators.roi_align_rotated import TURNED

if TYPE_CHECKING:
    from roipool.arrays import Scale

KINDS = {kind.width: kind for kind in (CORNERS, TURNED)}


def check_rois(rois: Any, images: int, spatial_scale: Scale = 1.0) -> None:
    """Raise for the first row that is neither a region nor a padding row, as on the CPU.

    On a device, and where a program is compiled or traced, no value of `rois` is looked at: a row
    that a call on the CPU refuses counts as a padding row there. This looks, which waits for the
    device: while a model is brought up, say, or where regions come from outside.

    Args:
        rois: Regions in image pixels: rows (K, 5) [batch_index, x1, y1, x2, y2], or (K, 6) as
            `roipool.roi_align_rotated` takes them; of any library, on any device.
        images: How many images the features hold, of all arrays together.
        spatial_scale: Size of the feature map / size of the image: multiplied with it a coordinate
            must stay finite in float32, which features of any other dtype than float64 are pooled
            in.

    Raises:
        IndexError: A batch index is `images` or more.
        ValueError: A batch index is no whole number; or a coordinate is not finite, or a size
            negative; or a shape that is not as above.

    Example:
        >>> import numpy as np, roipool
        >>> roipool.check_rois(np.array([[0, 1, 1, 9, 9], [-1, 0, 0, 0, 0]]), images=1)
    """
    from roipool import geometry  # a door has: importing roipool need not
    from roipool import rois as regions

    rows = _as_numpy(rois)
    regions.refuse_dtype("rois", rows.dtype, rows.dtype.kind in "iuf", CORNERS)
    rows = rows if rows.dtype == np.float64 else rows.astype(np.float32)
    kind = KINDS.get(rows.shape[-1] if rows.ndim == 2 else CORNERS.width, CORNERS)
    regions.refuse_shape(kind.name, rows.shape, kind)
    with np.errstate(all="ignore"):  # told by name below
        image = geometry.image_index(np, rows[:, 0], images)
        pairs = checks.scales(spatial_scale, None)
        ends = rows[:, 1:5].astype(np.float32) * np.float32(max(map(max, pairs)))
        known = (np.abs(ends) <= np.finfo(np.float32).max / 8).all(1) & np.isfinite(rows).all(1)
        sizes = [i for i, name in enumerate(kind.columns, 1) if name in regions.SIZES]
        known &= (rows[:, sizes] >= 0).all(1)
    regions.refuse_batch_indices(rows, image, images, kind=kind)
    regions.refuse_coordinates(rows, np.where(known, image, -1), pairs, kind=kind)


def _as_numpy(rois: Any) -> np.ndarray:
    """The rows as numbers that NumPy has, from wherever they lie."""
    if hasattr(rois, "detach"):  # a tensor of PyTorch
        rois = rois.detach().cpu()
        rois = rois.double() if rois.dtype.itemsize == 8 else rois.float()
    if hasattr(rois, "asnumpy"):  # an array of MXNet
        rois = rois.asnumpy()
    return np.asarray(rois)
