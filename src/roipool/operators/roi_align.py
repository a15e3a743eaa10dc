"""Mean or maximum of interpolated samples in a region's bins: Mask R-CNN's RoIAlign."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

from roipool import checks
from roipool.descriptions import ENDS, Call, OnnxNode, Operator, Option, described
from roipool.doors import door_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from roipool import geometry
    from roipool.arrays import Array, Nested, Scale


def _taps(
    xp: Any,
    rois: Any,
    maps: geometry.Maps,
    size: tuple[int, int],
    dtype: Any,
    sampling_ratio: int,
    aligned: bool,
    *,
    traced: bool = False,
) -> tuple[geometry.Taps, geometry.Slopes]:
    from roipool import geometry  # a door has: importing roipool need not

    return geometry.align_taps(
        xp,
        rois,
        maps,
        size,
        dtype,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
        traced=traced,
    )


def _samples(
    singly: bool,
    xp: Any,
    rois: Any,
    maps: geometry.Maps,
    size: tuple[int, int],
    dtype: Any,
    sampling_ratio: int,
    aligned: bool,
    *,
    traced: bool = False,
) -> tuple[geometry.Taps, geometry.Slopes]:
    from roipool import geometry  # a door has: importing roipool need not

    return geometry.align_samples(
        xp,
        rois,
        maps,
        size,
        dtype,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
        singly=singly,
        traced=traced,
    )


def _attributes(mode: str, call: Call) -> dict[str, Any]:
    ratio, aligned = call.more
    return {
        "mode": mode,
        "output_height": call.pooled_size[0],
        "output_width": call.pooled_size[1],
        "sampling_ratio": ratio,
        "spatial_scale": call.scales[0][0],
        "coordinate_transformation_mode": "half_pixel" if aligned else "output_half_pixel",
    }


def _node(mode: str) -> OnnxNode:
    return OnnxNode(
        "RoiAlign",
        separate=True,
        attributes=partial(_attributes, mode),
        dtypes=dict.fromkeys(checks.FLOATS, "float32") | {"float64": "float64"},
        fails_reversed=lambda call: call.more == (0, True),
    )


OPTIONS = (
    Option("sampling_ratio", "int", checks.sampling_ratio),
    Option("aligned", "bool", bool),
)
ROI_ALIGN = described(
    Operator(
        "roi_align",
        kernel="taps_read",
        structure=_taps,
        twin="align_taps",
        dtypes=checks.FLOATS,
        options=OPTIONS,
        moves=ENDS,
        onnx=_node("avg"),
    )
)
ROI_ALIGN_MAX = described(
    Operator(
        "roi_align_max",
        kernel="samples_max",
        structure=partial(_samples, False),
        twin="align_samples",
        twin_fixed={"singly": False},
        dtypes=checks.FLOATS,
        options=OPTIONS,
        moves=ENDS,
        function="roi_align",
        fixed={"mode": "max"},
    )
)
ROI_ALIGN_ONNX_MAX = described(
    Operator(
        "roi_align_onnx_max",
        kernel="samples_max",
        structure=partial(_samples, True),
        twin="align_samples",
        twin_fixed={"singly": True},
        dtypes=checks.FLOATS,
        options=OPTIONS,
        moves=ENDS,
        onnx=_node("max"),
        function="roi_align",
        fixed={"mode": "onnx_max"},
    )
)
MODES = {"avg": ROI_ALIGN, "max": ROI_ALIGN_MAX, "onnx_max": ROI_ALIGN_ONNX_MAX}


def _of_mode(mode: Any) -> Operator:
    return MODES[checks.word("mode", tuple(MODES))(mode)]


def _saved(operator: Operator, argmax: Any) -> dict[str, Any]:
    """What the gradient of a mode reads beside the gradient; refuses what does not fit it."""
    if bool(operator.saved) == (argmax is not None):
        return {"argmax": argmax} if operator.saved else {}
    if operator.saved:
        raise TypeError(
            "argmax is None; the gradient of a maximum needs what roi_align(..., "
            "return_argmax=True) returned"
        )
    raise TypeError("argmax is given, but a mean has none: leave it out, or name the mode")


@overload
def roi_align(
    data: Array | Sequence[Array],
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = ...,
    *,
    sampling_ratio: int = ...,
    aligned: bool = ...,
    mode: str = ...,
    return_argmax: Literal[False] = ...,
    out: Array | None = ...,
) -> Array: ...
@overload
def roi_align(
    data: Array | Sequence[Array],
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = ...,
    *,
    sampling_ratio: int = ...,
    aligned: bool = ...,
    mode: str = ...,
    return_argmax: Literal[True],
    out: tuple[Array, Array] | None = ...,
) -> tuple[Array, Array]: ...
@overload
def roi_align(
    data: Nested,
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = ...,
    *,
    sampling_ratio: int = ...,
    aligned: bool = ...,
    mode: str = ...,
    return_argmax: Literal[False] = ...,
    out: np.ndarray | None = ...,
) -> np.ndarray: ...
def roi_align(
    data: Any,
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = 1.0,
    *,
    sampling_ratio: int = 0,
    aligned: bool = True,
    mode: str = "avg",
    return_argmax: bool = False,
    out: Any = None,
) -> Any:
    """Mean, or maximum, of samples interpolated inside regions, into a fixed size.

    A region is divided into `pooled_size` bins; each is sampled at a grid of points that lie
    evenly in it, interpolated between the four pixels around, and averaged. Nothing is rounded to
    pixels, so values move with the region, and it has a gradient too. Along each axis, for the ends
    c1 and c2 of a region on a map of L pixels:

        off = 0.5 if aligned else 0
        start = c1 * spatial_scale - off        size = (c2 * spatial_scale - off) - start
        if not aligned: size = max(size, 1)
        bin = size / P                          P bins along this axis
        g = sampling_ratio or ceil(size / P)    samples in a bin
        position(p, i) = start + p * bin + (i + 0.5) * bin / g      i = 0 .. g - 1
        outside [-1, L]: counts as 0, else q = clip(position, 0, L - 1), k = floor(q):
            (1 - (q - k)) * pixel k + (q - k) * pixel k + 1
        out[k, c, i, j] = sum of the samples of rows bin i, columns bin j / (g_y * g_x)

    Coordinates are computed in float32, or in float64 when `data` and `rois` both are. A bin
    without samples gives 0. A pixel of weight 0 is not read, whatever its value.

    Two operators bear the name of its maximum:

        mode="max"          the largest sample of a bin, each interpolated; one that counts as
                            nothing is 0
        mode="onnx_max"     the largest of weight * pixel, over the four pixels around each sample
                            singly: so ONNX Runtime and TensorRT compute it

    In both NaN never wins, a bin of nothing but NaN gives NaN, and the first of equals wins.

    Args:
        data: Feature maps (N, C, H, W): float16, bfloat16, float32 or float64, of any strides, in
            any library that `roipool.roi_pool` takes; or a sequence of such arrays, of as many
            channels each, (N_i, C, H_i, W_i) or (C, H_i, W_i): a feature pyramid, or images of
            several sizes. The images of all are counted through.
        rois: Regions in image pixels: (K, 5) rows [batch_index, x1, y1, x2, y2], or a sequence of
            N arrays (K_i, 4), one per image. A negative batch index marks a padding row: zeros
            out, no gradient.
        pooled_size: (h, w), or one int for both.
        spatial_scale: Size of the feature map / size of the image: one number, or a pair (along
            y, along x); of several arrays of maps one number for all, or one for each.
        sampling_ratio: Samples along each axis of a bin; 0 for as many as the bin has pixels,
            which averages without gaps.
        aligned: Whether pixel k covers [k, k + 1] of the scaled image, its centre being at k + 0.5,
            as Detectron2 corrected the first implementation. False gives that: half a pixel to
            the right, and regions of below one pixel widened to it.
        mode: "avg", "max" or "onnx_max".
        return_argmax: Of a maximum, whether to return which sample won too.
        out: Memory for the result, as of `roipool.roi_pool`.

    Returns:
        The pooled values (K, C, h, w), in the dtype of `data`; half types are summed in float32 and
        rounded once. Differentiable where the library records derivatives: with respect to `data`,
        any number of times, and to the corners in `rois`, which no other implementation offers. A
        value is not smooth where a sample passes a pixel: there the slope is that to its right. Of
        a maximum the gradient is that of the sample that won.

        With `return_argmax` a pair: the values, and the winners, (K, C, h, w) int32 numbers for
        the gradient to read, -1 where none won.

    Raises:
        IndexError: A batch index is N or more.
        ValueError: A batch index is no whole number, a coordinate is not finite, a shape is not
            as above, `pooled_size` is below 1, or `spatial_scale` is not finite and positive.
        TypeError: A dtype that is not listed, or arrays of a library without a door.

    Source: K. He et al., "Mask R-CNN", ICCV 2017, section 3; to rounding as torchvision, ONNX
    Runtime, MXNet and mmcv.

    Example:
        >>> import numpy as np, roipool
        >>> x = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
        >>> roi = np.array([[0, 1, 1, 4, 5]], dtype=np.float32)
        >>> roipool.roi_align(x, roi, (2, 2))
        array([[[[10.25, 11.75],
                 [22.25, 23.75]]]], dtype=float32)
        >>> roipool.roi_align(x, roi, (2, 2), aligned=False)
        array([[[[13.75, 15.25],
                 [25.75, 27.25]]]], dtype=float32)
    """
    operator = _of_mode(mode)
    if return_argmax and not operator.saved:
        raise TypeError("return_argmax is given, but a mean has no winners: leave it out")
    how = {"sampling_ratio": sampling_ratio, "aligned": aligned}
    call = operator.call(pooled_size, spatial_scale, checks.several(data), **how)
    return door_of(data).pool(operator, data, rois, call, bool(return_argmax), out)


def roi_align_backward(
    grad: Any,
    rois: Any,
    data_shape: Any,
    spatial_scale: Scale = 1.0,
    *,
    sampling_ratio: int = 0,
    aligned: bool = True,
    mode: str = "avg",
    argmax: Any = None,
    out: Any = None,
) -> Any:
    """The gradient of `roi_align` with respect to `data`.

        grad_data[n, c, y, x] += weight of y in bin i * weight of x in bin j * grad[k, c, i, j]

    for every k whose image is n: sums run over k, then i, then j, on any number of threads, so the
    bits are the same on every run. float16 and bfloat16 are summed in float32 and rounded once.
    Of a maximum the weights are those of the sample that won.

    Args:
        grad: Gradient of the pooled values, (K, C, h, w): float16, bfloat16, float32 or float64.
        rois: The regions given to `roi_align`, in either form.
        data_shape: The shape of `data`, (N, C, H, W); of several arrays, a list of theirs.
        spatial_scale: As given to `roi_align`, and so are `sampling_ratio` and `aligned`.
        sampling_ratio: See there.
        aligned: See there.
        mode: See there.
        argmax: Of a maximum, the winners that `roi_align(..., return_argmax=True)` returned.
        out: Memory for the result, an array of shape `data_shape` and the dtype of `grad`.

    Returns:
        The gradient, of shape `data_shape` and the dtype of `grad`; of several arrays a list.

    Raises:
        IndexError: A batch index is N or more.
        ValueError: Shapes that do not fit each other, or rows that are no regions.
        TypeError: A dtype that has no gradient, or arrays of a library without a door.

    Example:
        >>> import numpy as np, roipool
        >>> grad = np.ones((1, 1, 2, 2), np.float32)
        >>> roi = np.array([[0, 1, 1, 3, 2]], dtype=np.float32)
        >>> roipool.roi_align_backward(grad, roi, (1, 1, 3, 4))
        array([[[[0.  , 0.25, 0.25, 0.  ],
                 [0.  , 1.5 , 1.5 , 0.  ],
                 [0.  , 0.25, 0.25, 0.  ]]]], dtype=float32)
    """
    operator = _of_mode(mode)
    saved = _saved(operator, argmax)
    several, shapes = checks.data_shapes(data_shape)
    arrays = len(shapes) if several else None
    how = {"sampling_ratio": sampling_ratio, "aligned": aligned}
    call = operator.call(checks.pooled_size_of(grad), spatial_scale, arrays, **how)
    return door_of(grad).backward(operator, grad, rois, shapes, call, saved, several, out)


def roi_align_backward_rois(
    grad: Any,
    data: Any,
    rois: Any,
    spatial_scale: Scale = 1.0,
    *,
    sampling_ratio: int = 0,
    aligned: bool = True,
    mode: str = "avg",
    argmax: Any = None,
) -> Any:
    """The gradient of `roi_align` with respect to `rois`.

        position = start + t * size, t from 0 to 1 along the region: moves with its first end by
        spatial_scale * (1 - t), with its last by spatial_scale * t; and the weights move with it

    The chain rule through the weights of the samples. Where a size is clamped (`aligned` false, a
    region of below one pixel) a region moves with its first end alone. That the number of samples,
    or which of them count, depends on the region is not counted; the batch index has no gradient.

    Args:
        grad: Gradient of the pooled values, (K, C, h, w), of the dtype of `data`.
        data: The feature maps given to `roi_align`.
        rois: The regions given to `roi_align`, in either form.
        spatial_scale: As given to `roi_align`, and so are `sampling_ratio` and `aligned`.
        sampling_ratio: See there.
        aligned: See there.
        mode: See there.
        argmax: Of a maximum, the winners that `roi_align(..., return_argmax=True)` returned.

    Returns:
        (K, 5) rows [0, x1, y1, x2, y2] of derivatives, one for each row or box in `rois`: float64
        where coordinates are computed in it, else float32.

    Raises:
        IndexError: A batch index is N or more.
        ValueError: Shapes that do not fit each other, or rows that are no regions.
        TypeError: A dtype that has no gradient, or arrays of a library without a door.

    Example:
        >>> import numpy as np, roipool
        >>> data = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)    # slopes of 4 and 1
        >>> roi = np.array([[0, 1, 1, 2.5, 2]], dtype=np.float32)
        >>> grad = np.ones((1, 1, 1, 1), np.float32)
        >>> roipool.roi_align_backward_rois(grad, data, roi)
        array([[0. , 0.5, 2. , 0.5, 2. ]], dtype=float32)
    """
    operator = _of_mode(mode)
    saved = _saved(operator, argmax)
    how = {"sampling_ratio": sampling_ratio, "aligned": aligned}
    size, arrays = checks.pooled_size_of(grad), checks.several(data)
    call = operator.call(size, spatial_scale, arrays, **how)
    return door_of(data).backward_rois(operator, grad, data, rois, call, saved)
