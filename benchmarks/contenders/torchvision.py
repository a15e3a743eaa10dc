"""torchvision's operators on CPU tensors, by the names and options they share with ours."""

import torch
import torchvision

from benchmarks.autograd import modes
from benchmarks.autograd import to_numpy as to_numpy
from benchmarks.contenders import Case, UnsupportedError

ABOUT = (
    f"{torchvision.__version__} (torch {torch.__version__}); its roi_pool always keeps the argmax"
)
AGREES = "bits"


def _pool(case: Case):
    case.refuse_all_but_plain_float32()
    case.refuse_modes()
    if len(case.maps) > 1:
        return _pyramid(case)
    function = getattr(torchvision.ops, case.operator, None)
    if function is None:
        raise UnsupportedError(f"no {case.operator}")
    size, scale, options = case.pooled_size, case.spatial_scale, dict(case.options)
    if options.pop("convention", "torchvision") != "torchvision":
        raise UnsupportedError("no other convention of ps_roi_pool")
    return lambda data, rois: function(data, rois, size, scale, **options)


def _pyramid(case: Case):
    """Which chooses each region's level itself."""
    if case.operator != "roi_align" or case.options["aligned"] or len(case.maps[0]) > 1:
        raise UnsupportedError("several levels only for roi_align of one image, not aligned")
    names = [str(level) for level in range(len(case.maps))]
    pooler = torchvision.ops.MultiScaleRoIAlign(
        names, case.pooled_size, case.options["sampling_ratio"]
    )

    def run(maps, rois):
        return pooler(dict(zip(names, maps, strict=True)), [rois[:, 1:]], [case.image])

    return run


forward, train, backward, _ = modes(_pool)
