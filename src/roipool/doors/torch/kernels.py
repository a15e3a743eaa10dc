"""The forms on CPU tensors, and what their results look like where there are no values."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from roipool import _core, checks, descriptions, geometry, memory, native
from roipool.descriptions import OPERATORS, Call, Operator
from roipool.doors.torch.arguments import DTYPES, refuse
from roipool.doors.torch.forms import FEATURES, ROIS, Form
from roipool.doors.torch.namespace import Namespace

NAMES = {**DTYPES, torch.int64: "int64"}
STORED = {  # NumPy has no bfloat16
    dtype: np.dtype(np.int16 if dtype.itemsize == 2 else name) for dtype, name in NAMES.items()
}
Known = dict[str, Any]


def cpu(form: Form) -> Callable[..., Any]:
    """What runs the form on tensors of the CPU."""
    run = _runner(form)

    def call(*values: Any) -> Any:
        try:
            return run(*values)
        except Exception:  # of the core, in its words, if it is not told here
            refuse(form, values)
            raise

    return call


def _runner(form: Form) -> Callable[..., Any]:
    if form.structure:
        return lambda *values: _structure_and_slopes(form, values)
    if form.out:
        return lambda *values: _fill_memory(form, values)
    if form.of_rois:
        return lambda *values: _gradient_of_rois(form, form.known(values))

    def run(*values: Any) -> Any:
        known = form.known(values)
        arrays = results_of(form, known, _memory)
        _fill(form, known, arrays)
        dtype = features_of(known).dtype
        results = [
            [_tensor(maps, dtype) for maps in array]
            if isinstance(array, list)
            else _tensor(array, dtype)
            for array in arrays
        ]
        return returned(form, results)

    return run


def fake(form: Form) -> Callable[..., Any]:
    """What gives results of the same look, without values."""

    def call(*values: Any) -> Any:
        refuse(form, values)
        if form.structure:
            return tuple(map(torch.empty_like, structure_in_text(form, values)))
        if form.out:
            return None
        return returned(form, results_of(form, form.known(values), empty))

    return call


def shapes_of(known: Known) -> list[Sequence[int]]:
    """The shape of each array of feature maps."""
    if "data" in known:
        return [maps.shape for maps in known["data"]]
    flat = known["data_shape"]
    return [flat[i : i + 4] for i in range(0, len(flat), 4)]


def size_of(known: Known) -> tuple[int, int]:
    """Of pooled values, h and w."""
    if "pooled_size" in known:
        height, width = known["pooled_size"]
    else:
        height, width = known["pooled" if "pooled" in known else "argmax"].shape[2:]
    return height, width


def call_of(form: Form, known: Known) -> Call:
    """The options of a call, checked."""
    assert form.operator is not None
    more = tuple([known[option.name] for option in form.operator.options])
    flat, maps = tuple(known["spatial_scale"]), len(shapes_of(known))
    return Call(size_of(known), *_checked(form.operator.name, flat, maps, more))


@functools.lru_cache
def _checked(
    operator: str, flat: tuple[float, ...], maps: int, more: tuple[Any, ...]
) -> tuple[tuple[tuple[float, float], ...], tuple[Any, ...]]:
    pairs = tuple(zip(flat[::2], flat[1::2], strict=True))
    options = zip(OPERATORS[operator].options, more, strict=True)
    return checks.scales(pairs, maps), tuple([option.check(value) for option, value in options])


def features_of(known: Known) -> Tensor:
    """A tensor of the features' dtype."""
    return known["data"][0] if "data" in known else known["pooled"]


def results_of(form: Form, known: Known, empty: Callable[..., Any]) -> list[Any]:
    """Memory for the form's results, by what makes it; feature maps are lists."""
    like = features_of(known)
    results: list[Any] = []
    for arg, sides in form.sides:
        if arg.axes == "NCHW":
            results.append([empty(shape, like.dtype, like) for shape in shapes_of(known)])
            continue
        shape = [_side(form, known, name, axis) for name, axis in sides]
        if arg.dtype == "data":
            results.append(empty(shape, like.dtype, like))
        elif arg.dtype == "rois":
            F = geometry.float_type(torch, like.dtype, known["rois"].dtype)
            results.append(empty(shape, F, like, whole=True))
        elif arg.dtype == "int32":
            results.append(empty(shape, torch.int32, like, whole=True))
        elif arg.dtype == "position":
            results.append(empty(shape, position_dtype(known["data"]), like, whole=True))
        else:
            double = like.dtype == torch.float64
            results.append(
                empty(shape, torch.float64 if double else torch.float32, like, whole=True)
            )
    return results


