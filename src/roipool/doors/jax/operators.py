"""Three primitives of JAX, and what its transformations ask of them.

    pool(data, image, rows, cols)    values; with `argmax` the positions too
    gather(data, argmax, image)      reads each value at its argmax
    scatter(grad, argmax, image)     adds each gradient at its argmax

The derivative of `pool` is `gather` of the tangent, and `gather` and `scatter` are linear and each
other's transpose: derivatives of any order in either mode are made of these three. On CPUs `pool`
and `scatter` are calls of the native core from the compiled program; elsewhere, and `gather`
everywhere, jax.lax.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import mlir
from jax.sharding import PartitionSpec

from roipool import _core
from roipool.doors.jax import kernels

pool_p = Primitive("roipool_pool")
pool_p.multiple_results = True
gather_p = Primitive("roipool_gather")
scatter_p = Primitive("roipool_scatter")


def pool(data: Any, image: Any, rows: Any, cols: Any, *, argmax: bool) -> list[Array]:
    """Values (K, C, P_h, P_w) and, where asked, positions of the same shape."""
    return list(pool_p.bind(*_aligned(data, image, rows, cols), argmax=argmax))


def gather(data: Any, argmax: Any, image: Any) -> Array:
    """The value of `data` at each argmax; 0 where nothing was pooled."""
    return gather_p.bind(*_aligned(data, argmax, image))


def scatter(grad: Any, argmax: Any, image: Any, *, data_shape: tuple[int, ...]) -> Array:
    """Each gradient added at its argmax, in an array of `data_shape`."""
    return scatter_p.bind(*_aligned(grad, argmax, image), data_shape=data_shape)


def _aligned(*operands: Any) -> list[Any]:
    """Operands as XLA may be given them together: whole on every device of a mesh, or, inside
    jax.shard_map, all different on each device if one of them is.
    """
    operands = tuple(map(_whole, operands))
    axes = [_varying(jax.typeof(operand)) for operand in operands]
    missing = [tuple(frozenset().union(*axes) - known) for known in axes]
    pairs = zip(operands, missing, strict=True)
    return [lax.pcast(operand, more, to="varying") if more else operand for operand, more in pairs]


def _whole(operand: Any) -> Any:
    """Not divided by an axis of an explicit mesh: a region may lie in any part of the maps."""
    aval = jax.typeof(operand)
    if any(axis is not None for axis in aval.sharding.spec):
        return jax.reshard(operand, PartitionSpec(*[None] * aval.ndim))
    return operand


def _varying(aval: Any) -> frozenset[Any]:
    axes: frozenset[Any] = aval.vma if hasattr(aval, "vma") else aval.mat.varying  # from 0.10 on
    return axes


def _pool_results(
    data: ShapedArray, image: Any, rows: Any, cols: Any, *, argmax: bool
) -> list[ShapedArray]:
    shape = (image.shape[0], data.shape[1], rows.shape[1], cols.shape[1])
    values = data.update(shape=shape, weak_type=False)
    return [values, values.update(dtype=jnp.dtype(jnp.int32))] if argmax else [values]


pool_p.def_abstract_eval(_pool_results)
gather_p.def_abstract_eval(
    lambda data, argmax, image: data.update(shape=argmax.shape, weak_type=False)
)
scatter_p.def_abstract_eval(
    lambda grad, argmax, image, *, data_shape: grad.update(shape=data_shape, weak_type=False)
)


def _run_eagerly(primitive: Primitive, **static: Any) -> None:
    compiled = jax.jit(primitive.bind, **static)

    def run(*operands: Any, **parameters: Any) -> Any:
        with jax.disable_jit(False):  # or jit would call `bind`, and so itself
            return compiled(*operands, **parameters)

    primitive.def_impl(run)


_run_eagerly(pool_p, static_argnames="argmax")
_run_eagerly(gather_p)
_run_eagerly(scatter_p, static_argnames="data_shape")

mlir.register_lowering(pool_p, mlir.lower_fun(kernels.pool, multiple_results=True))
mlir.register_lowering(gather_p, mlir.lower_fun(kernels.gather, multiple_results=False))
mlir.register_lowering(scatter_p, mlir.lower_fun(kernels.scatter, multiple_results=False))


def _pool_call(ctx: Any, *operands: Any, argmax: bool) -> Any:
    return _call(ctx, *operands, kernel="max", maps=np.int64(1))


def _scatter_call(ctx: Any, grad: Any, argmax: Any, image: Any, *, data_shape: Any) -> Any:
    aval, position, index = ctx.avals_in
    ctx = ctx.replace(avals_in=[aval, index, position])
    return _call(ctx, grad, image, argmax, kernel="max_add", maps=np.int64(1))


_call = jax.ffi.ffi_lowering("roipool_run")
_handlers = _core.xla_handlers()
for _name, _handler in _handlers.items():
    jax.ffi.register_ffi_target(f"roipool_{_name}", _handler, platform="cpu")
if _handlers:
    mlir.register_lowering(pool_p, _pool_call, "cpu")
    mlir.register_lowering(scatter_p, _scatter_call, "cpu")
else:  # built without XLA's headers: chunks that stay in a core's own cache
    _pool = partial(kernels.pool, chunk=2**16)
    mlir.register_lowering(pool_p, mlir.lower_fun(_pool, multiple_results=True), "cpu")
