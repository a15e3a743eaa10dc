"""Regions as JAX has them: rows that can be looked at or not, and what kernels reduce over."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from roipool import checks, geometry, native, rois
from roipool.descriptions import Call, Operator, Rows
from roipool.kernels import Kernel

Text = Callable[..., tuple[Any, Any]]  # an operator's `structure`


class Moves(NamedTuple):
    """How weights move: hashable, as what a program is compiled for.

    Attributes:
        columns: Of rows, by each weight's name.
        curved: Whether slopes move too.
    """

    columns: tuple[tuple[str, tuple[int, ...]], ...]
    curved: bool


def moves_of(operator: Operator) -> Moves:
    """Those of its structure."""
    return Moves(tuple(operator.moves.items()), operator.curved)


def as_rows(regions: Any, images: int, kind: Rows, _beside: Any = None) -> Any:
    """Any form of `rois` as rows: a NumPy array where the values can be looked at."""
    if all(map(can_be_looked_at, jax.tree.leaves(regions))):
        return rois.as_rows(regions, images, kind)
    if not isinstance(regions, Sequence):
        rows = _as_real(kind.name, regions)
    else:
        parts = [_as_real(f"{kind.name}[{i}]", jnp.asarray(part)) for i, part in enumerate(regions)]
        if all(part.shape == (kind.width,) for part in parts):
            rows = jnp.stack(parts)
        else:
            rows = rois.join(jnp, parts, images, kind)
    rois.refuse_shape(kind.name, rows.shape, kind)
    return rows


def _as_real(name: str, value: Any) -> Array:
    real = jnp.issubdtype(value.dtype, jnp.floating) or value.dtype.kind in "iu"
    rois.refuse_dtype(name, value.dtype, real)
    return value if value.dtype == jnp.float64 else value.astype(jnp.float32)


def can_be_looked_at(value: Any) -> bool:
    """Not while it is traced, and not where a look would wait for another device."""
    if isinstance(value, jax.core.Tracer):
        return False
    if not isinstance(value, Array):
        return True
    return value.is_fully_addressable and all(d.platform == "cpu" for d in value.devices())


def structure(
    operator: Operator, rows: Any, maps: geometry.Maps, dtype: np.dtype[Any], call: Call
) -> dict[str, Any]:
    """What the kernel takes beside features of that dtype, by name.

    Of rows that can be looked at, wrong ones are refused; of others they are padding.
    """
    if isinstance(rows, np.ndarray):
        found, _ = native.structure(operator, rows, maps, checks.dtype_name(dtype), call)
        return _in_few_sizes(operator.forward, found._asdict())
    return moving(operator.structure, moves_of(operator), maps, dtype, call, rows)


def _in_few_sizes(kernel: Kernel, found: dict[str, Any]) -> dict[str, Any]:
    """Lists of taps filled up: eager calls would be compiled for each length of them anew."""
    for arg in kernel.inputs:
        if arg.axes[0] in kernel.lists:
            taps = found[arg.name]
            more = (1 << max(len(taps) - 1, 0).bit_length()) - len(taps)
            found[arg.name] = np.pad(taps, (0, more))
    return found


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2, 3, 4))
def moving(
    text: Text, moves: Moves, maps: geometry.Maps, dtype: np.dtype[Any], call: Call, rows: Array
) -> dict[str, Any]:
    """The structure of rows that may be traced; its weights move with them."""
    found, _ = _of_any(text, maps, dtype, call, rows)
    return found


@moving.defjvp
def _(
    text: Text, moves: Moves, maps: geometry.Maps, dtype: np.dtype[Any], call: Call, *given: Any
) -> Any:
    def moved(rows: Array) -> dict[str, Any]:
        still = lax.stop_gradient(rows)
        found, slopes = _of_any(text, maps, dtype, call, still)
        if moves.curved:
            _, slopes = _of_any(text, maps, dtype, call, rows)
        steps = _steps(rows)
        for (name, columns), slope in zip(moves.columns, slopes or (), strict=bool(moves.columns)):
            found[name] = found[name] + _sums(slope, steps[:, jnp.asarray(columns)])
        return found

    return jax.jvp(moved, *given)


# Also where a derivative or vmap is taken outside of jit: one program, not fifty.
@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _of_any(
    text: Text, maps: geometry.Maps, dtype: np.dtype[Any], call: Call, rows: Array
) -> tuple[dict[str, Any], Any]:
    found, slopes = text(jnp, rows, maps, call.pooled_size, dtype, *call.more, traced=True)
    return found._asdict(), slopes


def _sums(slope: Array, steps: Array) -> Array:
    """Steps of regions' ends times the slopes of their taps: a region has its part of the list."""
    regions, columns = steps.shape
    each = slope.reshape(regions, slope.shape[0] // regions if regions else 0, columns)
    steps = steps.astype(slope.dtype)[:, None]
    moved = sum(each[..., i] * steps[..., i] for i in range(columns))
    return jnp.reshape(moved, slope.shape[:1])


@jax.custom_jvp
def _steps(rows: Array) -> Array:
    """0, which moves as the rows do: rows − rows, but for those that are not finite."""
    return jnp.zeros_like(rows)


_steps.defjvp(lambda primals, tangents: (_steps(*primals), *tangents))
