"""JAX arrays and tracers: checked, rois turned to bins, a primitive called."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from roipool import bins, boxes, checks, geometry
from roipool.doors.jax import batching, derivatives, operators  # noqa: F401  registers rules


def roi_pool(
    data: Any,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    return_argmax: bool,
    out: Any,
) -> Any:
    """`roipool.roi_pool` for JAX arrays; the size and scale have been checked."""
    _refuse_out(out)
    checks.refuse_maps(data.dtype, data.dtype.name, data.shape)
    _refuse_large_planes("data's shape", data.shape)
    edges = _bins(_as_rows(rois, data.shape[0]), data, pooled_size, spatial_scale)
    results = operators.pool(data, *edges, argmax=return_argmax)
    return tuple(results) if return_argmax else results[0]


def roi_pool_backward(
    grad: Any, argmax: Any, rois: Any, data_shape: tuple[int, int, int, int], out: Any
) -> Any:
    """`roipool.roi_pool_backward` for JAX arrays."""
    _refuse_out(out)
    images, _, height, width = data_shape
    _refuse_large_planes("data_shape", data_shape)
    rows = _as_rows(rois, images)
    checks.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, rows.shape[0], data_shape)
    known = np.asarray(argmax) if _can_be_looked_at(argmax) else None
    argmax = jnp.asarray(argmax)
    whole = argmax.dtype.name in ("int32", "int64")
    checks.refuse_argmax(argmax.dtype, whole, argmax.shape, grad.shape)
    if isinstance(rows, np.ndarray):
        image = bins.image_index(rows, images)
    else:
        image = geometry.image_index(jnp, rows[:, 0], images)
    if known is not None and known.size:
        inside = bool(known.min() >= -1) and bool(known.max() < height * width)
        checks.refuse_argmax_outside(inside, height, width)
    return operators.scatter(grad, argmax, image, data_shape=tuple(data_shape))


def _bins(
    rows: Any, data: Any, pooled_size: tuple[int, int], spatial_scale: float
) -> geometry.Bins:
    """Of rows that can be looked at, wrong ones are refused; of others they are padding."""
    if isinstance(rows, np.ndarray):
        return bins.max_bins(rows, data.shape, pooled_size, spatial_scale, data.dtype)
    rows = lax.stop_gradient(rows)
    return _traced_bins(jnp, rows, data.shape, pooled_size, spatial_scale, data.dtype)


# Also where a derivative or vmap is taken outside of jit: one program, not fifty.
_traced_bins = jax.jit(geometry.max_bins, static_argnums=(0, 2, 3, 4, 5))


def _as_rows(rois: Any, images: int) -> Any:
    """Any form of `rois` as (K, 5) rows: a NumPy array where the values can be looked at."""
    if all(map(_can_be_looked_at, jax.tree.leaves(rois))):
        return boxes.as_rows(rois, images)
    if not isinstance(rois, Sequence):
        rows = _as_real("rois", rois)
    else:
        parts = [_as_real(f"rois[{i}]", jnp.asarray(part)) for i, part in enumerate(rois)]
        if all(part.shape == (5,) for part in parts):
            rows = jnp.stack(parts)
        else:
            boxes.refuse_count(len(parts), images)
            rows = jnp.concatenate([_with_index(i, part) for i, part in enumerate(parts)])
    boxes.refuse_shape("rois", rows.shape, 5)
    return rows


def _with_index(image: int, part: Array) -> Array:
    if part.shape == (0,):
        part = part.reshape(0, 4)
    boxes.refuse_shape(f"rois[{image}]", part.shape, 4)
    return jnp.pad(part, ((0, 0), (1, 0)), constant_values=image)


def _as_real(name: str, value: Any) -> Array:
    real = jnp.issubdtype(value.dtype, jnp.floating) or value.dtype.kind in "iu"
    boxes.refuse_dtype(name, value.dtype, real)
    return value if value.dtype == jnp.float64 else value.astype(jnp.float32)


def _can_be_looked_at(value: Any) -> bool:
    """Not while it is traced, and not where a look would wait for another device."""
    if isinstance(value, jax.core.Tracer):
        return False
    if not isinstance(value, Array):
        return True
    return value.is_fully_addressable and all(d.platform == "cpu" for d in value.devices())


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
