"""Mean over whole pixels of position-sensitive maps: R-FCN's pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roipool import checks
from roipool.descriptions import Operator, Option, described
from roipool.doors import door_of

if TYPE_CHECKING:
    from roipool import geometry
    from roipool.arrays import Scale

CONVENTIONS = ("rfcn", "torchvision")


def _taps(
    xp: Any,
    rois: Any,
    maps: geometry.Maps,
    size: tuple[int, int],
    dtype: Any,
    convention: str,
    *,
    traced: bool = False,
) -> tuple[geometry.Taps, None]:
    from roipool import geometry  # a door has: importing roipool need not

    taps = geometry.position_sensitive_taps(
        xp, rois, maps, size, dtype, convention=convention, traced=traced
    )
    return taps, None


PS_ROI_POOL = described(
    Operator(
        "ps_roi_pool",
        kernel="taps_read",
        structure=_taps,
        twin="position_sensitive_taps",
        dtypes=checks.FLOATS,
        options=(Option("convention", "str", checks.word("convention", CONVENTIONS)),),
        position_sensitive=True,
    )
)


def ps_roi_pool(
    data: Any,
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = 1.0,
    *,
    convention: str = "rfcn",
    out: Any = None,
) -> Any:
    """Mean over regions of position-sensitive maps (R-FCN), into a fixed size.

        channel of bin (i, j) = (c * h + i) * w + j
        out[k, c, i, j] = mean of that channel of data[batch_index] over rows bin i, columns bin j

    Along each axis, for the ends c1 and c2 of a region and P bins on a map of L pixels:

        "rfcn":         a = round(c1) * spatial_scale       b = (round(c2) + 1) * spatial_scale
                        step = max(b - a, 0.1) / P
                        bin p = [floor(p * step + a), ceil((p + 1) * step + a))   clipped to [0, L]
        "torchvision":  a = round(c1 * spatial_scale)       b = round(c2 * spatial_scale)
                        step = max(b - a, 1) / P
                        bin p = [floor(p * step) + a, ceil((p + 1) * step) + a)
                                                            clipped to [0, L - 1]

    Halves are rounded away from zero. The second convention is that of `torchvision.ops`, which
    never reads the last row and column of a map.

    Args:
        data: Feature maps (N, C * h * w, H, W), as of `roipool.roi_align`, or several of them.
        rois: Regions in image pixels, as of `roipool.roi_pool`.
        pooled_size: (h, w), or one int for both.
        spatial_scale: Size of the feature map / size of the image, as of `roipool.roi_pool`.
        convention: "rfcn" or "torchvision".
        out: Memory for the result, as of `roipool.roi_pool`.

    Returns:
        The pooled values (K, C, h, w), in the dtype of `data`; differentiable with respect to
        `data` where the library records derivatives, and not moving with `rois`. An empty bin
        gives 0.

    Raises:
        IndexError: A batch index is N or more.
        ValueError: Channels that are no multiple of h * w, a row that is no region, or an argument
            out of its range.
        TypeError: A dtype that is not listed, or arrays of a library without a door.

    Source: J. Dai et al., "R-FCN", NIPS 2016, section 3; "rfcn" to rounding as PaddlePaddle and
    OpenVINO.

    Example:
        >>> import numpy as np, roipool
        >>> x = np.zeros((1, 4, 8, 6), np.float32) + np.arange(4, dtype=np.float32)[:, None, None]
        >>> roi = np.array([[0, 1, 1, 4, 5]], dtype=np.float32)
        >>> roipool.ps_roi_pool(x, roi, (2, 2))
        array([[[[0., 1.],
                 [2., 3.]]]], dtype=float32)
    """
    how = {"convention": convention}
    call = PS_ROI_POOL.call(pooled_size, spatial_scale, checks.several(data), **how)
    return door_of(data).pool(PS_ROI_POOL, data, rois, call, False, out)


def ps_roi_pool_backward(
    grad: Any,
    rois: Any,
    data_shape: Any,
    spatial_scale: Scale = 1.0,
    *,
    convention: str = "rfcn",
    out: Any = None,
) -> Any:
    """The gradient of `ps_roi_pool` with respect to `data`: 1 / area to every pixel of a bin.

    Arguments, result and errors as of `roipool.roi_align_backward`.

    Example:
        >>> import numpy as np, roipool
        >>> grad = np.ones((1, 1, 1, 2), np.float32)
        >>> roi = np.array([[0, 0, 0, 3, 0]], dtype=np.float32)
        >>> roipool.ps_roi_pool_backward(grad, roi, (1, 2, 1, 4))
        array([[[[0.5, 0.5, 0. , 0. ]],
        <BLANKLINE>
                [[0. , 0. , 0.5, 0.5]]]], dtype=float32)
    """
    several, shapes = checks.data_shapes(data_shape)
    call = PS_ROI_POOL.call(
        checks.pooled_size_of(grad),
        spatial_scale,
        len(shapes) if several else None,
        convention=convention,
    )
    return door_of(grad).backward(PS_ROI_POOL, grad, rois, shapes, call, {}, several, out)
