"""Every kernel as a primitive of JAX, registered by one loop over their descriptions.

A primitive takes the inputs of its kernel, feature maps as any number of arrays, and has two
parameters: `maps`, the shapes of those arrays, wherever they stand in the call; and `results`, how
many of its results are asked for. On CPUs it is a call of the native core from the compiled
program; elsewhere jax.lax.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import mlir
from jax.sharding import PartitionSpec, SingleDeviceSharding

from roipool import _core
from roipool.descriptions import shapes
from roipool.doors.jax import lax_max, lax_points, lax_samples, lax_taps
from roipool.kernels import DATA, KERNELS, Kernel

Shapes = tuple[tuple[int, ...], ...]

PRIMITIVES: dict[str, Primitive] = {}
IN_LAX: dict[str, Callable[..., Any]] = {
    **lax_max.KERNELS,
    **lax_taps.KERNELS,
    **lax_points.KERNELS,
    **lax_samples.KERNELS,
}


def bind(kernel: Kernel, known: Mapping[str, Any], maps: Shapes = (), results: int = 0) -> Any:
    """The kernel of all that is known by name: so many results, or all; maps as a list.

    `maps` are the shapes of the arrays of feature maps, needed where these are the result.
    """
    if DATA in kernel.inputs:
        maps = tuple(tuple(array.shape) for array in known[DATA.name])
    results = results or len(kernel.results)
    operands = _aligned(*flat(kernel, known))
    given = PRIMITIVES[kernel.name].bind(*operands, maps=maps, results=results)
    return [given] if kernel.results[0] == DATA else given


def flat(kernel: Kernel, known: Mapping[str, Any]) -> list[Any]:
    """Its operands, of all that is known by name."""
    operands: list[Any] = []
    for arg, value in zip(kernel.inputs, kernel.arguments(known), strict=True):
        operands += value if arg == DATA else [value]
    return operands


def names(kernel: Kernel, maps: Shapes) -> list[str]:
    """The name of each of its operands."""
    return [arg.name for arg in kernel.inputs for _ in (maps if arg == DATA else [None])]


def by_name(kernel: Kernel, operands: Sequence[Any], maps: Shapes) -> dict[str, Any]:
    """What is said of each operand, under its name; of feature maps as a list."""
    rest = list(operands)
    known: dict[str, Any] = {}
    for arg in kernel.inputs:
        count = len(maps) if arg == DATA else 1
        some, rest = rest[:count], rest[count:]
        known[arg.name] = some if arg == DATA else some[0]
    return known


def sizes(kernel: Kernel, shapes_by_name: Mapping[str, Any]) -> dict[str, int]:
    """The size of every letter of the inputs; feature maps, of several sizes, tell C alone."""
    known = {}
    for arg in kernel.inputs:
        if arg == DATA:
            known["C"] = shapes_by_name[arg.name][0][1]
        else:
            known |= dict(zip(arg.axes, shapes_by_name[arg.name], strict=True))
    return known


def _results(kernel: Kernel, *operands: Any, maps: Shapes, results: int) -> list[ShapedArray]:
    known = sizes(kernel, by_name(kernel, [x.shape for x in operands], maps))
    first = operands[0].dtype  # features or pooled values
    wide = jnp.dtype("float64" if first == jnp.float64 else "float32")
    dtypes = {"data": first, "sum": wide, "int32": jnp.dtype("int32")}
    dtypes["position"] = dtypes["int32"]
    found = []
    for arg, shape in zip(kernel.results[:results], shapes(kernel, known, maps), strict=False):
        for each in shape if arg == DATA else [shape]:
            # Of as many axes, so as it may be spread over devices.
            like = next(x for x in operands if x.ndim == len(each))
            found.append(like.update(shape=each, dtype=dtypes[arg.dtype], weak_type=False))
    return found


def _in_lax(
    kernel: Kernel, *operands: Any, maps: Shapes, results: int, chunk: int = 2**22
) -> list[Any]:
    """The kernel in jax.lax alone."""
    known = by_name(kernel, operands, maps)
    return IN_LAX[kernel.name](known, maps=maps, results=results, chunk=chunk)


def _native(kernel: Kernel, ctx: Any, *operands: Any, maps: Shapes, results: int) -> Any:
    return _call(ctx, *operands, kernel=kernel.name, maps=np.int64(len(maps)))


_call = jax.ffi.ffi_lowering("roipool_run")


def _register(kernel: Kernel) -> None:
    primitive = PRIMITIVES[kernel.name] = Primitive("roipool_" + kernel.name)
    primitive.multiple_results = True
    primitive.def_abstract_eval(partial(_results, kernel))
    compiled = jax.jit(primitive.bind, static_argnames=("maps", "results"))

    def run(*operands: Any, **parameters: Any) -> Any:
        with jax.disable_jit(False):  # or jit would call `bind`, and so itself
            return compiled(*operands, **parameters)

    primitive.def_impl(run)
    lower = partial(mlir.lower_fun, multiple_results=True)
    mlir.register_lowering(primitive, lower(partial(_in_lax, kernel)))
    if _core.xla_handlers():
        mlir.register_lowering(primitive, partial(_native, kernel), "cpu")
    else:  # built without XLA's headers: chunks that stay in a core's own cache
        mlir.register_lowering(primitive, lower(partial(_in_lax, kernel, chunk=2**16)), "cpu")


def _aligned(*operands: Any) -> list[Any]:
    """Operands as XLA may be given them together: whole on every device of a mesh, or, inside
    jax.shard_map, all different on each device if one of them is.
    """
    if all(map(_lies_on_one_device, operands)):
        return list(operands)
    operands = tuple(map(_whole, operands))
    axes = [_varying(jax.typeof(operand)) for operand in operands]
    missing = [tuple(frozenset().union(*axes) - known) for known in axes]
    pairs = zip(operands, missing, strict=True)
    return [lax.pcast(operand, more, to="varying") if more else operand for operand, more in pairs]


def _lies_on_one_device(operand: Any) -> bool:
    """Whether it is known to, without the type that JAX makes of it, which takes long."""
    if isinstance(operand, np.ndarray):
        return True
    traced = isinstance(operand, jax.core.Tracer)
    return not traced and isinstance(operand.sharding, SingleDeviceSharding)


def _whole(operand: Any) -> Any:
    """Not divided by an axis of an explicit mesh: a region may lie in any part of the maps."""
    aval = jax.typeof(operand)
    if any(axis is not None for axis in aval.sharding.spec):
        return jax.reshard(operand, PartitionSpec(*[None] * aval.ndim))
    return operand


def _varying(aval: Any) -> frozenset[Any]:
    axes: frozenset[Any] = aval.vma if hasattr(aval, "vma") else aval.mat.varying  # from 0.10 on
    return axes


for _name, _handler in _core.xla_handlers().items():
    jax.ffi.register_ffi_target(f"roipool_{_name}", _handler, platform="cpu")
for _kernel in KERNELS.values():
    _register(_kernel)
