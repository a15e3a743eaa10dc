"""What autograd needs to know of a result: how to go back."""

from typing import Any

import mxnet as mx
import numpy as np
from mxnet.ndarray import NDArray

import roipool.doors.numpy as numpy_door
from roipool.doors.mxnet.arrays import view, wrap


def record(values: NDArray, argmax: np.ndarray, rows: np.ndarray, data: NDArray, rois: Any) -> Any:
    """`values`, as computed from `data` and, where they are an array of MXNet too, `rois`."""
    if data.grad is not None:
        # A Function forgets to add to an array whose grad_req is "add": a view of it does not.
        data = data.reshape(data.shape)
    inputs = [data.as_nd_ndarray()]
    if isinstance(rois, NDArray) and rois.size:
        inputs.append(rois.as_nd_ndarray())
    return _RoiPool(values, argmax, rows)(*inputs)


class _RoiPool(mx.autograd.Function):
    """The result is known when it is recorded, so that an error leaves the recording as it is."""

    def __init__(self, values: NDArray, argmax: np.ndarray, rows: np.ndarray) -> None:
        super().__init__()
        self.values, self.argmax, self.rows = values, argmax, rows

    def forward(self, *inputs: NDArray) -> NDArray:
        """The values, which are kept here no longer."""
        self.shapes = [array.shape for array in inputs]
        values, self.values = self.values, None
        return values

    def backward(self, grad: NDArray, *_: Any) -> tuple[NDArray, ...]:
        """For data, on a thread of MXNet's; zero for the regions."""
        data_shape, *rois_shape = self.shapes
        grad_data = numpy_door.roi_pool_backward(
            view("grad", grad), self.argmax, self.rows, data_shape, None
        )
        return wrap(grad_data, grad), *map(mx.nd.zeros, rois_shape)
