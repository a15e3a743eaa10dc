"""TensorFlow's `tf.image.crop_and_resize` under its name, for arrays of four libraries.

Of NumPy, PyTorch and JAX, which need no TensorFlow, and of TensorFlow itself where it runs eagerly:
its tensors become NumPy's arrays and the result a tensor again, recorded by its GradientTape.

Images are (N, H, W, C) of any real dtype, read as float32, and crops are float32, as there. Values
are the same up to rounding, and the last position is rounded as TensorFlow rounds it: there the
last row or column of the whole image, [0, 0, 1, 1], may lie just outside and be
`extrapolation_value`. The differences:

- A negative box index marks a padding row of zeros: TensorFlow raises. One that there is no image
  of raises IndexError, and a coordinate that is NaN or infinite ValueError.
- Where a sample is a whole pixel, the gradient of the boxes is the slope to its right: TensorFlow
  has none there. That of method "nearest" is zero: TensorFlow's is that of "bilinear".
- Gradients of half precision are summed in float32, and all are the same bits on every run. Second
  derivatives, forward mode and vmap are there in PyTorch and JAX.
- The result of NumPy arrays is a view of memory that has the channels first; where they must lie
  last, `numpy.ascontiguousarray` copies them.
- Inside tf.function there are no values to look at, and symbolic tensors are refused: use
  tf.py_function, or run eagerly. On the CPU only.
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from roipool import checks, operators
from roipool.doors import door_of

_DOORS = tuple(f"roipool.doors.{library}" for library in ("numpy", "torch", "jax"))


def crop_and_resize(
    image: Any,
    boxes: Any,
    box_indices: Any,
    crop_size: Sequence[int],
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
    name: str | None = None,
) -> Any:
    """`tf.image.crop_and_resize`: see `roipool.crop_and_resize`.

    Args:
        image: (N, H, W, C).
        boxes: (K, 4) [y1, x1, y2, x2], 1 being the centre of the last row or column.
        box_indices: (K,): of each box its image.
        crop_size: (h, w).
        method: "bilinear" or "nearest".
        extrapolation_value: What a sample outside of the image is.
        name: Not used.

    Returns:
        (K, h, w, C) float32, of the library of `image`; differentiable with respect to `image` and
        `boxes`, where the library records derivatives.

    Example:
        >>> import numpy as np
        >>> from roipool.compat.tensorflow import crop_and_resize
        >>> image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4, 1)
        >>> crop_and_resize(image, [[0, 0, 1, 1]], [0], (2, 3))[..., 0]
        array([[[ 0. ,  1.5,  3. ],
                [ 8. ,  9.5, 11. ]]], dtype=float32)
    """
    how: dict[str, Any] = {"method": method, "extrapolation_value": float(extrapolation_value)}
    size = checks.pooled_size(crop_size)
    if type(image).__module__.startswith("tensorflow."):
        return _of_tensorflow(image, boxes, box_indices, size, how)
    door = door_of(image)
    if door.__name__ not in _DOORS:
        raise TypeError(
            f"image is a {type(image).__name__}; expected an array of NumPy, PyTorch, JAX or "
            "TensorFlow: convert with numpy.asarray"
        )
    xp = door.xp
    data = _channels_first(xp, _float32(xp, image))
    rows = _rows(xp, _float32(xp, boxes), _float32(xp, box_indices))
    crops = operators.crop_and_resize(data, rows, size, tensorflow=True, **how)
    return xp.moveaxis(crops, 1, 3)


def _float32(xp: Any, values: Any) -> Any:
    if hasattr(values, "requires_grad"):
        return values.to(xp.float32)  # as asarray does not, it keeps derivatives
    return xp.asarray(values, dtype=xp.float32)


def _channels_first(xp: Any, image: Any) -> Any:
    if image.ndim != 4:
        raise ValueError(f"image has shape {tuple(image.shape)}; expected (N, H, W, C)")
    return xp.moveaxis(image, 3, 1)


def _rows(xp: Any, boxes: Any, indices: Any) -> Any:
    if boxes.ndim != 2 or boxes.shape[1] != 4 or tuple(indices.shape) != (boxes.shape[0],):
        raise ValueError(
            f"boxes and box_indices have shapes {tuple(boxes.shape)} and {tuple(indices.shape)}; "
            "expected (K, 4) and (K,)"
        )
    return xp.concatenate([indices[:, None], boxes], axis=1)


def _of_tensorflow(
    image: Any, boxes: Any, box_indices: Any, size: tuple[int, int], how: dict[str, Any]
) -> Any:
    tf = sys.modules["tensorflow"]
    if any(map(tf.is_symbolic_tensor, (image, boxes, box_indices))):
        raise TypeError("a tensor is symbolic; use tf.py_function, or leave out tf.function")
    indices = np.asarray(box_indices, np.float32)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def pooled(image: Any, boxes: Any) -> tuple[Any, Any]:
        data = _channels_first(np, image.numpy())
        rows = _rows(np, boxes.numpy(), indices)

        def gradients(grad: Any) -> tuple[Any, Any]:
            moved = np.moveaxis(grad.numpy(), 3, 1)
            which = {"method": how["method"], "tensorflow": True}
            of_image = operators.crop_and_resize_backward(moved, rows, data.shape, **which)
            of_boxes = operators.crop_and_resize_backward_boxes(moved, data, rows, **which)
            return tf.constant(np.moveaxis(of_image, 1, 3)), tf.constant(of_boxes[:, 1:])

        crops = operators.crop_and_resize(data, rows, size, tensorflow=True, **how)
        return tf.constant(np.moveaxis(crops, 1, 3)), gradients

    image, boxes = (tf.cast(tf.convert_to_tensor(each), tf.float32) for each in (image, boxes))
    return pooled(image, boxes)
