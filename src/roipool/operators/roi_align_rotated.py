"""Mean of interpolated samples in the bins of a box turned by an angle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roipool import checks
from roipool.descriptions import Call, Operator, Option, Rows, described
from roipool.doors import door_of

if TYPE_CHECKING:
    from roipool import geometry
    from roipool.arrays import Scale

TURNED = Rows("rois", ("center x", "center y", "width", "height", "angle"), "number")


def _points(
    xp: Any,
    rois: Any,
    maps: geometry.Maps,
    size: tuple[int, int],
    dtype: Any,
    sampling_ratio: int,
    aligned: bool,
    clockwise: bool,
    *,
    traced: bool = False,
) -> tuple[geometry.Points, geometry.PointSlopes]:
    from roipool import geometry  # a door has: importing roipool need not

    return geometry.rotated_points(
        xp,
        rois,
        maps,
        size,
        dtype,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
        clockwise=clockwise,
        traced=traced,
    )


ROI_ALIGN_ROTATED = described(
    Operator(
        "roi_align_rotated",
        kernel="points_read",
        structure=_points,
        twin="rotated_points",
        dtypes=checks.FLOATS,
        options=(
            Option("sampling_ratio", "int", checks.sampling_ratio),
            Option("aligned", "bool", bool),
            Option("clockwise", "bool", bool),
        ),
        rows=TURNED,
        moves={"weight": (1, 2, 3, 4, 5)},
        curved=True,
    )
)


def _call(size: Any, spatial_scale: Any, arrays: int | None, **options: Any) -> Call:
    call = ROI_ALIGN_ROTATED.call(size, spatial_scale, arrays, **options)
    for y, x in call.scales:
        if y != x:
            raise ValueError(
                f"spatial_scale is {(y, x)}; a box turned by an angle needs one number for both "
                "axes, or it would no longer be a rectangle"
            )
    return call


def roi_align_rotated(
    data: Any,
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = 1.0,
    *,
    sampling_ratio: int = 0,
    aligned: bool = True,
    clockwise: bool = False,
    out: Any = None,
) -> Any:
    """Mean of samples interpolated inside boxes that are turned by an angle, into a fixed size.

    The samples of roi_align, laid in a box around its centre, and turned with it:

        off = 0.5 if aligned else 0
        cy = center y * spatial_scale - off         cx alike
        size = height * spatial_scale               if not aligned: max(size, 1)
        g = sampling_ratio or ceil(size / h)        samples in a bin
        v = -size / 2 + i * size / h + (n + 0.5) * size / h / g         n = 0 .. g - 1; u alike
        y = v * cos(angle) - u * sin(angle) + cy    x = v * sin(angle) + u * cos(angle) + cx
        (y, x) outside [-1, H] x [-1, W] counts as 0, else it is interpolated as by roi_align
        out[k, c, i, j] = sum of the samples of bin (i, j) / (g_y * g_x)

    A positive angle turns a box counter-clockwise as one sees the image, its y axis pointing down.

    Args:
        data: Feature maps (N, C, H, W), as of `roipool.roi_align`, or several of them.
        rois: (K, 6) rows [batch_index, center x, center y, width, height, angle], in image pixels
            and radians, or a sequence of N arrays (K_i, 5), one per image. A negative batch index
            marks a padding row.
        pooled_size: (h, w), or one int for both.
        spatial_scale: Size of the feature map / size of the image: one number for both axes, of
            several arrays one for all or one for each.
        sampling_ratio: Samples along each axis of a bin; 0 for as many as the bin has pixels.
        aligned: As of `roipool.roi_align`.
        clockwise: Whether a positive angle turns clockwise instead.
        out: Memory for the result, as of `roipool.roi_pool`.

    Returns:
        The pooled values (K, C, h, w), in the dtype of `data`; differentiable with respect to
        `data` and all of `rois` but the image, where the library records derivatives. Sines and
        cosines are those of each library, which may differ in the last bit.

    Raises:
        IndexError: A batch index is N or more.
        ValueError: A negative width or height, a row that is no region, an argument out of its
            range, or a sampling_ratio of 0 where values cannot be looked at.
        TypeError: A dtype that is not listed, or arrays of a library without a door.

    Source: J. Ma et al., "Arbitrary-Oriented Scene Text Detection via Rotation Proposals", IEEE
    Transactions on Multimedia 2018, section III.D; to rounding as Detectron2 (there in degrees),
    mmcv and OpenVINO.

    Example:
        >>> import numpy as np, roipool
        >>> x = np.arange(25, dtype=np.float32).reshape(1, 1, 5, 5)
        >>> rois = np.array([[0, 2.5, 2.5, 2, 2, 0], [0, 2.5, 2.5, 2, 2, np.pi / 2]], np.float32)
        >>> roipool.roi_align_rotated(x, rois, (2, 2)).round(3)
        array([[[[ 9., 10.],
                 [14., 15.]]],
        <BLANKLINE>
        <BLANKLINE>
               [[[14.,  9.],
                 [15., 10.]]]], dtype=float32)
    """
    how = {"sampling_ratio": sampling_ratio, "aligned": aligned, "clockwise": clockwise}
    call = _call(pooled_size, spatial_scale, checks.several(data), **how)
    return door_of(data).pool(ROI_ALIGN_ROTATED, data, rois, call, False, out)


def roi_align_rotated_backward(
    grad: Any,
    rois: Any,
    data_shape: Any,
    spatial_scale: Scale = 1.0,
    *,
    sampling_ratio: int = 0,
    aligned: bool = True,
    clockwise: bool = False,
    out: Any = None,
) -> Any:
    """The gradient of `roi_align_rotated` with respect to `data`.

    Arguments, result and errors as of `roipool.roi_align_backward`.

    Example:
        >>> import numpy as np, roipool
        >>> grad = np.ones((1, 1, 1, 1), np.float32)
        >>> roi = np.array([[0, 1.5, 1, 1, 1, 0.0]], dtype=np.float32)
        >>> roipool.roi_align_rotated_backward(grad, roi, (1, 1, 2, 3))
        array([[[[0. , 0.5, 0. ],
                 [0. , 0.5, 0. ]]]], dtype=float32)
    """
    several, shapes = checks.data_shapes(data_shape)
    how = {"sampling_ratio": sampling_ratio, "aligned": aligned, "clockwise": clockwise}
    call = _call(
        checks.pooled_size_of(grad), spatial_scale, len(shapes) if several else None, **how
    )
    return door_of(grad).backward(ROI_ALIGN_ROTATED, grad, rois, shapes, call, {}, several, out)


def roi_align_rotated_backward_rois(
    grad: Any,
    data: Any,
    rois: Any,
    spatial_scale: Scale = 1.0,
    *,
    sampling_ratio: int = 0,
    aligned: bool = True,
    clockwise: bool = False,
) -> Any:
    """The gradient of `roi_align_rotated` with respect to `rois`: (K, 6) rows, the first of 0.

    By the chain rule through the samples' positions: the centre moves all alike, the sizes spread
    them, the angle turns them. Arguments and errors as of `roipool.roi_align_backward_rois`.

    Example:
        >>> import numpy as np, roipool
        >>> data = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)    # slopes of 4 and 1
        >>> roi = np.array([[0, 1.75, 1.5, 1.5, 1, 0]], dtype=np.float32)
        >>> grad = np.ones((1, 1, 1, 1), np.float32)
        >>> found = roipool.roi_align_rotated_backward_rois(grad, data, roi, sampling_ratio=2)
        >>> found[0, 1:3]
        array([1., 4.], dtype=float32)
    """
    how = {"sampling_ratio": sampling_ratio, "aligned": aligned, "clockwise": clockwise}
    call = _call(checks.pooled_size_of(grad), spatial_scale, checks.several(data), **how)
    return door_of(data).backward_rois(ROI_ALIGN_ROTATED, grad, data, rois, call, {})
