"""Every operator that takes regions, of NumPy arrays."""

import roipool
from odd_inputs.answers import CANONICAL_LEVEL, CANONICAL_SIZE, DEFINITIONS, LEVELS, levels_of
from odd_inputs.calls import Call, rows_of

VERSION = roipool.__version__

SAMPLED = ("roi_align", "ps_roi_align", "roi_align_rotated", "multi_scale")
MODES = {
    "roi_pool avg": {"mode": "avg"},
    "roi_align max": {"mode": "max"},
    "roi_align onnx_max": {"mode": "onnx_max"},
    "ps_roi_pool torchvision": {"convention": "torchvision"},
}


def prepare(operator: str, call: Call):
    rows, name = call.reform(rows_of(DEFINITIONS[operator].form, call)), operator.split()[0]
    options = dict(MODES.get(operator, {}))
    if name in SAMPLED:
        options["sampling_ratio"] = call.sampling_ratio
    if name == "multi_scale":
        return pyramid(rows, call, options)
    scale = () if name == "crop_and_resize" else (call.scale,)
    function = getattr(roipool, name)
    return lambda: function(call.data, rows, call.pooled_size, *scale, **options)


def pyramid(rows, call: Call, options):
    maps, scales = levels_of(call.data), [call.scale, call.scale / 2]
    how = {
        "canonical_size": CANONICAL_SIZE,
        "canonical_level": CANONICAL_LEVEL,
        "lowest_level": LEVELS[0],
    }
    function = roipool.roi_align
    size = call.pooled_size
    return lambda: roipool.multi_scale(function, maps, rows, size, scales, **how, **options)
