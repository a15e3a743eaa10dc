"""Maximum or mean over a region's bins of whole pixels: MXNet's ROIPooling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from roipool import checks
from roipool.descriptions import Call, OnnxNode, Operator, described
from roipool.doors import door_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from roipool import geometry
    from roipool.arrays import Array, Nested, Scale


def _bins(
    xp: Any, rois: Any, maps: geometry.Maps, size: tuple[int, int], dtype: Any, **_: Any
) -> tuple[geometry.Bins, None]:
    from roipool import geometry  # a door has: importing roipool need not

    return geometry.max_bins(xp, rois, maps, size, dtype), None


def _taps(*given: Any, traced: bool = False) -> tuple[geometry.Taps, None]:
    from roipool import geometry  # a door has: importing roipool need not

    return geometry.average_taps(*given, traced=traced), None


def _attributes(call: Call) -> dict[str, Any]:
    return {"pooled_shape": call.pooled_size, "spatial_scale": call.scales[0][0]}


ROI_POOL = described(
    Operator(
        "roi_pool",
        kernel="max",
        structure=_bins,
        twin="max_bins",
        dtypes=checks.DTYPES,
        onnx=OnnxNode(
            "MaxRoiPool",
            separate=False,
            attributes=_attributes,
            dtypes=dict.fromkeys(checks.IN_FLOAT32, "float32"),
        ),
        oldest=True,
    )
)
ROI_POOL_AVG = described(
    Operator(
        "roi_pool_avg",
        kernel="taps_read",
        structure=_taps,
        twin="average_taps",
        dtypes=checks.FLOATS,
        function="roi_pool",
        fixed={"mode": "avg"},
    )
)
MODES = {"max": ROI_POOL, "avg": ROI_POOL_AVG}


def _of_mode(mode: Any) -> Operator:
    return MODES[checks.word("mode", tuple(MODES))(mode)]


@overload
def roi_pool(
    data: Array | Sequence[Array],
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = ...,
    *,
    mode: str = ...,
    return_argmax: Literal[False] = ...,
    out: Array | None = ...,
) -> Array: ...
@overload
def roi_pool(
    data: Array | Sequence[Array],
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = ...,
    *,
    mode: str = ...,
    return_argmax: Literal[True],
    out: tuple[Array, Array] | None = ...,
) -> tuple[Array, Array]: ...
@overload
def roi_pool(
    data: Array | Sequence[Array],
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = ...,
    *,
    mode: str = ...,
    return_argmax: bool,
    out: None = ...,
) -> Array | tuple[Array, Array]: ...
@overload
def roi_pool(
    data: Nested,
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = ...,
    *,
    mode: str = ...,
    return_argmax: Literal[False] = ...,
    out: np.ndarray | None = ...,
) -> np.ndarray: ...
@overload
def roi_pool(
    data: Nested,
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = ...,
    *,
    mode: str = ...,
    return_argmax: Literal[True],
    out: tuple[np.ndarray, np.ndarray] | None = ...,
) -> tuple[np.ndarray, np.ndarray]: ...
def roi_pool(
    data: Any,
    rois: Any,
    pooled_size: int | tuple[int, int],
    spatial_scale: Scale = 1.0,
    *,
    mode: str = "max",
    return_argmax: bool = False,
    out: Any = None,
) -> Any:
    """Max pooling over regions of interest (MXNet's ROIPooling), into a fixed size.

    A region's corners are scaled and rounded to pixels of the feature map, both ends inclusive;
    the rectangle is divided into `pooled_size` bins, and each bin gives its maximum:

        a = round(x1 * spatial_scale)      b = round(x2 * spatial_scale)     half away from zero
        step = max(b - a + 1, 1) / P       P bins along this axis
        bin p = [floor(p * step) + a, ceil((p + 1) * step) + a)              clipped to the map
        out[k, c, i, j] = max of data[batch_index, c] over rows bin i, columns bin j

    Coordinates are computed in float32, or in float64 when `data` and `rois` both are. NaN never
    wins; a bin of nothing but NaN gives NaN; an empty bin gives 0; of equal values the first in
    row-major order wins.

    With mode="avg" a bin gives the mean of its pixels, of float features, and NaN if one is NaN.

    Args:
        data: Feature maps (N, C, H, W): float16, bfloat16, float32, float64, int8, uint8, int16 or
            int32, of any strides; channels-last memory is used as it lies. An array of NumPy, JAX
            or Dask, a tensor of PyTorch on the CPU, an array of MXNet there or one of its symbols,
            any array with DLPack there, or a value of one of spox's ONNX graphs (see
            `roipool.onnx`). Or a sequence of arrays, of as many channels each, (N_i, C, H_i, W_i)
            or (C, H_i, W_i): a feature pyramid, or images of several sizes. The images of all are
            counted through.
        rois: Regions in image pixels: (K, 5) rows [batch_index, x1, y1, x2, y2], or a sequence of
            N arrays (K_i, 4), one per image. A negative batch index marks a padding row: zeros
            out, no gradient.
        pooled_size: (h, w), or one int for both.
        spatial_scale: Size of the feature map / size of the image, 1 / the network's total
            stride: one number, or a pair (along y, along x); of several arrays of maps one number
            for all, or one for each.
        mode: "max" or "avg".
        return_argmax: Of a maximum, whether to return the winners' positions too.
        out: Memory for the result, an array of its shape and dtype; with `return_argmax` a pair of
            them; of tensors only where no derivative is asked for, of JAX and Dask arrays never.
            It spares fresh memory, which costs a large result as much time again. Without it up to
            256 MiB of what freed results held are used again.

    Returns:
        The pooled values (K, C, h, w), in the dtype of `data`. With `return_argmax` a pair: the
        values, and the positions y * W + x of the winners in their channel planes, (K, C, h, w)
        int32 (int64 where H * W does not fit), -1 where nothing was pooled.

        Of tensors, tensors: differentiable with respect to `data`, any number of times, in both
        modes, under torch.func and torch.compile; channels-last where `data` is. Of JAX arrays,
        JAX arrays, under every transformation. Of MXNet's arrays, its own, recorded by its
        autograd; of its symbols, a symbol, which takes what is no region as a padding row. Of
        another library's, its own, without derivatives.

        Of Dask arrays, lazy ones: in blocks of as many regions as fill Dask's `array.chunk-size`,
        and channels as `data` has them. `rois` may be a Dask array (K, 5) too: its own blocks, each
        looked at in every chunk of `data`, and wrong rows told when the result is computed.

    Raises:
        IndexError: A batch index is N or more.
        ValueError: A batch index is no whole number, a coordinate is not finite, a shape is not
            as above, `pooled_size` is below 1, or `spatial_scale` is not finite and positive.
        TypeError: A dtype that is not listed, or arrays of a library without a door.

    Source: R. Girshick, "Fast R-CNN", ICCV 2015, section 2.1; bit for bit as MXNet 1.9.1 on
    finite features.

    Example:
        >>> import numpy as np, roipool
        >>> x = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
        >>> y = np.array([[0, 0, 0, 4, 4]], dtype=np.float32)
        >>> roipool.roi_pool(x, y, (2, 2), 1.0)
        array([[[[14., 16.],
                 [26., 28.]]]], dtype=float32)
        >>> roipool.roi_pool(x, y, (2, 2), 0.7)
        array([[[[ 7.,  9.],
                 [19., 21.]]]], dtype=float32)
    """
    operator = _of_mode(mode)
    if return_argmax and not operator.saved:
        raise TypeError("return_argmax is given, but a mean has no winners: leave it out")
    call = operator.call(pooled_size, spatial_scale, checks.several(data))
    return door_of(data).pool(operator, data, rois, call, bool(return_argmax), out)


def roi_pool_backward(
    grad: Any,
    argmax: Any,
    rois: Any,
    data_shape: Any,
    spatial_scale: Scale = 1.0,
    *,
    mode: str = "max",
    out: Any = None,
) -> Any:
    """The gradient of `roi_pool` with respect to `data`.

        grad_data[n, c, argmax[k, c, i, j]] += grad[k, c, i, j]     for every k whose image is n

    With mode="avg" every pixel of a bin gets grad / area instead, and `argmax` is None. Sums run
    over k, then i, then j, on any number of threads: the same bits on every run.
    float16 and bfloat16 are summed in float32 and rounded once. The gradient with respect to
    `rois` is zero.

    Args:
        grad: Gradient of the pooled values, (K, C, h, w): float16, bfloat16, float32 or float64.
        argmax: Positions as `roi_pool(..., return_argmax=True)` returned them, (K, C, h, w).
        rois: The regions given to `roi_pool`, in either form; of a maximum only their images
            matter.
        data_shape: The shape of `data`, (N, C, H, W); of several arrays, a list of theirs.
        spatial_scale: As given to `roi_pool`; a maximum does not need it.
        mode: As given to `roi_pool`.
        out: Memory for the result, an array of shape `data_shape` and the dtype of `grad`. It is
            overwritten, not added to, also where a position then proves to lie outside the map.

    Returns:
        The gradient, of shape `data_shape` and the dtype of `grad`; of several arrays a list. Of
        tensors, channels-last where `grad` is. Of Dask arrays, a lazy one: in chunks of whole rows
        of some images, of about `array.chunk-size`, channels as `grad` has them.

    Raises:
        IndexError: A batch index is N or more, or a position lies outside the map.
        ValueError: Shapes that do not fit each other, or a batch index that is no whole number.
        TypeError: A dtype that has no gradient, or arrays of a library without a door.

    Source: R. Girshick, "Fast R-CNN", ICCV 2015, section 2.3, equation 4.

    Example:
        >>> import numpy as np, roipool
        >>> x = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
        >>> y = np.array([[0, 0, 0, 4, 4]], dtype=np.float32)
        >>> out, argmax = roipool.roi_pool(x, y, 2, return_argmax=True)
        >>> grad = roipool.roi_pool_backward(np.ones_like(out), argmax, y, x.shape)
        >>> np.argwhere(grad[0, 0] == 1).tolist()
        [[2, 2], [2, 4], [4, 2], [4, 4]]
    """
    operator = _of_mode(mode)
    if (argmax is not None) != bool(operator.saved):
        raise TypeError(
            f"argmax is {'given' if argmax is not None else 'None'}, but mode is {mode!r}; "
            "expected what roi_pool(..., return_argmax=True) gave of a maximum, None of a mean"
        )
    several, shapes = checks.data_shapes(data_shape)
    size = 1 if operator.located else checks.pooled_size_of(grad)  # known of what was found
    call = operator.call(size, spatial_scale, len(shapes) if several else None)
    saved = {"argmax": argmax} if operator.saved else {}
    return door_of(grad).backward(operator, grad, rois, shapes, call, saved, several, out)
