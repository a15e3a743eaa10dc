"""Boxes cropped and resized, their corners being the outermost samples: TensorFlow's operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roipool import checks
from roipool.descriptions import Operator, Option, Rows, described
from roipool.doors import door_of

if TYPE_CHECKING:
    from roipool import geometry

BOXES = Rows(
    "boxes",
    ("y1", "x1", "y2", "x2"),
    "coordinate, 1 being the last pixel's centre",
    scaled=False,
)
METHODS = ("bilinear", "nearest")


def _taps(
    xp: Any,
    boxes: Any,
    maps: geometry.Maps,
    size: tuple[int, int],
    dtype: Any,
    method: str,
    extrapolation_value: float,
    tensorflow: bool,
    *,
    traced: bool = False,
) -> tuple[geometry.Taps, geometry.Slopes]:
    from roipool import geometry  # a door has: importing roipool need not

    return geometry.crop_taps(
        xp, boxes, maps, size, dtype, method=method, tensorflow=tensorflow, traced=traced
    )


CROP_AND_RESIZE = described(
    Operator(
        "crop_and_resize",
        kernel="taps_read",
        structure=_taps,
        twin="crop_taps",
        dtypes=checks.FLOATS,
        options=(
            Option("method", "str", checks.word("method", METHODS)),
            Option("extrapolation_value", "float", checks.number("extrapolation_value")),
            Option("tensorflow", "bool", bool),
        ),
        rows=BOXES,
        moves={"y_weight": (1, 3), "x_weight": (2, 4)},
        fill="extrapolation_value",
    )
)


def crop_and_resize(
    data: Any,
    boxes: Any,
    size: int | tuple[int, int],
    *,
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
    tensorflow: bool = False,
    out: Any = None,
) -> Any:
    """Crops of feature maps, resized to a fixed size: one sample a bin, corners on corners.

    Boxes are normalised: 0 is the centre of the first pixel of a map, 1 that of the last. Along
    each axis, for the ends c1 and c2 of a box and P samples on a map of L pixels:

        position(p) = c1 * (L - 1) + p * ((c2 - c1) * (L - 1) / (P - 1))    the last at c2 * (L - 1)
        P = 1: (c1 + c2) * 0.5 * (L - 1)
        below 0 or above L - 1 along either axis: extrapolation_value
        "bilinear": interpolated between the four pixels around
        "nearest": the pixel at round(position), halves away from zero

    A box whose second end comes first gives a mirrored crop.

    Args:
        data: Feature maps (N, C, H, W): float16, bfloat16, float32 or float64, as of
            `roipool.roi_align`, or several of them.
        boxes: (K, 5) rows [batch_index, y1, x1, y2, x2], or a sequence of N arrays (K_i, 4), one
            per image. A negative batch index marks a padding row: zeros out, no gradient.
        size: (h, w) of the crops, or one int for both.
        method: "bilinear" or "nearest".
        extrapolation_value: What a sample outside of the map is.
        tensorflow: Whether the last position is c1 * (L - 1) + (P - 1) * step, as TensorFlow rounds
            it: there the last sample of the whole map, [0, 0, 1, 1], may lie just outside.
        out: Memory for the result, as of `roipool.roi_pool`.

    Returns:
        The crops (K, C, h, w), in the dtype of `data` (TensorFlow's are float32, see
        `roipool.compat.tensorflow`); differentiable with respect to `data` and, if bilinear,
        `boxes`, where the library records derivatives.

    Raises:
        IndexError: A batch index is N or more.
        ValueError: A row that is no box, or an argument out of its range.
        TypeError: A dtype that is not listed, or arrays of a library without a door.

    Source: `tf.image.crop_and_resize` of TensorFlow; to rounding as its values.

    Example:
        >>> import numpy as np, roipool
        >>> x = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
        >>> roipool.crop_and_resize(x, np.array([[0, 0, 0, 1, 1]], np.float32), (2, 3))
        array([[[[ 0. ,  1.5,  3. ],
                 [ 8. ,  9.5, 11. ]]]], dtype=float32)
    """
    call = CROP_AND_RESIZE.call(
        size,
        1.0,
        checks.several(data),
        method=method,
        extrapolation_value=extrapolation_value,
        tensorflow=tensorflow,
    )
    return door_of(data).pool(CROP_AND_RESIZE, data, boxes, call, False, out)


def crop_and_resize_backward(
    grad: Any,
    boxes: Any,
    data_shape: Any,
    *,
    method: str = "bilinear",
    tensorflow: bool = False,
    out: Any = None,
) -> Any:
    """The gradient of `crop_and_resize` with respect to `data`.

    Arguments, result and errors as of `roipool.roi_align_backward`.

    Example:
        >>> import numpy as np, roipool
        >>> grad = np.ones((1, 1, 1, 3), np.float32)
        >>> box = np.array([[0, 0, 0, 1, 1]], np.float32)
        >>> roipool.crop_and_resize_backward(grad, box, (1, 1, 1, 4))
        array([[[[1. , 0.5, 0.5, 1. ]]]], dtype=float32)
    """
    several, shapes = checks.data_shapes(data_shape)
    call = CROP_AND_RESIZE.call(
        checks.pooled_size_of(grad),
        1.0,
        len(shapes) if several else None,
        method=method,
        extrapolation_value=0.0,
        tensorflow=tensorflow,
    )
    return door_of(grad).backward(CROP_AND_RESIZE, grad, boxes, shapes, call, {}, several, out)


def crop_and_resize_backward_boxes(
    grad: Any, data: Any, boxes: Any, *, method: str = "bilinear", tensorflow: bool = False
) -> Any:
    """The gradient of `crop_and_resize` with respect to `boxes`: (K, 5) rows, the first of 0.

    Zero of "nearest", and of samples outside of the map. Arguments and errors as of
    `roipool.roi_align_backward_rois`.

    Example:
        >>> import numpy as np, roipool
        >>> data = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)    # slopes of 4 and 1
        >>> grad = np.ones((1, 1, 1, 1), np.float32)
        >>> box = np.array([[0, 0.125, 0.125, 0.5, 0.5]], np.float32)
        >>> roipool.crop_and_resize_backward_boxes(grad, data, box)
        array([[0. , 4. , 1.5, 4. , 1.5]], dtype=float32)
    """
    call = CROP_AND_RESIZE.call(
        checks.pooled_size_of(grad),
        1.0,
        checks.several(data),
        method=method,
        extrapolation_value=0.0,
        tensorflow=tensorflow,
    )
    return door_of(data).backward_rois(CROP_AND_RESIZE, grad, data, boxes, call, {})
