"""torchvision's operators on CPU tensors, which share memory with NumPy's arrays."""

import warnings

import numpy as np

warnings.simplefilter("ignore")
import torch  # noqa: E402
import torchvision  # noqa: E402

from odd_inputs.calls import Call  # noqa: E402

VERSION = torchvision.__version__


def prepare(operator: str, call: Call):
    data, rois = torch.from_numpy(call.data), call.reform(call.rois)
    rois = torch.from_numpy(rois) if isinstance(rois, np.ndarray) else rois
    function = getattr(torchvision.ops, operator)
    how = {}
    if "align" in operator:
        how["sampling_ratio"] = call.sampling_ratio
    if operator == "roi_align":
        how["aligned"] = True
    return lambda: function(data, rois, call.pooled_size, call.scale, **how).numpy()
