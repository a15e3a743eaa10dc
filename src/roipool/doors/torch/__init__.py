"""PyTorch tensors: checked, rois made into one tensor, an operator of the dispatcher called.

Importing this registers the operators, so that an exported program which calls them can be loaded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from roipool import checks, geometry
from roipool import rois as regions
from roipool.descriptions import Call, Operator, Rows
from roipool.doors.torch.derivatives import is_differentiated
from roipool.doors.torch.forms import OVERLOADS, called
from roipool.doors.torch.kernels import NAMES, position_dtype
from roipool.doors.torch.namespace import Namespace
from roipool.doors.torch.operators import register

xp = torch


def pool(operator: Operator, data: Any, rois: Any, call: Call, positions: bool, out: Any) -> Any:
    """The operator's values and, where asked for, what they stand at."""
    maps = _as_maps(data, operator)
    images = sum([each.shape[0] for each in maps])
    rows = as_rows(rois, images, operator.rows, maps[0])
    channels = operator.channels("data", maps[0].shape[1], call.pooled_size)
    several = checks.is_several(data)
    taken = (maps if several else maps[0], rows)
    options = _options(call)
    if out is None:
        name = _form(operator, several, "_argmax" if positions else "")
        return OVERLOADS[name](*taken, call.pooled_size, *options)
    shape = (rows.shape[0], channels, *call.pooled_size)
    values, argmax = checks.values_and_argmax(out) if positions else (out, None)
    _check_out(values, shape, maps[0].dtype, *maps, rows)
    if argmax is not None:
        _check_out(argmax, shape, position_dtype(maps), *maps, rows)
    found = (values, argmax)[: len(operator.forward.results)]
    OVERLOADS[_form(operator, several, "_out")](*taken, *options, *found)
    return out


def backward(
    operator: Operator,
    grad: Any,
    rois: Any,
    data_shapes: Sequence[tuple[int, ...]],
    call: Call,
    saved: Mapping[str, Any],
    several: bool,
    out: Any,
) -> Any:
    """The gradient of the features: one tensor for each shape, or the only one."""
    _check_tensor("grad", grad)
    images = sum(shape[0] for shape in data_shapes)
    rows = as_rows(rois, images, operator.rows, grad)
    name = NAMES.get(grad.dtype)
    operator.refuse_grad(grad.dtype, name, grad.shape, rows.shape[0], data_shapes[0])
    positions = [_positions(operator, array, grad) for array in saved.values()]
    options = [] if operator.located else _options(call)
    taken = (grad, *positions, rows)
    if out is None:
        sides = [side for shape in data_shapes for side in shape]
        form = _form(operator, several, "_backward")
        return OVERLOADS[form](*taken, sides, *options)
    given = checks.results(out, len(data_shapes) if several else None)
    for memory, shape in zip(given, data_shapes, strict=True):
        _check_out(memory, shape, grad.dtype, grad, rows)
    form = _form(operator, several, "_backward_out")
    OVERLOADS[form](*taken, *options, list(given) if several else out)
    return out


def backward_rois(
    operator: Operator, grad: Any, data: Any, rois: Any, call: Call, saved: Mapping[str, Any]
) -> Tensor:
    """The gradient of the regions, as rows; itself differentiable."""
    maps = _as_maps(data, operator)
    images, device = sum(each.shape[0] for each in maps), maps[0].device
    rows = as_rows(rois, images, operator.rows, maps[0])
    _check_tensor("grad", grad, device)
    name = NAMES.get(grad.dtype)
    operator.refuse_grad(grad.dtype, name, grad.shape, rows.shape[0], maps[0].shape)
    checks.refuse_other_dtype("grad", grad.dtype, maps[0].dtype)
    several = checks.is_several(data)
    form = _form(operator, several, "_backward_rois")
    positions = [_positions(operator, array, grad) for array in saved.values()]
    taken = (grad, maps if several else maps[0], *positions, rows)
    gradient: Tensor = OVERLOADS[form](*taken, *_options(call))
    return gradient


