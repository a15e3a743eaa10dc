"""jax.vmap of the primitives: one call, on the images and the regions of all examples.

The images of an example follow those of the example before, so the indices of its regions grow by
as many.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.interpreters import batching

from roipool.doors.jax.operators import gather, gather_p, pool, pool_p, scatter, scatter_p


def _pool_batch(args: Sequence[Any], dims: Sequence[Any], *, argmax: bool) -> Any:
    examples = _examples(args, dims)
    data, image, rows, cols = args
    image, rows, cols = (
        _folded(arg, dim, examples) for arg, dim in zip(args[1:], dims[1:], strict=True)
    )
    if dims[0] is not None:  # otherwise all examples share the images, and so the indices
        data = _folded(data, dims[0], examples)
        image = _moved(image, examples, data.shape[0] // examples)
    results = pool(data, image, rows, cols, argmax=argmax)
    return [_unfolded(result, examples) for result in results], [0] * len(results)


def _gather_batch(args: Sequence[Any], dims: Sequence[Any]) -> Any:
    examples = _examples(args, dims)
    data, argmax, image = args
    argmax, image = _folded(argmax, dims[1], examples), _folded(image, dims[2], examples)
    if dims[0] is not None:
        data = _folded(data, dims[0], examples)
        image = _moved(image, examples, data.shape[0] // examples)
    return _unfolded(gather(data, argmax, image), examples), 0


def _scatter_batch(args: Sequence[Any], dims: Sequence[Any], *, data_shape: Any) -> Any:
    examples = _examples(args, dims)
    grad, argmax, image = (_folded(arg, dim, examples) for arg, dim in zip(args, dims, strict=True))
    image = _moved(image, examples, data_shape[0])
    shape = (examples * data_shape[0], *data_shape[1:])
    return _unfolded(scatter(grad, argmax, image, data_shape=shape), examples), 0


def _examples(args: Sequence[Any], dims: Sequence[Any]) -> int:
    return next(arg.shape[dim] for arg, dim in zip(args, dims, strict=True) if dim is not None)


def _folded(array: Any, dim: int | None, examples: int) -> Array:
    """All examples' rows in one axis; rows that all examples share are repeated."""
    if dim is None:
        array = jnp.broadcast_to(array, (examples, *array.shape))
    else:
        array = jnp.moveaxis(array, dim, 0)
    return array.reshape(math.prod(array.shape[:2]), *array.shape[2:])


def _unfolded(array: Array, examples: int) -> Array:
    return array.reshape(examples, array.shape[0] // examples, *array.shape[1:])


def _moved(image: Array, examples: int, images: int) -> Array:
    example = jnp.repeat(jnp.arange(examples, dtype=image.dtype), image.shape[0] // examples)
    return jnp.where(image < 0, image, image + example * images)


batching.primitive_batchers[pool_p] = _pool_batch
batching.primitive_batchers[gather_p] = _gather_batch
batching.primitive_batchers[scatter_p] = _scatter_batch
