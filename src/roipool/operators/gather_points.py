"""Sums of weighted pixels that are listed one by one, for geometry of one's own."""

from __future__ import annotations

from typing import Any

from roipool import checks
from roipool.doors import door_with


def gather_points(data: Any, image: Any, pixel: Any, weight: Any) -> Any:
    """Sums of listed pixels: the kernel beneath `roipool.roi_align_rotated`, for any geometry.

        out[k, c, i, j] = sum over s of weight[k, i, j, s] * plane.flat[pixel[k, i, j, s]]
        plane = data[image[k], c]

    Deformable offsets, polygons, masks: whatever becomes pixels and weights is pooled, with its
    gradients.

    Args:
        data: Feature maps (N, C, H, W), as of `roipool.roi_align`, or several of them.
        image: (K,) whole numbers: the image of each region; negative for a padding row.
        pixel: (K, h, w, S) whole numbers y * W + x, in the plane of the region's image; what lies
            outside of it is not read.
        weight: (K, h, w, S) of each; what weighs 0 is not read. Computed in float64 if `data` is,
            else in float32.

    Returns:
        (K, C, h, w), in the dtype of `data`: summed in the order of S. Differentiable with respect
        to `data` and `weight` in PyTorch and JAX, of either mode and any order; NumPy has
        `gather_points_backward` and `gather_points_backward_weight`.

    Raises:
        IndexError: An image that there is none of.
        ValueError: Shapes that do not fit each other.
        TypeError: Other dtypes, or arrays of a library without a door.

    Example:
        >>> import numpy as np, roipool
        >>> x = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
        >>> corners = np.array([0, 3, 8, 11]).reshape(1, 1, 1, 4)
        >>> roipool.gather_points(x, np.array([0]), corners, np.full(corners.shape, 0.25))
        array([[[[5.5]]]], dtype=float32)
    """
    return door_with("gather_points", data).gather_points(data, image, pixel, weight)


def gather_points_backward(grad: Any, image: Any, pixel: Any, weight: Any, data_shape: Any) -> Any:
    """The gradient of `gather_points` with respect to `data`: (N, C, H, W), or a list of them.

        grad_data[image[k], c].flat[pixel[k, i, j, s]] += weight[k, i, j, s] * grad[k, c, i, j]

    Sums run over k, i, j and s in that order, on any number of threads. `data_shape` is that of
    `data`, of several arrays a list; the others as of `gather_points`.

    Example:
        >>> import numpy as np, roipool
        >>> pixel, weight = np.array([[[[0, 3]]]]), np.array([[[[0.25, 0.75]]]])
        >>> grad = np.ones((1, 1, 1, 1), np.float32)
        >>> roipool.gather_points_backward(grad, np.array([0]), pixel, weight, (1, 1, 1, 4))
        array([[[[0.25, 0.  , 0.  , 0.75]]]], dtype=float32)
    """
    several, shapes = checks.data_shapes(data_shape)
    door = door_with("gather_points", grad)
    return door.gather_points_backward(grad, image, pixel, weight, shapes, several)


def gather_points_backward_weight(grad: Any, data: Any, image: Any, pixel: Any) -> Any:
    """The gradient of `gather_points` with respect to `weight`: (K, h, w, S).

        grad_weight[k, i, j, s] = sum over c of grad[k, c, i, j]
                                                * data[image[k], c].flat[pixel[k, i, j, s]]

    Arguments as of `gather_points`; float32, or float64 if `data` is.

    Example:
        >>> import numpy as np, roipool
        >>> x = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
        >>> grad = np.full((1, 1, 1, 1), 2, np.float32)
        >>> roipool.gather_points_backward_weight(grad, x, np.array([0]), np.array([[[[1, 11]]]]))
        array([[[[ 2., 22.]]]], dtype=float32)
    """
    return door_with("gather_points", data).gather_points_backward_weight(grad, data, image, pixel)
