"""roi_pool and roi_align of other libraries' arrays, made as the tests of all doors make them."""

import os
import warnings

import numpy as np

warnings.simplefilter("ignore")
if not hasattr(np, "bool"):
    np.bool = bool  # MXNet 1.9.1 asks for it, and NumPy 1.24 took it away

import roipool  # noqa: E402
from doors import DOORS  # noqa: E402
from odd_inputs.calls import Call, UnsupportedError  # noqa: E402

DOOR = {door.name: door for door in DOORS}[os.environ["ODD_DOOR"]]
VERSION = roipool.__version__


def prepare(operator: str, call: Call):
    if call.data.dtype.name not in DOOR.dtypes and call.data.dtype.name in ("float16", "int16"):
        raise UnsupportedError(f"no {call.data.dtype} there")
    data = (DOOR.laid if DOOR.kinds else DOOR.array)(call.data)
    rows = call.reform(call.rois)
    rows = DOOR.rois(rows) if isinstance(rows, np.ndarray) else rows
    options = {"sampling_ratio": call.sampling_ratio} if operator == "roi_align" else {}
    function, size, scale = getattr(roipool, operator), call.pooled_size, call.scale

    def run():
        values = DOOR.call(function, data, rows, size, scale, **options)
        if DOOR.library == "jax":  # which ends the process if NumPy asks for what had no memory
            values = values.block_until_ready()
        return DOOR.numpy(values)

    return run
