"""Regions that are differentiated: their structure, with weights that move with them.

A form of regions then is its kernel, whose derivatives for its weights do the rest, of either mode
and any order.
"""

from typing import Any

import torch
from torch import Tensor
from torch._guards import detect_fake_mode

from roipool import geometry
from roipool.doors.torch.forms import FORMS, Form, called, weights
from roipool.doors.torch.kernels import Known, call_of, features_of, shapes_of


def structure(form: Form, known: Known) -> tuple[Known, list[Tensor]]:
    """What the form's kernel takes, its weights differentiable; and the slopes of these.

    Where values cannot be looked at, there are as many taps as there can be.
    """
    assert form.operator is not None
    name = f"{form.operator.name}_structure"
    fixed, call = known["rois"].detach(), call_of(form, known)
    static = {
        "rois": fixed,
        "data_shape": [side for shape in shapes_of(known) for side in shape],
        "pooled_size": call.pooled_size,
        "spatial_scale": [side for pair in call.scales for side in pair],
        "dtype": features_of(known).dtype,
        "traced": torch.compiler.is_compiling() or detect_fake_mode([fixed]) is not None,
    }
    results = called(name, known | static)
    moved = weights(form.operator)
    found = dict(zip((arg.name for arg in FORMS[name].results), results, strict=False))
    slopes = list(results[-len(moved) :])
    for arg, slope in zip(moved, slopes, strict=True):
        found[arg.name] = found[arg.name] + _moved(known["rois"], found["image"], slope, arg.name)
    return found, slopes


def _moved(rois: Tensor, image: Tensor, slope: Tensor, weight: str) -> Tensor:
    """0, with the derivatives that each tap's weight has for the ends of its region."""
    ends = rois[:, geometry.ENDS[weight]].to(slope.dtype)
    step = torch.where(image[:, None] >= 0, ends - ends.detach(), 0)  # of padding perhaps NaN
    return (of_regions(slope, len(rois)) * step[:, None]).sum(2).flatten()


def of_regions(taps: Tensor, count: int) -> Tensor:
    """What taps have each as (K, taps of a region, …)."""
    return taps.reshape(count, taps.shape[0] // max(count, 1), *taps.shape[1:])


def through_weights(form: Form, known: Known) -> Any:
    """The form's result by its kernel."""
    found, _ = structure(form, known)
    return called(form.kernel.name + form.overload, known | found)


def gradient_of_rois(form: Form, known: Known) -> Tensor:
    """The gradient of the regions, by the chain rule through their weights."""
    operator, rois = form.operator, known["rois"]
    assert operator is not None
    found, slopes = structure(form, known)
    ends: dict[int, Tensor] = {}
    for arg, slope in zip(weights(operator), slopes, strict=True):
        moved = called(operator.linear.linear[arg.name] + form.overload, known | found)
        of_ends = of_regions(moved[:, None] * slope, len(rois)).sum(1)
        ends |= dict(zip(geometry.ENDS[arg.name], of_ends.unbind(1), strict=True))
    sides = [ends[column] for column in range(1, 5)]
    gradient = torch.stack([torch.zeros_like(sides[0]), *sides], dim=1)
    return gradient.to(geometry.float_type(torch, features_of(known).dtype, rois.dtype))
