"""JAX arrays and tracers: checked, regions turned to what kernels take, a primitive called."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from roipool import checks, geometry, native, planes
from roipool.descriptions import Call, Operator
from roipool.doors.jax import batching, derivatives  # noqa: F401  registers rules
from roipool.doors.jax.primitives import bind
from roipool.doors.jax.regions import as_rows, can_be_looked_at, moving, structure

Shape = tuple[int, ...]


def pool(operator: Operator, data: Any, regions: Any, call: Call, positions: bool, out: Any) -> Any:
    """The operator's values and, where asked for, what they stand at."""
    _refuse_out(out)
    maps = _as_maps(data, operator)
    rows = as_rows(operator, regions, sum(array.shape[0] for array in maps))
    operator.channels("data", maps[0].shape[1], call.pooled_size)
    found = structure(operator, rows, _sizes(maps, call), maps[0].dtype, call)
    if operator.position_sensitive:
        maps = planes.of_maps(maps, call.pooled_size)
    values, *saved = bind(operator.forward, {"data": maps, **found}, results=1 + positions)
    if operator.position_sensitive:
        values = planes.pooled_of(values, call.pooled_size)
    if operator.filling(call) != 0:
        empty = geometry.empty_bins(jnp, found["image"], found["y_taps"], found["x_taps"])
        values = jnp.where(
            empty[:, None], jnp.asarray(operator.filling(call), values.dtype), values
        )
    return (values, *saved) if positions else values


def backward(
    operator: Operator,
    grad: Any,
    regions: Any,
    data_shapes: Sequence[Shape],
    call: Call,
    saved: Mapping[str, Any],
    several: bool,
    out: Any,
) -> Any:
    """The gradient of the features: one array for each shape, or the only one."""
    _refuse_out(out)
    for shape in data_shapes:
        _refuse_large_planes("data_shape", shape)
    images = sum(shape[0] for shape in data_shapes)
    rows = as_rows(operator, regions, images)
    operator.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, rows.shape[0], data_shapes[0])
    if not operator.located:
        maps = geometry.maps_of(data_shapes, call.scales)
        found = structure(operator, rows, maps, grad.dtype, call)
    elif isinstance(rows, np.ndarray):
        found = {"image": native.image_index(rows, images)}
    else:
        found = {"image": geometry.image_index(jnp, rows[:, 0], images)}
    for name, value in saved.items():
        found[name] = _positions(operator, value, grad, found["image"], data_shapes)
    shapes = tuple(map(tuple, data_shapes))
    if operator.position_sensitive:
        bins = grad.shape[2] * grad.shape[3]
        grad = planes.of_pooled(grad)
        within = tuple((n * bins, c // bins, h, w) for n, c, h, w in shapes)
        (filled,) = bind(operator.backward, {"pooled": grad, **found}, within)
        filled = planes.maps_of(filled, shapes, bins)
    else:
        (filled,) = bind(operator.backward, {"pooled": grad, **found}, shapes)
    return filled if several else filled[0]


def backward_rois(
    operator: Operator, grad: Any, data: Any, regions: Any, call: Call, saved: Mapping[str, Any]
) -> Array:
    """The gradient of the regions, as rows, by the chain rule through their weights."""
    maps = _as_maps(data, operator)
    grad = jnp.asarray(grad)
    rows = as_rows(operator, regions, sum(array.shape[0] for array in maps))
    operator.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, rows.shape[0], maps[0].shape)
    dtype, sizes = maps[0].dtype, _sizes(maps, call)
    checks.refuse_other_dtype("grad", grad.dtype, dtype)
    F = geometry.float_type(jnp, dtype, rows.dtype)
    if isinstance(rows, np.ndarray):
        native.structure(operator, rows, sizes, dtype.name, call)  # refuses what is no region
        rows = jnp.asarray(rows, F)
    kernel, moves = operator.weigh, tuple(operator.moves.items())

    def weights(rows: Array) -> Any:
        found = moving(operator.structure, moves, sizes, dtype, call, rows)
        return [found[arg.name] for arg in kernel.results], found

    _, back, found = jax.vjp(weights, rows, has_aux=True)
    for name, value in saved.items():
        shapes = [array.shape for array in maps]
        found[name] = _positions(operator, value, grad, found["image"], shapes)
    if operator.position_sensitive:
        maps, grad = planes.of_maps(maps, call.pooled_size), planes.of_pooled(grad)
    return back(bind(kernel, {"data": maps, "pooled": grad, **found}))[0].astype(F)


def _as_maps(data: Any, operator: Operator) -> list[Array]:
    """Arrays of feature maps, checked: one, or several in a sequence."""
    several = checks.is_several(data)
    maps = (
        [each if isinstance(each, Array) else jnp.asarray(each) for each in data]
        if several
        else [data]
    )
    for i, array in enumerate(maps):
        if several and array.ndim == 3:
            maps[i] = array = array[None]
        name = checks.dtype_name(array.dtype)
        checks.refuse_maps(array.dtype, name, array.shape, operator.dtypes)
        _refuse_large_planes("data's shape", array.shape)
    if several:
        checks.refuse_unlike(maps)
    return maps


def _sizes(maps: Sequence[Array], call: Call) -> geometry.Maps:
    return geometry.maps_of([array.shape for array in maps], call.scales)


def _positions(
    operator: Operator, value: Any, grad: Any, image: Any, data_shapes: Sequence[Shape]
) -> Array:
    """Positions that were saved, which must lie in their map where they can be looked at."""
    known = np.asarray(value) if can_be_looked_at(value) else None
    argmax = jnp.asarray(value)
    whole = argmax.dtype.name in ("int32", "int64")
    checks.refuse_argmax(argmax.dtype, whole, argmax.shape, grad.shape)
    if not operator.located:  # the number of a sample
        return jnp.clip(argmax, -2, 2**31 - 1).astype(jnp.int32)
    if known is not None and known.size:
        planes = [height * width for _, _, height, width in data_shapes]
        most: Any = max(planes)
        if len(planes) > 1 and isinstance(image, np.ndarray):
            of_image = np.repeat(planes, [shape[0] for shape in data_shapes])
            most = np.where(image < 0, most, of_image[image])[:, None, None, None]
        checks.refuse_argmax_outside(bool(np.all((known >= -1) & (known < most))), data_shapes)
    return argmax


def _refuse_out(out: Any) -> None:
    if out is not None:
        raise TypeError("out is given, but JAX arrays never change; leave it out")


def _refuse_large_planes(name: str, shape: Sequence[int]) -> None:
    height, width = shape[2:]
    if height * width >= 2**31:
        raise ValueError(f"{name} is {tuple(shape)}; a plane must hold below 2**31 pixels")
    if max(height, width) > 2**24 and jnp.result_type(float) != jnp.float64:
        raise ValueError(
            f"{name} is {tuple(shape)}; axes longer than 2**24 need float64: set jax_enable_x64"
        )