def looked_at(rows: Tensor) -> np.ndarray | None:
    """The rows as NumPy has them, if they can be looked at: not where that waits for a device."""
    if not rows.is_cpu or torch.compiler.is_compiling() or type(rows) is not Tensor:
        return None
    if torch._C._functorch.is_functorch_wrapped_tensor(rows):
        return None
    return rows.detach().double().numpy()


def gather_points(data: Any, image: Any, pixel: Any, weight: Any) -> Tensor:
    """Sums of weighted pixels that are listed one by one, (K, C, h, w)."""
    maps = _as_maps(data, None)
    known = _listed(image, pixel, weight, [each.shape for each in maps], maps[0])
    values: Tensor = _kernel("points_read", data, {"data": maps, **known})
    return values


def gather_points_backward(
    grad: Any,
    image: Any,
    pixel: Any,
    weight: Any,
    data_shapes: Sequence[tuple[int, ...]],
    several: bool,
) -> Any:
    """The gradient of the features: one tensor for each shape, or the only one."""
    _check_tensor("grad", grad)
    expected = pixel.shape[0], data_shapes[0][1]
    checks.refuse_grad(grad.dtype, NAMES.get(grad.dtype), grad.shape, expected, data_shapes[0])
    known = _listed(image, pixel, weight, data_shapes, grad)
    known |= {"pooled": grad, "data_shape": [side for shape in data_shapes for side in shape]}
    return _kernel("points_add", data_shapes if several else None, known)


def gather_points_backward_weight(grad: Any, data: Any, image: Any, pixel: Any) -> Tensor:
    """The gradient of the weights, (K, h, w, S)."""
    maps = _as_maps(data, None)
    _check_tensor("grad", grad)
    shapes = [each.shape for each in maps]
    expected = pixel.shape[0], shapes[0][1]
    checks.refuse_grad(grad.dtype, NAMES.get(grad.dtype), grad.shape, expected, shapes[0])
    checks.refuse_other_dtype("grad", grad.dtype, maps[0].dtype)
    ones = torch.ones_like(pixel, dtype=torch.float32)
    known = _listed(image, pixel, ones, shapes, grad)
    given = {**known, "data": maps, "pooled": grad}
    moved: Tensor = _kernel("points_weigh", data, given)
    return moved.reshape(pixel.shape)


def _kernel(name: str, data: Any, known: dict[str, Any]) -> Any:
    return called(name + (".several" if checks.is_several(data) else ""), known)


def _listed(
    image: Any, pixel: Any, weight: Any, shapes: Sequence[Sequence[int]], like: Tensor
) -> dict[str, Any]:
    for name, tensor in (("image", image), ("pixel", pixel), ("weight", weight)):
        _check_tensor(name, tensor, like.device)
    whole = [not (each.is_floating_point() or each.is_complex()) for each in (image, pixel)]
    checks.refuse_points((whole[0], image.shape), (whole[1], pixel.shape), weight.shape)
    known = looked_at(image)
    if known is not None:
        checks.refuse_images(known, sum(shape[0] for shape in shapes))
    xp = Namespace(like.device)
    return geometry.points_of(xp, image, pixel, weight, shapes, like.dtype)._asdict()


def _options(call: Call) -> list[Any]:
    """What follows the tensors in a form's call, as its schema has it."""
    return [[side for pair in call.scales for side in pair], *call.more]


def _form(operator: Operator, several: bool, which: str = "") -> str:
    """The name of one of an operator's forms."""
    register(operator)
    return f"{operator.name}{which}{'.several' if several else ''}"


