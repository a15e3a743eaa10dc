"""roi_align of position-sensitive maps: each bin reads channels of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roipool import checks
from roipool.descriptions import ENDS, Operator, Option, described
from roipool.doors import door_of

if TYPE_CHECKING:
    from roipool import geometry
    from roipool.arrays import Scale


def _taps(
    xp: Any,
    rois: Any,
    maps: geometry.Maps,
    size: tuple[int, int],
    dtype: Any,
    sampling_ratio: int,
    *,
    traced: bool = False,
) -> tuple[geometry.Taps, geometry.Slopes]:
    from roipool import geometry  # a door has: importing roipool need not

    return geometry.align_taps(
        xp, rois, maps, size, dtype, sampling_ratio=sampling_ratio, each=True, traced=traced
    )


PS_ROI_ALIGN = described(
    Operator(
        "ps_roi_align",
        kernel="taps_read",
        structure=_taps,
        twin="align_taps",
        twin_fixed={"each": True},
        dtypes=checks.FLOATS,
        options=(Option("sampling_ratio", "int", checks.sampling_ratio),),
        moves=ENDS,
        position_sensitive=True,
    )
)


def ps_roi_align(
    data: Any,
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = 1.0,
    *,
    sampling_ratio: int = 0,
    out: Any = None,
) -> Any:
    """Mean of samples interpolated inside regions, of channels that each bin has for itself.

        channel of bin (i, j) = (c * h + i) * w + j
        out[k, c, i, j] = mean of samples of that channel in bin (i, j), as roi_align's (aligned)

    Args:
        data: Feature maps (N, C * h * w, H, W), as of `roipool.roi_align`, or several of them.
        rois: Regions in image pixels, as of `roipool.roi_align`.
        pooled_size: (h, w), or one int for both.
        spatial_scale: Size of the feature map / size of the image, as of `roipool.roi_align`.
        sampling_ratio: Samples along each axis of a bin; 0 for as many as the bin has pixels.
        out: Memory for the result, as of `roipool.roi_pool`.

    Returns:
        The pooled values (K, C, h, w), in the dtype of `data`; differentiable with respect to
        `data` and `rois` where the library records derivatives. A bin without samples gives 0.

    Raises:
        IndexError: A batch index is N or more.
        ValueError: Channels that are no multiple of h * w, a row that is no region, or an argument
            out of its range.
        TypeError: A dtype that is not listed, or arrays of a library without a door.

    Source: Z. Li et al., "Light-Head R-CNN", 2017, section 2.3; to rounding as torchvision.

    Example:
        >>> import numpy as np, roipool
        >>> x = np.zeros((1, 4, 8, 6), np.float32) + np.arange(4, dtype=np.float32)[:, None, None]
        >>> roi = np.array([[0, 1, 1, 4, 5]], dtype=np.float32)
        >>> roipool.ps_roi_align(x, roi, (2, 2))
        array([[[[0., 1.],
                 [2., 3.]]]], dtype=float32)
    """
    how = {"sampling_ratio": sampling_ratio}
    call = PS_ROI_ALIGN.call(pooled_size, spatial_scale, checks.several(data), **how)
    return door_of(data).pool(PS_ROI_ALIGN, data, rois, call, False, out)


def ps_roi_align_backward(
    grad: Any,
    rois: Any,
    data_shape: Any,
    spatial_scale: Scale = 1.0,
    *,
    sampling_ratio: int = 0,
    out: Any = None,
) -> Any:
    """The gradient of `ps_roi_align` with respect to `data`.

    Each gradient goes to the pixels of its bin's own channel that its samples read. Arguments,
    result and errors as of `roipool.roi_align_backward`.

    Example:
        >>> import numpy as np, roipool
        >>> grad = np.ones((1, 1, 1, 2), np.float32)
        >>> roi = np.array([[0, 0, 0, 4, 1]], dtype=np.float32)
        >>> roipool.ps_roi_align_backward(grad, roi, (1, 2, 1, 4))
        array([[[[0.5, 0.5, 0. , 0. ]],
        <BLANKLINE>
                [[0. , 0. , 0.5, 0.5]]]], dtype=float32)
    """
    several, shapes = checks.data_shapes(data_shape)
    call = PS_ROI_ALIGN.call(
        checks.pooled_size_of(grad),
        spatial_scale,
        len(shapes) if several else None,
        sampling_ratio=sampling_ratio,
    )
    return door_of(grad).backward(PS_ROI_ALIGN, grad, rois, shapes, call, {}, several, out)


def ps_roi_align_backward_rois(
    grad: Any, data: Any, rois: Any, spatial_scale: Scale = 1.0, *, sampling_ratio: int = 0
) -> Any:
    """The gradient of `ps_roi_align` with respect to `rois`.

    Arguments, result and errors as of `roipool.roi_align_backward_rois`.

    Example:
        >>> import numpy as np, roipool
        >>> data = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)    # slopes of 4 and 1
        >>> roi = np.array([[0, 1, 1, 2.5, 2]], dtype=np.float32)
        >>> grad = np.ones((1, 1, 1, 1), np.float32)
        >>> roipool.ps_roi_align_backward_rois(grad, data, roi)
        array([[0. , 0.5, 2. , 0.5, 2. ]], dtype=float32)
    """
    call = PS_ROI_ALIGN.call(
        checks.pooled_size_of(grad),
        spatial_scale,
        checks.several(data),
        sampling_ratio=sampling_ratio,
    )
    return door_of(data).backward_rois(PS_ROI_ALIGN, grad, data, rois, call, {})
