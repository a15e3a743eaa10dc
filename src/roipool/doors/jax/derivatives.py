"""Derivatives of the primitives, in both modes, of any order.

That of `pool` is `gather` of the tangent; `gather` and `scatter` are linear and each other's
transpose.
"""

from collections.abc import Sequence
from typing import Any

import jax
from jax.interpreters import ad

from roipool.doors.jax.operators import gather, gather_p, pool, pool_p, scatter, scatter_p


def _zero(value: Any) -> ad.Zero:
    return ad.Zero(jax.typeof(value).to_tangent_aval())


def _pool_jvp(primals: Sequence[Any], tangents: Sequence[Any], *, argmax: bool) -> Any:
    tangent = tangents[0]
    if type(tangent) is ad.Zero:
        results = pool(*primals, argmax=argmax)
        return results, [_zero(result) for result in results]
    values, positions = pool(*primals, argmax=True)
    gathered = gather(tangent, positions, primals[1])
    if argmax:
        return [values, positions], [gathered, _zero(positions)]
    return [values], [gathered]


def _gather_transpose(grad: Any, data: Any, argmax: Any, image: Any) -> list[Any]:
    if type(grad) is ad.Zero:
        return [ad.Zero(data.aval), None, None]
    return [scatter(grad, argmax, image, data_shape=data.aval.shape), None, None]


def _scatter_transpose(
    grad_data: Any, grad: Any, argmax: Any, image: Any, *, data_shape: tuple[int, ...]
) -> list[Any]:
    if type(grad_data) is ad.Zero:
        return [ad.Zero(grad.aval), None, None]
    return [gather(grad_data, argmax, image), None, None]


ad.primitive_jvps[pool_p] = _pool_jvp
ad.defjvp(gather_p, lambda tangent, _, argmax, image: gather(tangent, argmax, image), None, None)
ad.defjvp(
    scatter_p,
    lambda tangent, _, argmax, image, **sizes: scatter(tangent, argmax, image, **sizes),
    None,
    None,
)
ad.primitive_transposes[gather_p] = _gather_transpose
ad.primitive_transposes[scatter_p] = _scatter_transpose
