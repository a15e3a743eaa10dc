"""The derivatives of one call, by the NumPy door: for arrays that are recorded and for graphs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import roipool.doors.numpy as numpy_door
from roipool.descriptions import Call, Operator


class Pooled(NamedTuple):
    """What was called, and what of it derivatives read again.

    Attributes:
        operator: Of the call.
        call: Its options.
        rows: Its regions; what is none has a negative index.
        saved: What the operator saves, by name.
    """

    operator: Operator
    call: Call
    rows: np.ndarray
    saved: Mapping[str, np.ndarray]

    def backward(self, grad: np.ndarray, filled: Sequence[np.ndarray]) -> None:
        """Fill the gradients of arrays of maps."""
        shapes = [array.shape for array in filled]
        numpy_door.backward(
            self.operator, grad, self.rows, shapes, self.call, self.saved, True, list(filled)
        )

    def backward_rois(self, grad: np.ndarray, data: Any) -> np.ndarray:
        """The gradient of the rows."""
        if not self.operator.moves:
            return np.zeros(self.rows.shape, np.float32)
        return numpy_door.backward_rois(self.operator, grad, data, self.rows, self.call, self.saved)
