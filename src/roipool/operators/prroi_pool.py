"""The interpolated map averaged over each bin exactly: Precise RoI Pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roipool import checks
from roipool.descriptions import ENDS, Operator, described
from roipool.doors import door_of

if TYPE_CHECKING:
    from roipool import geometry
    from roipool.arrays import Scale


def _taps(*given: Any, traced: bool = False) -> tuple[geometry.Taps, geometry.Slopes]:
    from roipool import geometry  # a door has: importing roipool need not

    return geometry.integral_taps(*given, traced=traced)


PRROI_POOL = described(
    Operator(
        "prroi_pool",
        kernel="taps_read",
        structure=_taps,
        twin="integral_taps",
        dtypes=checks.FLOATS,
        moves=ENDS,
        curved=True,
    )
)


def prroi_pool(
    data: Any,
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = 1.0,
    *,
    out: Any = None,
) -> Any:
    """Mean of the interpolated map over each bin of a region: its integral, no samples.

    Along each axis, for the ends c1 and c2 of a region, P bins, and the hat
    hat(t) = max(0, 1 - |t|), which is what a pixel weighs at a distance of t:

        size = max(c2 * spatial_scale - c1 * spatial_scale, 0) / P      of a bin
        a = c1 * spatial_scale + p * size       b = a + size
        weight of pixel i = integral of hat(t - i) for t from a to b / size
        out[k, c, i, j] = sum of weight of row * weight of column * data[batch_index, c]

    Outside of the map the surface is zero: it falls from the last pixel to 0 at the next place. A
    bin without area gives 0. Values move with the region's ends without any jump.

    Args:
        data: Feature maps (N, C, H, W), as of `roipool.roi_align`, or several of them.
        rois: Regions in image pixels, as of `roipool.roi_align`: pixel k of the map lies at k.
        pooled_size: (h, w), or one int for both.
        spatial_scale: Size of the feature map / size of the image, as of `roipool.roi_align`.
        out: Memory for the result, as of `roipool.roi_pool`.

    Returns:
        The pooled values (K, C, h, w), in the dtype of `data`; differentiable with respect to
        `data` and `rois` where the library records derivatives.

    Raises:
        IndexError: A batch index is N or more.
        ValueError: A row that is no region, or an argument out of its range.
        TypeError: A dtype that is not listed, or arrays of a library without a door.

    Source: B. Jiang et al., "Acquisition of Localization Confidence for Accurate Object
    Detection", ECCV 2018, section 3.3; to rounding as the authors' code.

    Example:
        >>> import numpy as np, roipool
        >>> x = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
        >>> roi = np.array([[0, 1, 1, 4, 5]], dtype=np.float32)
        >>> roipool.prroi_pool(x, roi, (2, 2))
        array([[[[13.75, 15.25],
                 [25.75, 27.25]]]], dtype=float32)
    """
    call = PRROI_POOL.call(pooled_size, spatial_scale, checks.several(data))
    return door_of(data).pool(PRROI_POOL, data, rois, call, False, out)


def prroi_pool_backward(
    grad: Any, rois: Any, data_shape: Any, spatial_scale: Scale = 1.0, *, out: Any = None
) -> Any:
    """The gradient of `prroi_pool` with respect to `data`.

    Each gradient goes to the pixels that its value was summed from, with their weights. Arguments,
    result and errors as of `roipool.roi_align_backward`.

    Example:
        >>> import numpy as np, roipool
        >>> grad = np.ones((1, 1, 1, 1), np.float32)
        >>> roi = np.array([[0, 0, 0, 2, 2]], dtype=np.float32)
        >>> roipool.prroi_pool_backward(grad, roi, (1, 1, 1, 4))
        array([[[[0.0625, 0.125 , 0.0625, 0.    ]]]], dtype=float32)
    """
    several, shapes = checks.data_shapes(data_shape)
    call = PRROI_POOL.call(
        checks.pooled_size_of(grad), spatial_scale, len(shapes) if several else None
    )
    return door_of(grad).backward(PRROI_POOL, grad, rois, shapes, call, {}, several, out)


def prroi_pool_backward_rois(grad: Any, data: Any, rois: Any, spatial_scale: Scale = 1.0) -> Any:
    """The gradient of `prroi_pool` with respect to `rois`.

        d value / d b = (hat(b - i) - weight) / size        of the weight of pixel i, and
        d value / d a = (weight - hat(a - i)) / size        a and b moving with both ends

    A region without area, or reversed, has none. Arguments, result and errors as of
    `roipool.roi_align_backward_rois`.

    Example:
        >>> import numpy as np, roipool
        >>> data = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)    # slopes of 4 and 1
        >>> roi = np.array([[0, 0.5, 0.5, 2, 1.5]], dtype=np.float32)
        >>> grad = np.ones((1, 1, 1, 1), np.float32)
        >>> roipool.prroi_pool_backward_rois(grad, data, roi).round(3)
        array([[0. , 0.5, 2. , 0.5, 2. ]], dtype=float32)
    """
    call = PRROI_POOL.call(checks.pooled_size_of(grad), spatial_scale, checks.several(data))
    return door_of(data).backward_rois(PRROI_POOL, grad, data, rois, call, {})
