"""JAX: the kernels of points with derivatives and vmap, as the core has them and in jax.lax."""

from functools import partial

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp
from jax.test_util import check_grads

from cases import FLOATS, assert_same_bits
from jax_align_cases import assert_close
from jax_arrays import wide
from point_cases import KERNELS, Case
from roipool.doors.jax import primitives
from roipool.kernels import KERNELS as DESCRIBED

SMALL = {"channels": 2, "sizes": ((1, 4, 5), (2, 3, 4)), "pooled": (2, 1), "count": 4, "most": 4}


def operands_of(case, kernel):
    """All that the kernel takes, in its order, and the shapes of the maps."""
    known = {
        "data": list(map(jnp.asarray, case.maps)),
        "pooled": jnp.asarray(case.pooled),
        "weight": jnp.asarray(case.weight),
        "image": jnp.asarray(case.image),
        "points": jnp.asarray(case.points),
        "y_pixel": jnp.asarray(case.y),
        "x_pixel": jnp.asarray(case.x),
    }
    return primitives.flat(kernel, known), tuple(array.shape for array in case.maps)


def called(kernel, shapes, *operands):
    named = primitives.by_name(kernel, operands, shapes)
    return jax.tree.leaves(primitives.bind(kernel, named, shapes))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: np.dtype(dtype).name)
def test_as_the_core(dtype, name):
    case = Case(dtype)
    with wide(dtype):
        operands, shapes = operands_of(case, DESCRIBED[name])
        found = called(DESCRIBED[name], shapes, *operands)
        in_program = jax.jit(partial(called, DESCRIBED[name], shapes))(*operands)
    for one, other, expected in zip(found, in_program, case.run(name), strict=True):
        assert_same_bits(np.asarray(one), expected)
        assert_same_bits(np.asarray(other), expected)


@pytest.mark.parametrize("chunk", [2**22, 50])
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: np.dtype(dtype).name)
def test_lax_is_as_the_core(dtype, name, chunk):
    case, kernel = Case(dtype, 5), DESCRIBED[name]
    with wide(dtype):
        operands, shapes = operands_of(case, kernel)
        in_lax = partial(primitives._in_lax, kernel, maps=shapes, results=1, chunk=chunk)
        found = [np.asarray(each) for each in jax.jit(in_lax)(*operands)]
    expected = case.run(name)
    assert [each.dtype for each in found] == [each.dtype for each in expected]
    tolerance = {"float64": 1e-12, "float32": 1e-5}.get(case.dtype.name, 2e-2)
    widened = [[each.astype(np.float64) for each in some] for some in (found, expected)]
    assert_close(*widened, rtol=tolerance, atol=tolerance)


def test_lax_reads_only_what_counts():
    """Nothing where a weight is 0, nor outside a map, be it NaN."""
    case = Case(np.float32, 3)
    case.weight[::2], case.y[1::2], case.pooled[:] = 0, 99, np.nan
    case.maps = [np.full_like(array, np.nan) for array in case.maps]
    for name in ("points_read", "points_add"):
        operands, shapes = operands_of(case, DESCRIBED[name])
        found = primitives._in_lax(DESCRIBED[name], *operands, maps=shapes, results=1)
        assert not any(each.any() for each in found)


@pytest.mark.parametrize(
    "shape",
    [{"channels": 0}, {"count": 0}, {"most": 0}, {"sizes": ((2, 0, 5),)}, {"pooled": (0, 2)}],
    ids=str,
)
def test_lax_of_nothing(shape):
    case = Case(np.float32, **shape)
    for name in KERNELS:
        operands, shapes = operands_of(case, DESCRIBED[name])
        found = primitives._in_lax(DESCRIBED[name], *operands, maps=shapes, results=1)
        for each, expected in zip(found, case.run(name), strict=True):
            assert_same_bits(np.asarray(each), expected)


@pytest.mark.parametrize("name", KERNELS)
def test_derivatives(name):
    """For every factor together, of either mode and of second order, against differences."""
    kernel = DESCRIBED[name]
    with wide(np.float64):
        operands, shapes = operands_of(Case(np.float64, **SMALL), kernel)
        at = [i for i, x in enumerate(operands) if x.dtype == jnp.float64]

        def of_factors(*factors):
            given = dict(zip(at, factors, strict=True))
            some = [given.get(i, x) for i, x in enumerate(operands)]
            return called(kernel, shapes, *some)

        check_grads(of_factors, [operands[i] for i in at], order=2)


@pytest.mark.parametrize("name", KERNELS)
def test_vmap_of_every_operand(name):
    """Each by itself, and all: lists of points are then joined, and the bins' ranges with them."""
    case, kernel = Case(np.float32, 3, sizes=((2, 6, 5), (1, 6, 5), (2, 6, 5))), DESCRIBED[name]
    operands, shapes = operands_of(case, kernel)
    call = partial(called, kernel, shapes)
    examples = [jnp.stack([x, x[::-1], x]) for x in operands]
    for at in range(len(operands) + 1):
        dims = [0 if at in (i, len(operands)) else None for i in range(len(operands))]
        some = [e if d == 0 else o for o, e, d in zip(operands, examples, dims, strict=True)]
        one = [
            call(*(x if d is None else x[i] for x, d in zip(some, dims, strict=True)))
            for i in range(3)
        ]
        expected = jax.tree.map(lambda *parts: jnp.stack(parts), *one)
        assert_close(jax.vmap(call, dims)(*some), expected)


def test_elsewhere_all_is_lax():
    for name in KERNELS:
        operands, shapes = operands_of(Case(np.float32, 3), DESCRIBED[name])
        traced = jax.jit(partial(called, DESCRIBED[name], shapes)).trace(*operands)
        for platform in ("cuda", "tpu"):
            assert "custom_call" not in traced.lower(lowering_platforms=(platform,)).as_text()
