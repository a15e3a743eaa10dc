"""Paddle's roi_pool and roi_align, which take boxes behind each other and each image's number."""

import numpy as np
import paddle
from paddle.vision import ops

from odd_inputs.calls import Call, UnsupportedError, separate

VERSION = paddle.__version__


def prepare(operator: str, call: Call):
    images = np.shape(call.data)[0]
    if np.any((call.rois[:, 0] < 0) | (call.rois[:, 0] >= images)):
        raise UnsupportedError("its regions are counted by image: none has another")
    _, index = separate("corners", call, np.int64)
    # The ordinary rows are not in the order of their images.
    order = np.argsort(call.rois[:, 0], kind="stable")
    ordered = Call(**{**vars(call), "rois": call.rois[order]})
    boxes, _ = separate("corners", ordered, np.int64)
    counts = paddle.to_tensor(np.bincount(index, minlength=images).astype(np.int32))
    data = paddle.to_tensor(call.data)
    boxes = paddle.to_tensor(boxes) if isinstance(boxes, np.ndarray) else boxes
    function = getattr(ops, operator)
    how = {"sampling_ratio": call.sampling_ratio or -1} if operator == "roi_align" else {}

    def run():
        values = function(data, boxes, counts, call.pooled_size, call.scale, **how)
        values = values.numpy()
        return values[np.argsort(order)] if len(values) == len(order) else values

    return run
