"""The forms on tensors of any other device: regions become structures there, and kernels run there.

No value is looked at, so that nothing waits for the device: a row that is neither region nor
padding counts as padding.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from roipool import devices, geometry, planes
from roipool.doors.torch.arguments import refuse
from roipool.doors.torch.forms import Form
from roipool.doors.torch.kernels import (
    Known,
    call_of,
    empty,
    features_of,
    results_of,
    returned,
    shapes_of,
    size_of,
    structure_in_text,
    taken,
)
from roipool.doors.torch.moving import gradient_of_rois
from roipool.doors.torch.namespace import Namespace


def on_device(form: Form) -> Callable[..., Any]:
    """What runs the form where its tensors lie."""

    def call(*values: Any) -> Any:
        refuse(form, values)
        if form.structure:
            return structure_in_text(form, values)
        if form.of_rois:
            return gradient_of_rois(form, form.known(values))
        if form.out:
            return _fill(form, *taken(form, values))
        known = form.known(values)
        results = results_of(form, known, empty)
        _fill(form, known, results)
        return returned(form, results)

    return call


def _fill(form: Form, known: Known, results: Sequence[Any]) -> None:
    operator, kernel = form.operator, form.kernel
    inputs = {arg.name: known[arg.name] for arg in form.inputs if arg in form.kernel.inputs}
    if operator is None:
        devices.run(kernel, _fitting(form, known, inputs), results)
        return
    inputs |= _structure(form, known)
    if operator.position_sensitive:
        _run_in_planes(form, known, inputs, results)
    else:
        devices.run(kernel, inputs, results)
    if operator.fill and kernel is operator.forward:
        value = operator.filling(call_of(form, known))
        empty_bins = geometry.empty_bins(torch, inputs["image"], inputs["y_taps"], inputs["x_taps"])
        results[0].masked_fill_(empty_bins[:, None], value)


def _fitting(form: Form, known: Known, inputs: Known) -> Known:
    """A structure of anybody's making: what lies nowhere is no region, and no tap."""
    image, images = inputs["image"], sum(shape[0] for shape in shapes_of(known))
    fitting = {"image": torch.where((image >= 0) & (image < images), image, -1)}
    for arg in form.kernel.inputs:
        if arg.along in form.kernel.lists:
            entries = next(
                inputs[each.name] for each in form.kernel.inputs if each.axes == arg.along
            )
            fitting[arg.name] = inputs[arg.name].clamp(0, len(entries))
    return inputs | fitting


def _run_in_planes(form: Form, known: Known, inputs: Known, results: Sequence[Any]) -> None:
    size, kernel = size_of(known), form.kernel
    if "data" in inputs:
        inputs["data"] = planes.of_maps(inputs["data"], size)
    if "pooled" in inputs:
        inputs["pooled"] = planes.of_pooled(inputs["pooled"])
    of_maps = kernel.results[0].axes == "NCHW"
    like = results[0][0] if of_maps else results[0]
    if of_maps:
        split = planes.of_maps(results[0], size)
        filled: Any = [torch.empty_like(array) for array in split]
        devices.run(kernel, inputs, [filled])
        shapes = [array.shape for array in results[0]]
        for to, array in zip(
            results[0], planes.maps_of(filled, shapes, size[0] * size[1]), strict=True
        ):
            to.copy_(array)
    else:
        K, C = like.shape[:2]
        filled = like.new_empty(K * size[0] * size[1], C, 1, 1)
        devices.run(kernel, inputs, [filled])
        like.copy_(planes.pooled_of(filled, size))


def _structure(form: Form, known: Known) -> Known:
    operator, rois, shapes = form.operator, known["rois"].detach(), shapes_of(known)
    assert operator is not None
    if form.located:
        images = sum(shape[0] for shape in shapes)
        return {"image": geometry.image_index(Namespace(rois.device), rois[:, 0], images)}
    call, dtype = call_of(form, known), features_of(known).dtype
    maps = geometry.maps_of(shapes, call.scales)
    xp = Namespace(rois.device)
    found: Any = devices.structure(xp, operator, rois, maps, call, dtype)
    return {**found._asdict()}
