"""Regions that are differentiated: their structure, with weights that move with them.

A form of regions then is its kernel, whose derivatives for its weights do the rest, of either mode
and any order.
"""

from typing import Any

import torch
from torch import Tensor
from torch._guards import detect_fake_mode
from torch.autograd import forward_ad

from roipool import geometry, planes
from roipool.descriptions import Operator
from roipool.doors.torch.forms import FORMS, Form, called, weights
from roipool.doors.torch.kernels import Known, call_of, features_of, shapes_of, size_of
from roipool.doors.torch.namespace import Namespace


def structure(form: Form, known: Known) -> tuple[Known, list[Tensor]]:
    """What the form's kernel takes, its weights differentiable; and the slopes of these.

    Where values cannot be looked at, there are as many taps as there can be.
    """
    operator = _operator(form)
    if operator.curved:
        return _of_text(form, known)
    name = f"{operator.name}_structure"
    fixed, call = known["rois"].detach(), call_of(form, known)
    static = {
        "rois": fixed,
        "data_shape": [side for shape in shapes_of(known) for side in shape],
        "pooled_size": call.pooled_size,
        "spatial_scale": [side for pair in call.scales for side in pair],
        "dtype": features_of(known).dtype,
        "traced": _is_traced(fixed),
    }
    results = called(name, known | static)
    moved = weights(operator)
    found = dict(zip((arg.name for arg in FORMS[name].results), results, strict=False))
    slopes = list(results[-len(moved) :])
    image = found["image"][:, None]
    if operator.position_sensitive:  # of a region each bin has one
        image = of_regions(image, len(fixed))[:, 0]
    for arg, slope in zip(moved, slopes, strict=True):
        # One by one: a list of columns would be brought to the device.
        columns = [known["rois"][:, column] for column in operator.moves[arg.name]]
        ends = torch.stack(columns, dim=1).to(slope.dtype)
        step = torch.where(image >= 0, ends - ends.detach(), 0)  # of padding perhaps NaN
        # 0, with the derivatives that each tap's weight has for the columns of its region.
        still = (of_regions(slope, len(fixed)) * step[:, None]).sum(2).flatten()
        found[arg.name] = found[arg.name] + still
    return found, slopes


def _of_text(form: Form, known: Known) -> tuple[Known, list[Tensor]]:
    """The same by the array text, whose derivatives have derivatives: of slopes that move too."""
    operator, call, rois = _operator(form), call_of(form, known), known["rois"]
    maps, traced = geometry.maps_of(shapes_of(known), call.scales), _is_traced(rois)
    dtype = features_of(known).dtype
    found, slopes = operator.structure(
        Namespace(rois.device), rois, maps, call.pooled_size, dtype, *call.more, traced=traced
    )
    return found._asdict(), list(slopes)


def _is_traced(rois: Tensor) -> bool:
    """Whether values cannot be looked at."""
    if torch.compiler.is_compiling() or detect_fake_mode([rois]) is not None:
        return True
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(rois):
        if functorch.is_batchedtensor(rois):
            return True
        rois = functorch.get_unwrapped(rois)
    return False


def _operator(form: Form) -> Operator:
    assert form.operator is not None
    return form.operator


def of_regions(taps: Tensor, count: int) -> Tensor:
    """What taps have each as (K, taps of a region, …)."""
    return taps.reshape(count, taps.shape[0] // max(count, 1), *taps.shape[1:])


def through_weights(form: Form, known: Known) -> Any:
    """The form's result by its kernel."""
    operator, kernel = _operator(form), form.kernel
    found, _ = structure(form, known)
    results: Any = None
    if kernel.tangent:  # what it finds does not move
        fixed = {name: _still(value) for name, value in known.items()}
        results = called(form.saving, fixed)
        kernel = operator.linear
        known = known | {operator.saved[0]: results[1]}
    value = called(kernel.name + form.overload, _in_planes(operator, known) | found)
    if operator.position_sensitive:
        value = _of_planes(form, known, value)
    call = call_of(form, known)
    if kernel is operator.forward and operator.filling(call) != 0:
        empty = geometry.empty_bins(torch, found["image"], found["y_taps"], found["x_taps"])
        value = torch.where(empty[:, None], operator.filling(call), value)
    return (value, *results[1:]) if len(form.results) > 1 else value


def _still(value: Any) -> Any:
    """Without its tangent."""
    if isinstance(value, list) and value and isinstance(value[0], Tensor):
        return list(map(_still, value))
    return forward_ad.unpack_dual(value, level=0).primal if isinstance(value, Tensor) else value


def _in_planes(operator: Operator, known: Known) -> Known:
    """What a kernel is given, of position-sensitive maps by the planes of each bin."""
    if not operator.position_sensitive:
        return known
    size, given = size_of(known), dict(known)
    if "data" in known:
        given["data"] = planes.of_maps(known["data"], size)
    if "pooled" in known:
        given["pooled"] = planes.of_pooled(known["pooled"])
    bins = size[0] * size[1]
    shapes = [(n * bins, c // bins, h, w) for n, c, h, w in shapes_of(known)]
    given["data_shape"] = [side for shape in shapes for side in shape]
    return given


def _of_planes(form: Form, known: Known, value: Any) -> Any:
    size = size_of(known)
    if form.results[0].axes != "NCHW":
        return planes.pooled_of(value, size)
    maps = planes.maps_of(value if form.several else [value], shapes_of(known), size[0] * size[1])
    return maps if form.several else maps[0]


def gradient_of_rois(form: Form, known: Known) -> Tensor:
    """The gradient of the regions, by the chain rule through their weights."""
    operator, rois = _operator(form), known["rois"]
    found, slopes = structure(form, known)
    given = _in_planes(operator, known) | found
    ends: dict[int, Tensor] = {}
    for arg, slope in zip(weights(operator), slopes, strict=True):
        moved = called(operator.linear.linear[arg.name] + form.overload, given)
        of_ends = of_regions(moved[:, None] * slope, len(rois)).sum(1)
        ends |= dict(zip(operator.moves[arg.name], of_ends.unbind(1), strict=True))
    sides = [ends[column] for column in range(1, operator.rows.width)]
    gradient = torch.stack([torch.zeros_like(sides[0]), *sides], dim=1)
    return gradient.to(geometry.float_type(torch, features_of(known).dtype, rois.dtype))
