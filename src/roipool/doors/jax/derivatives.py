"""Derivatives of the primitives, in both modes, of any order, from their kernels' descriptions."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
from jax.interpreters import ad

from roipool.doors.jax.primitives import PRIMITIVES, Shapes, bind, by_name, names
from roipool.kernels import DATA, KERNELS, Kernel


def _jvp(
    kernel: Kernel, primals: Sequence[Any], tangents: Sequence[Any], *, maps: Shapes, results: int
) -> Any:
    known = by_name(kernel, primals, maps)
    moving = _moving(by_name(kernel, tangents, maps))
    linear = KERNELS[kernel.tangent] if kernel.tangent else kernel
    factors = [name for name in moving if name in linear.linear]
    if linear is not kernel and factors:
        found = bind(kernel, known, maps)  # all results, for what reads them again
        known |= dict(zip((arg.name for arg in kernel.results), found, strict=True))
        found = found[:results]
    else:
        found = bind(kernel, known, maps, results)
    parts = [bind(linear, known | {name: moving[name]}, maps) for name in factors]
    out = jax.tree.map(lambda *terms: sum(terms[1:], terms[0]), *parts) if parts else []
    found, out = jax.tree.leaves(found), jax.tree.leaves(out)
    zeros = [ad.Zero(jax.typeof(result).to_tangent_aval()) for result in found[len(out) :]]
    return found, [*out, *zeros]


def _moving(tangents: dict[str, Any]) -> dict[str, Any]:
    """Those that are not zero; of feature maps all arrays, if one of them is not."""
    moving = {}
    for name, tangent in tangents.items():
        arrays = tangent if isinstance(tangent, list) else [tangent]
        if any(type(each) is not ad.Zero for each in arrays):
            arrays = [ad.instantiate_zeros(each) for each in arrays]
            moving[name] = arrays if isinstance(tangent, list) else arrays[0]
    return moving


def _transpose(
    kernel: Kernel, cotangents: Sequence[Any], *operands: Any, maps: Shapes, results: int
) -> list[Any]:
    wanted = [ad.is_undefined_primal(operand) for operand in operands]
    if all(type(each) is ad.Zero for each in cotangents):
        return [
            ad.Zero(operand.aval) if undefined else None
            for operand, undefined in zip(operands, wanted, strict=True)
        ]
    given = [ad.instantiate_zeros(each) for each in cotangents]
    (result,) = kernel.results
    known = by_name(kernel, operands, maps) | {result.name: given if result == DATA else given[0]}
    owners = names(kernel, maps)
    name = owners[wanted.index(True)]
    (gradient,) = bind(KERNELS[kernel.linear[name]], known, maps)
    gradients = iter(gradient if isinstance(gradient, list) else [gradient])
    each = [next(gradients) if owner == name else None for owner in owners]
    return [one if undefined else None for one, undefined in zip(each, wanted, strict=True)]


for _kernel in KERNELS.values():
    ad.primitive_jvps[PRIMITIVES[_kernel.name]] = partial(_jvp, _kernel)
    if _kernel.linear:
        ad.primitive_transposes[PRIMITIVES[_kernel.name]] = partial(_transpose, _kernel)
