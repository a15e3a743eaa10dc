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
from roipool.doors.jax.regions import (
    as_rows,
    can_be_looked_at,
    moves_of,
    moving,
    structure,
)
from roipool.kernels import KERNELS

Shape = tuple[int, ...]
xp = jnp


def looked_at(rows: Any) -> np.ndarray | None:
    """The rows as NumPy has them, if they can be looked at."""
    return np.asarray(rows) if can_be_looked_at(rows) else None


def pool(operator: Operator, data: Any, regions: Any, call: Call, positions: bool, out: Any) -> Any:
    """The operator's values and, where asked for, what they stand at."""
    _refuse_out(out)
    maps = _as_maps(data, operator)
    rows = as_rows(regions, sum(array.shape[0] for array in maps), operator.rows)
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
    rows = as_rows(regions, images, operator.rows)
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
    rows = as_rows(regions, sum(array.shape[0] for array in maps), operator.rows)
    operator.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, rows.shape[0], maps[0].shape)
    dtype, sizes = maps[0].dtype, _sizes(maps, call)
    checks.refuse_other_dtype("grad", grad.dtype, dtype)
    F = geometry.float_type(jnp, dtype, rows.dtype)
    if isinstance(rows, np.ndarray):
        native.structure(operator, rows, sizes, dtype.name, call)  # refuses what is no region
        rows = jnp.asarray(rows, F)
    kernel, moves = operator.weigh, moves_of(operator)

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


def gather_points(data: Any, image: Any, pixel: Any, weight: Any) -> Array:
    """Sums of weighted pixels that are listed one by one, (K, C, h, w)."""
    maps = _as_maps(data, None)
    known = _listed(image, pixel, weight, [array.shape for array in maps], maps[0].dtype)
    values: Array = bind(KERNELS["points_read"], {"data": maps, **known})[0]
    return values


def gather_points_backward(
    grad: Any, image: Any, pixel: Any, weight: Any, data_shapes: Sequence[Shape], several: bool
) -> Any:
    """The gradient of the features: one array for each shape, or the only one."""
    expected = jnp.shape(pixel)[0], data_shapes[0][1]
    checks.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, expected, data_shapes[0])
    known = _listed(image, pixel, weight, data_shapes, grad.dtype)
    shapes = tuple(map(tuple, data_shapes))
    (filled,) = bind(KERNELS["points_add"], {"pooled": grad, **known}, shapes)
    return filled if several else filled[0]


def gather_points_backward_weight(grad: Any, data: Any, image: Any, pixel: Any) -> Array:
    """The gradient of the weights, (K, h, w, S)."""
    maps = _as_maps(data, None)
    shapes, grad = [array.shape for array in maps], jnp.asarray(grad)
    expected = jnp.shape(pixel)[0], shapes[0][1]
    checks.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, expected, shapes[0])
    checks.refuse_other_dtype("grad", grad.dtype, maps[0].dtype)
    ones = jnp.ones(jnp.shape(pixel), jnp.float32)
    known = _listed(image, pixel, ones, shapes, grad.dtype)
    (moved,) = bind(KERNELS["points_weigh"], {**known, "data": maps, "pooled": grad})
    return jnp.reshape(moved, jnp.shape(pixel))


def _listed(
    image: Any, pixel: Any, weight: Any, shapes: Sequence[Sequence[int]], dtype: Any
) -> dict[str, Any]:
    known = np.asarray(image) if can_be_looked_at(image) else None
    image, pixel, weight = jnp.asarray(image), jnp.asarray(pixel), jnp.asarray(weight)
    whole = [(array.dtype.kind in "iu", array.shape) for array in (image, pixel)]
    checks.refuse_points(whole[0], whole[1], weight.shape)
    if known is not None:
        checks.refuse_images(known, sum(shape[0] for shape in shapes))
    return geometry.points_of(jnp, image, pixel, weight, shapes, dtype)._asdict()


def _as_maps(data: Any, operator: Operator | None) -> list[Array]:
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
        known = operator.dtypes if operator else checks.FLOATS
        checks.refuse_maps(array.dtype, name, array.shape, known)
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
