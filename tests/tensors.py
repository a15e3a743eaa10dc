"""The cases of cases.py as tensors. Imported after `pytest.importorskip("torch")`."""

import ml_dtypes
import numpy as np
import torch

from cases import normal_maps, odd_boxes, random_boxes


def to_tensor(array):
    array = np.ascontiguousarray(array)
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_array(tensor):
    tensor = tensor.detach().contiguous()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def some_maps(shape=(2, 5, 13, 11), dtype=np.float32, seed=0):
    return to_tensor(normal_maps(np.random.default_rng(seed), shape, dtype))


def distinct_maps(*shape):
    """Whole numbers, float64: no small step changes a winner."""
    order = np.random.default_rng(0).permutation(np.prod(shape))
    return to_tensor(order.reshape(shape).astype(np.float64))


def some_boxes(images=2, height=13, width=11, count=12, scale=1.0, seed=0, dtype=np.float32):
    """Random regions, and one of each odd kind."""
    rng = np.random.default_rng(seed)
    rois = random_boxes(rng, count, images, height, width, scale)
    return to_tensor(np.concatenate([rois, odd_boxes(height, width)]).astype(dtype))
