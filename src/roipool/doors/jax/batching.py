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
    examples, regions = _examples(args, dims), _rows(args[1], dims[1])
    data, image, rows, cols = args
    image, rows, cols = (
        _folded(arg, dim, examples) for arg, dim in zip(args[1:], dims[1:], strict=True)
    )
    if dims[0] is not None:  # otherwise all examples share the images, and so the indices
        image = _moved(image, (examples, regions), _rows(data, dims[0]))
        data = _folded(data, dims[0], examples)
    results = pool(data, image, rows, cols, argmax=argmax)
    return [_unfolded(result, (examples, regions)) for result in results], [0] * len(results)


def _gather_batch(args: Sequence[Any], dims: Sequence[Any]) -> Any:
    examples, regions = _examples(args, dims), _rows(args[2], dims[2])
    data, argmax, image = args
    argmax, image = _folded(argmax, dims[1], examples), _folded(image, dims[2], examples)
    if dims[0] is not None:
        image = _moved(image, (examples, regions), _rows(data, dims[0]))
        data = _folded(data, dims[0], examples)
    return _unfolded(gather(data, argmax, image), (examples, regions)), 0


def _scatter_batch(args: Sequence[Any], dims: Sequence[Any], *, data_shape: Any) -> Any:
    examples, regions = _examples(args, dims), _rows(args[2], dims[2])
    grad, argmax, image = (_folded(arg, dim, examples) for arg, dim in zip(args, dims, strict=True))
    images, *plane = data_shape
    image = _moved(image, (examples, regions), images)
    sums = scatter(grad, argmax, image, data_shape=(examples * images, *plane))
    return _unfolded(sums, (examples, images)), 0


def _examples(args: Sequence[Any], dims: Sequence[Any]) -> int:
    found: int = next(a.shape[dim] for a, dim in zip(args, dims, strict=True) if dim is not None)
    return found


def _rows(array: Any, dim: int | None) -> int:
    """The length of the first axis in one example."""
    length: int = array.shape[1 if dim == 0 else 0]
    return length


def _folded(array: Any, dim: int | None, examples: int) -> Array:
    """All examples' rows in one axis; rows that all examples share are repeated."""
    if dim is None:
        array = jnp.broadcast_to(array, (examples, *array.shape))
    else:
        array = jnp.moveaxis(array, dim, 0)
    return array.reshape(math.prod(array.shape[:2]), *array.shape[2:])


def _unfolded(array: Array, sizes: tuple[int, int]) -> Array:
    return array.reshape(*sizes, *array.shape[1:])


def _moved(image: Array, sizes: tuple[int, int], images: int) -> Array:
    """Indices of (examples, regions) among the images of all examples, so many in each."""
    each = image.reshape(sizes)
    first = jnp.arange(sizes[0], dtype=image.dtype)[:, None] * images
    return jnp.where(each < 0, each, each + first).reshape(-1)


batching.primitive_batchers[pool_p] = _pool_batch
batching.primitive_batchers[gather_p] = _gather_batch
batching.primitive_batchers[scatter_p] = _scatter_batch
