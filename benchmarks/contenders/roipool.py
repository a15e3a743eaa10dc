"""roipool on NumPy arrays: any operator by its public functions' names."""

import inspect
from typing import Any

import roipool
from benchmarks.contenders import Case, UnsupportedError
from roipool import _core

ABOUT = f"{roipool.__version__} ({_core.isa()})"
AGREES = "bits"


def of(case: Case, suffix: str = ""):
    """The operator's public function, or that of a gradient of it."""
    name = case.operator + suffix
    if not hasattr(roipool, name):
        raise UnsupportedError(f"no {name}")
    return getattr(roipool, name)


def finds(case: Case) -> bool:
    """Whether it finds positions, which its gradient reads."""
    backward = getattr(roipool, f"{of(case).__name__}_backward")
    argmax = inspect.signature(backward).parameters.get("argmax")
    required = argmax is not None and argmax.default is inspect.Parameter.empty
    return required and case.options.get("mode") != "avg"


def several(case: Case, arrays: list):
    """A list where there are several levels, else the only array."""
    return arrays if len(arrays) > 1 else arrays[0]


def scaling(case: Case) -> dict[str, Any]:
    """The scales, of an operator whose regions are in pixels of the image."""
    named = inspect.signature(of(case)).parameters
    return {"spatial_scale": several(case, case.scales)} if "spatial_scale" in named else {}


def pooling(case: Case, positions: bool = False):
    """What gives values of (data, rois), and positions where asked for and found."""
    found = {"return_argmax": positions} if finds(case) else {}
    function, how = of(case), scaling(case) | case.options | found
    return lambda data, rois, **more: function(data, rois, case.pooled_size, **how, **more)


def differentiating(case: Case):
    """What gives the gradient for the features; positions are for what finds some."""
    function, shape = of(case, "_backward"), several(case, [data.shape for data in case.maps])
    if finds(case):
        return lambda argmax, **more: function(case.grad, argmax, case.rois, shape, **more)
    how = case.options | scaling(case)
    return lambda _, **more: function(case.grad, case.rois, shape, **how, **more)


def forward(case: Case):
    pool, data = pooling(case), several(case, case.maps)
    return lambda: (pool(data, case.rois),)


def train(case: Case):
    positions = finds(case)
    pool, gradient = pooling(case, positions), differentiating(case)
    data = several(case, case.maps)

    def run():
        found = pool(data, case.rois)
        values, argmax = found if positions else (found, None)
        return values, gradient(argmax)

    return run


def backward(case: Case):
    gradient, argmax = differentiating(case), argmax_of(case)
    return lambda: (gradient(argmax),)


def argmax_of(case: Case):
    """The positions, of what finds some."""
    return pooling(case, True)(several(case, case.maps), case.rois)[1] if finds(case) else None


def backward_rois(case: Case):
    function, how = of(case, "_backward_rois"), scaling(case) | case.options
    data = several(case, case.maps)
    return lambda: (function(case.grad, data, case.rois, **how),)