def _side(form: Form, known: Known, name: str, axis: int) -> int:
    value = known[name]
    if name == "data" and form.operator:  # its channels
        return form.operator.channels(name, value[0].shape[1], size_of(known))
    if name == "pooled_size":
        side: int = value[axis]
    else:
        side = (value[0] if name == "data" else value).shape[axis]
    return side


def position_dtype(maps: Iterable[Tensor]) -> torch.dtype:
    """Wide enough for a position in a plane."""
    planes = [each.shape[2] * each.shape[3] for each in maps]
    dtype: torch.dtype = getattr(torch, descriptions.position(planes))
    return dtype


def _memory(
    shape: Sequence[int], dtype: torch.dtype, like: Tensor, whole: bool = False
) -> np.ndarray:
    """Memory for a result: contiguous, or channels-last where the tensor it is like is.

    So the layers before and behind expect it. What only derivatives read stays whole.
    """
    if not whole and _channels_last(like):
        lying = memory.empty((shape[0], *shape[2:], shape[1]), STORED[dtype])
        return lying.transpose(0, 3, 1, 2)
    return memory.empty(tuple(shape), STORED[dtype])


def _tensor(array: np.ndarray, dtype: torch.dtype) -> Tensor:
    """Of a result's memory; half types, features' alone, are stored as integers."""
    tensor = torch.from_numpy(array)
    return tensor.view(dtype) if array.itemsize == 2 else tensor


def empty(shape: Sequence[int], dtype: torch.dtype, like: Tensor, whole: bool = False) -> Tensor:
    """The same as a tensor, on the device of another; beside the CPU positions lie as values do."""
    whole = whole and (like.is_cpu or len(shape) != 4)
    last = not whole and _channels_last(like)
    lying = torch.channels_last if last else torch.contiguous_format
    return torch.empty(shape, dtype=dtype, device=like.device, memory_format=lying)


def _channels_last(tensor: Tensor) -> bool:
    return not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def returned(form: Form, results: list[Any]) -> Any:
    """As the schema says."""
    if form.results[0].axes == "NCHW" and not form.several:
        (results[0],) = results[0]
    return results[0] if len(results) == 1 else tuple(results)


def taken(form: Form, values: Sequence[Any]) -> tuple[Known, list[Any]]:
    """What goes in, and the memory of the caller that is filled."""
    count = len(form.names)
    known, results = form.known(values[:count]), list(values[count:])
    pooled = form.results[0].axes != "NCHW"
    if pooled:
        known["pooled_size"] = results[0].shape[2:]
    else:
        results[0] = results[0] if form.several else [results[0]]
        known["data_shape"] = [side for maps in results[0] for side in maps.shape]
    others = [t for arg in form.inputs for t in _each(known[arg.name])]
    for result in (t for each in results for t in _each(each)):
        _own(result, others)
        others.append(result)
    return known, results


def _fill_memory(form: Form, values: Sequence[Any]) -> None:
    known, results = taken(form, values)
    filled = [
        list(map(_bits, result)) if isinstance(result, list) else _bits(result)
        for result in results
        if result is not None
    ]
    _fill(form, known, filled)


def _each(value: Any) -> list[Tensor]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _own(out: Tensor, others: list[Tensor]) -> None:
    """Tell autograd that `out` changes; its memory must be no other's."""
    begin, end = _span(out)
    if any(begin < stop and start < end for start, stop in map(_span, others)):
        raise ValueError("out overlaps another tensor of this call; expected memory of its own")
    taken = 1
    for step, side in sorted(zip(out.stride(), out.shape, strict=True)):
        if side > 1 and step < taken and out.numel():
            raise ValueError("elements of out share memory; expected some for each")
        taken += (side - 1) * step
    if not out.is_inference():
        torch.autograd.graph.increment_version(out)


def _span(tensor: Tensor) -> tuple[int, int]:
    """From where to where in memory it lies."""
    if tensor.numel() == 0:
        return 0, 0
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    last = sum((side - 1) * step for side, step in steps)
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.itemsize


def _fill(form: Form, known: Known, results: list[Any]) -> None:
    inputs = (_structure(form, known) if form.operator else {}) | _arrays(form, known)
    name = NAMES[features_of(known).dtype]
    operator, threads = form.operator, _threads()
    if operator is None:
        inside = native.run(form.kernel, name, inputs, results, threads)
    elif operator.fill and form.kernel is operator.forward:
        native.pool(operator, call_of(form, known), name, inputs, results, threads)
        return
    else:
        given = size_of(known), name, inputs, results, threads
        inside = native.run_for(operator, form.kernel, *given)
    if not inside:
        checks.refuse_argmax_outside(inside, shapes_of(known))