def _as_maps(data: Any, operator: Operator | None) -> list[Tensor]:
    """Tensors of feature maps, checked: one, or several in a sequence."""
    if checks.is_several(data):
        for i, maps in enumerate(data):
            _check_tensor(f"data[{i}]", maps, data[0].device if i else None)
        arrays = [maps[None] if maps.ndim == 3 else maps for maps in data]
    else:
        _check_tensor("data", data)
        arrays = [data]
    for maps in arrays:
        name = NAMES.get(maps.dtype)
        known = operator.dtypes if operator else checks.FLOATS
        checks.refuse_maps(maps.dtype, name, maps.shape, known, cast="to")
    if len(arrays) > 1:
        checks.refuse_unlike(arrays)
    return arrays


def _positions(operator: Operator, argmax: Any, grad: Tensor) -> Tensor:
    argmax = argmax if isinstance(argmax, Tensor) else torch.as_tensor(argmax).to(grad.device)
    _check_tensor("argmax", argmax, grad.device)
    whole = argmax.dtype in (torch.int32, torch.int64)
    checks.refuse_argmax(argmax.dtype, whole, argmax.shape, grad.shape)
    if not operator.located and argmax.dtype != torch.int32:  # the number of a sample
        argmax = argmax.clamp(-2, 2**31 - 1).to(torch.int32)
    return argmax


def _check_out(out: Any, shape: tuple[int, ...], dtype: torch.dtype, *inputs: Tensor) -> None:
    expected = f"expected a contiguous tensor of shape {tuple(shape)} and dtype {dtype}"
    if not isinstance(out, Tensor):
        raise TypeError(f"out is a {type(out).__name__}; {expected}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out has shape {tuple(out.shape)} and dtype {out.dtype}; {expected}")
    device = inputs[0].device
    if not out.is_contiguous() or out.device != device:
        raise ValueError(f"out is on device {out.device} or not contiguous; {expected} on {device}")
    if any(is_differentiated(tensor) for tensor in (out, *inputs)):
        raise ValueError("out is given, but a derivative is asked for; leave out, or use no_grad")


def _check_tensor(name: str, value: Any, device: torch.device | None = None) -> None:
    """Raise unless it is a tensor with strides, on the device of the others where that is known."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}; expected a tensor")
    if value.layout != torch.strided:
        raise TypeError(f"{name} has layout {value.layout}; expected torch.strided: use to_dense()")
    if device is not None and value.device != device:
        raise ValueError(
            f"{name} lies on device {value.device}, the rest on {device}; expected one "
            f'device: move it there with to("{device}")'
        )


def as_rows(rois: Any, images: int, kind: Rows, beside: Tensor | None = None) -> Tensor:
    """Any form of `rois` as one tensor of rows, never in fewer bits than it came.

    Tensors must lie beside that one, if there is one; anything else is brought there.
    """
    device = None if beside is None else beside.device
    if isinstance(rois, Tensor):
        rows = rois
    elif isinstance(rois, Sequence) and any(isinstance(part, Tensor) for part in rois):
        parts = [torch.as_tensor(part) for part in rois]
        for i, part in enumerate(parts):
            _check_boxes(f"{kind.name}[{i}]", part, kind, device)
        listed = all(part.shape == (kind.width,) for part in parts)
        xp = Namespace(parts[0].device)
        rows = torch.stack(parts) if listed else regions.join(xp, parts, images, kind)
    else:
        array = regions.as_rows(rois, images, kind)
        rows = torch.from_numpy(array.astype(geometry.float_type(np, np.float64, array.dtype)))
        rows = rows if device is None else rows.to(device)
    _check_boxes(kind.name, rows, kind, device)
    if rows.ndim == 1 and rows.shape[0] == 0:
        rows = rows.reshape(0, kind.width)
    regions.refuse_shape(kind.name, rows.shape, kind)
    return rows


def _check_boxes(name: str, value: Tensor, kind: Rows, device: torch.device | None) -> None:
    _check_tensor(name, value, device)
    regions.refuse_dtype(name, value.dtype, value.dtype in NAMES, kind)
