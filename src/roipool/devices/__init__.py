"""Kernels and geometry on the devices that PyTorch has beside the CPU, of the user's own PyTorch.

On CUDA they are Triton's, which that compiles; elsewhere, and where Triton is not installed, they
are array text over tensors (text.py).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from roipool.descriptions import Call, Operator
from roipool.devices import text
from roipool.geometry import Maps
from roipool.importing import when_needed
from roipool.kernels import Kernel

__getattr__ = when_needed(__name__, "cuda", "geometry")


def run(kernel: Kernel, inputs: Mapping[str, Any], results: Sequence[Any]) -> None:
    """Fill the results of a kernel, of all that it takes by name; feature maps are lists."""
    run_it = _kernels(_device(results[0]).type)[kernel.name]
    run_it(inputs, *(result for result in results if result is not None))


def structure(
    xp: Any, operator: Operator, rois: Tensor, maps: Maps, call: Call, data_dtype: torch.dtype
) -> Any:
    """What a kernel takes beside the features, on the device of the rows."""
    twin = _twins(rois.device.type).get(operator.twin)
    if twin is not None and not operator.position_sensitive:
        return twin(rois, maps, call.pooled_size, data_dtype, *call.more)
    given = rois, maps, call.pooled_size, data_dtype
    # How many points an adaptive grid has only a look tells.
    traced = not operator.kernel.startswith("points")
    found, _ = operator.structure(xp, *given, *call.more, traced=traced)
    return type(found)(*(each.contiguous() for each in found))


def _device(value: Any) -> torch.device:
    device: torch.device = (value[0] if isinstance(value, list) else value).device
    return device


@cache
def _kernels(device: str) -> Mapping[str, Callable[..., None]]:
    if not has_triton(device):
        return text.KERNELS
    from roipool.devices import cuda

    return {**text.KERNELS, **cuda.KERNELS}


@cache
def _twins(device: str) -> Mapping[str, Callable[..., Any]]:
    if not has_triton(device):
        return {}
    from roipool.devices import geometry

    return geometry.TWINS


def has_triton(device: str) -> bool:
    """Whether Triton's kernels serve a type of device."""
    return device == "cuda" and find_spec("triton") is not None