def _arrays(form: Form, known: Known) -> dict[str, Any]:
    """The memory of what goes into the kernel beside the regions."""
    arrays: dict[str, Any] = {}
    for arg in form.inputs:
        name, value = arg.name, known[arg.name]
        if name == "data":
            arrays[name] = list(map(_bits, value))
        elif name != ROIS.name:
            lies = name in FEATURES and _channels_last(value)
            arrays[name] = _bits(value if lies else value.contiguous())
    return arrays


def _gradient_of_rois(form: Form, known: Known) -> Tensor:
    operator = form.operator
    assert operator is not None
    rows, call = _rows(operator, known["rois"]), call_of(form, known)
    maps, dtype = geometry.maps_of(shapes_of(known), call.scales), features_of(known).dtype
    found, slopes = native.structure(operator, rows, maps, NAMES[dtype], call, moving=True)
    inputs = _arrays(form, known) | found._asdict()
    F = geometry.float_type(np, STORED[dtype], rows.dtype)
    return torch.from_numpy(
        native.gradient_of_rois(operator, NAMES[dtype], inputs, slopes, F, _threads())
    )


def _structure(form: Form, known: Known) -> dict[str, Any]:
    operator = form.operator
    assert operator is not None
    rows, shapes = _rows(operator, known["rois"]), shapes_of(known)
    if form.located:
        return {"image": native.image_index(rows, sum(shape[0] for shape in shapes))}
    call = call_of(form, known)
    maps = geometry.maps_of(shapes, call.scales)
    dtype = NAMES[features_of(known).dtype]
    found, _ = native.structure(operator, rows, maps, dtype, call)
    return {**found._asdict()}


def _structure_and_slopes(form: Form, values: Sequence[Any]) -> tuple[Tensor, ...]:
    refuse(form, values)  # which no kernel of the core does
    known = form.known(values)
    assert form.operator is not None
    rows, call = _rows(form.operator, known["rois"]), call_of(form, known)
    maps = geometry.maps_of(shapes_of(known), call.scales)
    dtype = np.float64 if known["dtype"] == torch.float64 else np.float32
    with np.errstate(all="ignore"):  # of padding rows, and of what is told by name
        found, slopes = form.operator.structure(
            np, rows, maps, call.pooled_size, dtype, *call.more, traced=known["traced"]
        )
    native.refuse_rows(form.operator, rows, found.image, maps)
    arrays = {**found._asdict(), **_named(form, slopes)}
    return tuple(torch.from_numpy(np.ascontiguousarray(arrays[arg.name])) for arg in form.results)


def structure_in_text(form: Form, values: Sequence[Any]) -> tuple[Tensor, ...]:
    """A structure and its slopes by the array text, where no value is looked at."""
    known = form.known(values)
    call = call_of(form, known)
    assert form.operator is not None
    maps = geometry.maps_of(shapes_of(known), call.scales)
    rois = known["rois"]
    found, slopes = form.operator.structure(
        Namespace(rois.device),
        rois,
        maps,
        call.pooled_size,
        known["dtype"],
        *call.more,
        traced=True,
    )
    arrays = {**found._asdict(), **_named(form, slopes)}
    return tuple(arrays[arg.name].contiguous() for arg in form.results)


def _named(form: Form, slopes: Any) -> dict[str, Any]:
    """The slopes of a structure's weights by their names."""
    last = form.results[-len(slopes) :]
    return {arg.name: slope for arg, slope in zip(last, slopes, strict=True)}


def _rows(operator: Operator, rois: Tensor) -> np.ndarray:
    numbers = rois.detach() if rois.requires_grad else rois
    rows: np.ndarray = (numbers.float() if rois.dtype == torch.bfloat16 else numbers).numpy()
    if rows.shape[1:] != (operator.rows.width,) or rows.dtype.kind not in "fiu":
        raise ValueError(f"rois has shape {rows.shape} and dtype {rows.dtype}")
    return rows


def _bits(tensor: Tensor) -> np.ndarray:
    """The tensor's memory; half types as 16-bit integers, since NumPy has no bfloat16."""
    if tensor.requires_grad:
        tensor = tensor.detach()
    return (tensor.view(torch.int16) if tensor.itemsize == 2 else tensor).numpy()


def _threads() -> int:
    """The lower of both settings: a data loader's worker, say, has only torch's at 1."""
    return min(torch.get_num_threads(), _core.default_threads())
