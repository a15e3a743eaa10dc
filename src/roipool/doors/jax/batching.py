"""jax.vmap of the primitives: one call, on the images and the regions of all examples.

The axis of each letter that leads an array is joined: an example's images, regions and lists of
taps follow those of the example before, and whole numbers that count along them grow by as many. A
list that all examples share is not repeated; each example's regions count along the same.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.interpreters import batching

from roipool.doors.jax.primitives import PRIMITIVES, Shapes, bind, by_name, sizes
from roipool.kernels import DATA, KERNELS, Kernel


def _batch(
    kernel: Kernel, operands: Sequence[Any], dims: Sequence[Any], *, maps: Shapes, results: int
) -> Any:
    examples = next(x.shape[d] for x, d in zip(operands, dims, strict=True) if d is not None)
    known, batched = by_name(kernel, operands, maps), by_name(kernel, dims, maps)
    each = sizes(kernel, by_name(kernel, list(map(_shape_of_one, operands, dims)), maps))
    joined = _joined_letters(kernel, batched)
    for arg in kernel.inputs:
        value, dim = known[arg.name], batched[arg.name]
        if arg == DATA:
            if "N" in joined:
                pairs = zip(value, dim, strict=True)
                known[arg.name] = [_joined(_stacked(x, d, examples)) for x, d in pairs]
        elif arg.axes[0] in joined:
            stacked = _stacked(value, dim, examples)
            if arg.along in joined:
                lengths = [shape[0] for shape in maps] if arg.along == "N" else [each[arg.along]]
                stacked = _grown(stacked, lengths)
            known[arg.name] = _joined(stacked)
    grown = tuple((examples * shape[0], *shape[1:]) for shape in maps)
    found = bind(kernel, known, grown, results)
    out: list[Any] = []
    for arg, result in zip(kernel.results, found, strict=False):
        if arg == DATA:
            out += [x.reshape(examples, *shape) for x, shape in zip(result, maps, strict=True)]
        else:
            out.append(result.reshape(examples, each[arg.axes[0]], *result.shape[1:]))
    return out, [0] * len(out)


def _joined_letters(kernel: Kernel, batched: dict[str, Any]) -> set[str]:
    """Those that lead an array of which each example has its own; always that of regions."""
    letters = {"K"} | {arg.axes[0] for arg in kernel.results}
    for arg in kernel.inputs:
        dims = batched[arg.name] if arg == DATA else [batched[arg.name]]
        if any(dim is not None for dim in dims):
            letters.add(arg.axes[0])
    return letters


def _shape_of_one(operand: Any, dim: int | None) -> tuple[int, ...]:
    shape: tuple[int, ...] = operand.shape
    return shape if dim is None else (*shape[:dim], *shape[dim + 1 :])


def _stacked(array: Any, dim: int | None, examples: int) -> Array:
    """With the examples as the first axis."""
    if dim is None:
        return jnp.broadcast_to(array, (examples, *array.shape))
    return jnp.moveaxis(array, dim, 0)


def _joined(array: Array) -> Array:
    return array.reshape(math.prod(array.shape[:2]), *array.shape[2:])


def _grown(index: Array, lengths: Sequence[int]) -> Array:
    """Indices of all examples, as they count where arrays of such lengths are joined.

    In each array an example's part follows that of the example before, so in front of an index
    that fell into it there are, of each array before, the parts of all the other examples too.
    Negative ones stay.
    """
    example = jnp.arange(index.shape[0], dtype=index.dtype)
    example = example.reshape(-1, *[1] * (index.ndim - 1))
    first, *others = lengths
    moved, end = index + example * first, first
    for length in others:
        front = (index.shape[0] - 1) * end
        moved = jnp.where(index < end, moved, index + (front + example * length))
        end += length
    return jnp.where(index < 0, index, moved)


for _kernel in KERNELS.values():
    batching.primitive_batchers[PRIMITIVES[_kernel.name]] = partial(_batch, _kernel)
