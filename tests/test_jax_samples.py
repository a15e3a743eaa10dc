"""The kernels of samples as JAX's primitives: derivatives, vmap, and jax.lax alone."""

from functools import cache, partial

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp
from jax.test_util import check_grads

from cases import FLOATS, NAMES, assert_same_bits, odd_maps
from jax_align_cases import assert_close
from jax_arrays import wide
from roipool.doors.jax import primitives
from roipool.kernels import KERNELS
from sample_cases import KERNELS as NAMED
from sample_cases import Case, expected

FACTORS = ("data", "y_weight", "x_weight")


def some(dtype=np.float32, **how):
    """A case, and all that it has by name."""
    case = Case(dtype, **({"channels": 3, "count": 5} | how))
    axes = zip("yx", (case.y, case.x), strict=True)
    known = {
        f"{axis}_{name}": jnp.asarray(value)
        for axis, parts in axes
        for name, value in zip(("taps", "pixel", "weight"), parts, strict=True)
    }
    known |= {"image": jnp.asarray(case.image), "argmax": jnp.asarray(case.argmax)}
    known |= {"data": [jnp.asarray(m) for m in case.maps], "pooled": jnp.asarray(case.pooled)}
    return case, known, tuple(m.shape for m in case.maps)


def bound(name, known, shapes, **how):
    return jax.tree.leaves(primitives.bind(KERNELS[name], known, shapes, **how))


@cache
def compiled(name, shapes, results, chunk):
    kernel = KERNELS[name]
    how = {"maps": shapes, "results": results or len(kernel.results), "chunk": chunk}
    return jax.jit(partial(primitives._in_lax, kernel, **how))


def in_lax(name, known, shapes, results=0, chunk=2**22):
    return compiled(name, shapes, results, chunk)(*primitives.flat(KERNELS[name], known))


def whole(array):
    return array.astype("float64" if array.dtype == np.float64 else "float32")


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
def test_as_defined(dtype, name):
    with wide(dtype):
        case, known, shapes = some(dtype)
        for found, wanted in zip(bound(name, known, shapes), expected(case, name), strict=True):
            assert_same_bits(np.asarray(found), wanted)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(
    ("dtype", "chunk"), [(np.float32, 2**22), *((dtype, 50) for dtype in FLOATS)], ids=str
)
def test_lax_is_as_native(dtype, name, chunk):
    tolerance = {2: 2e-2, 4: 1e-5, 8: 1e-12}[np.dtype(dtype).itemsize]
    with wide(dtype):
        _, known, shapes = some(dtype)
        found, wanted = in_lax(name, known, shapes, chunk=chunk), bound(name, known, shapes)
        assert [x.dtype for x in found] == [x.dtype for x in wanted]
        found, wanted = (list(map(whole, each)) for each in (found, wanted))
        assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def test_lax_of_odd_numbers():
    """Of values that products do not round: the first largest, NaN, infinities and nothing."""
    case, known, shapes = some(channels=9, count=12)
    rng = np.random.default_rng(3)
    known["data"] = [jnp.asarray(odd_maps(rng, shape)) for shape in shapes]
    for axis in "yx":
        weight = rng.choice([0, 0, 1], known[f"{axis}_weight"].shape)
        known[f"{axis}_weight"] = jnp.asarray(weight, np.float32)
    for found, wanted in zip(
        in_lax("samples_max", known, shapes), bound("samples_max", known, shapes), strict=True
    ):
        np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))
    assert_close(in_lax("samples_max", known, shapes, results=1)[0], found_values(known, shapes))
    assert (np.asarray(known["image"]) < 0).any()
    assert (case.samples() == 0).any()


def found_values(known, shapes):
    (values,) = bound("samples_max", known, shapes, results=1)
    return values


@pytest.mark.parametrize("sizes", [((1, 0, 5),), ((2, 4, 0), (1, 0, 3))], ids=str)
def test_maps_without_pixels(sizes):
    """Samples, if any are listed, read nothing; and lists may be empty."""
    _, known, shapes = some(sizes=sizes)
    known |= {"y_taps": known["y_taps"] * 0 + jnp.asarray([0, 2]), "x_taps": known["x_taps"] * 0}
    known["y_weight"] = known["x_weight"] = jnp.zeros(4)
    known["y_pixel"] = known["x_pixel"] = jnp.zeros(4, jnp.int32)
    for x_taps in (known["x_taps"], known["x_taps"] + jnp.asarray([0, 4])):
        known["x_taps"] = x_taps
        for name in NAMED:
            found, wanted = in_lax(name, known, shapes), bound(name, known, shapes)
            assert_close(found, wanted)


@pytest.mark.parametrize("name", NAMED[1:])
def test_what_is_no_sample_is_none(name):
    _, known, shapes = some()
    argmax = known["argmax"]
    none = bound(name, known | {"argmax": jnp.where(argmax == 0, -1, argmax)}, shapes)
    for number in (-2, 99, 2**31 - 1):
        known["argmax"] = jnp.where(argmax == 0, number, argmax)
        assert_close(bound(name, known, shapes), none)
        assert_close(in_lax(name, known, shapes), none)


def largest(case, known, shapes):
    """The pooled values as a function of the factors, and these; each with a map of its own."""

    def pool(*factors):
        *maps, y_weight, x_weight = factors
        given = known | {"data": maps, "y_weight": y_weight, "x_weight": x_weight}
        return bound("samples_max", given, shapes, results=1)[0]

    return pool, (*known["data"], known["y_weight"], known["x_weight"])


def test_derivatives_of_the_largest():
    """Of both modes and the second order, for the maps and the weights together."""
    with jax.enable_x64(True):
        pool, factors = largest(*some(np.float64, seed=4, count=4))
        check_grads(jax.jit(pool), factors, order=2, modes=("fwd", "rev"), eps=1e-6)


@pytest.mark.parametrize("at", range(4))  # two maps, and the weights along y and x
def test_derivatives_are_those_of_the_linear_kernels(at):
    case, known, shapes = some()
    pool, factors = largest(case, known, shapes)
    tangent = factors[at] + 1
    given = dict(zip(FACTORS, (list(factors[:2]), *factors[2:]), strict=True))
    if at < 2:
        given["data"] = [
            tangent if i == at else jnp.zeros_like(m) for i, m in enumerate(factors[:2])
        ]
    else:
        given[FACTORS[at - 1]] = tangent
    argmax = bound("samples_max", known, shapes)[1]
    moving = known | given | {"argmax": argmax}
    (wanted,) = bound("samples_read", moving, shapes)
    moved = [tangent if i == at else jnp.zeros_like(f) for i, f in enumerate(factors)]
    assert_close(jax.jvp(pool, factors, tuple(moved))[1], wanted)
    names = ["samples_add", "samples_add", "samples_weigh_y", "samples_weigh_x"]
    of_all = bound(names[at], known | {"argmax": argmax}, shapes)
    found = jax.grad(lambda *f: (pool(*f) * known["pooled"]).sum(), at)(*factors)
    assert_same_bits(np.asarray(found), np.asarray(of_all[at if at < 2 else 0]))


def test_only_what_moves_is_computed():
    pool, factors = largest(*some())
    text = str(jax.make_jaxpr(jax.grad(lambda *f: pool(*f).sum()))(*factors))
    assert "samples_add" in text
    assert "weigh" not in text
    assert text.count("roipool_samples_max") == 1
    forward = str(jax.make_jaxpr(lambda *f: jax.jvp(pool, f, f)[1])(*factors))
    assert forward.count("roipool_samples_read") == 3
    assert forward.count("roipool_samples_max") == 1


def test_second_derivatives_and_vmap():
    with jax.enable_x64(True):
        pool, factors = largest(*some(np.float64, seed=4, count=3))

        def loss(x_weight):
            return (pool(*factors[:3], x_weight) ** 2).sum()

        hessian = jax.hessian(loss)(factors[3])
        assert_close(hessian, jax.jacfwd(jax.jacfwd(loss))(factors[3]), rtol=1e-9)
        assert np.abs(np.asarray(hessian)).max() > 0
        several = jnp.stack([factors[3], factors[3] * 2, -factors[3]])
        looped = jnp.stack([jax.grad(loss)(each) for each in several])
        assert_close(jax.vmap(jax.grad(loss))(several), looped, rtol=1e-9)


@pytest.mark.parametrize("name", NAMED)
def test_vmap_of_every_operand(name):
    """Each by itself, and all: lists of taps are then joined, and the bins' ranges with them."""
    sizes = ((2, 6, 5), (1, 6, 5))  # pixels of any map are in all
    _, known, shapes = some(sizes=sizes)
    kernel = KERNELS[name]

    def call(*operands):
        return bound(name, primitives.by_name(kernel, operands, shapes), shapes)

    operands = primitives.flat(kernel, known)
    examples = [jnp.stack([x, x[::-1], x]) for x in operands]
    for at in range(len(operands) + 1):
        dims = [0 if at in (i, len(operands)) else None for i in range(len(operands))]
        given = [e if d == 0 else o for o, e, d in zip(operands, examples, dims, strict=True)]
        each = [
            call(*(x if d is None else x[i] for x, d in zip(given, dims, strict=True)))
            for i in range(3)
        ]
        wanted = [jnp.stack(parts) for parts in zip(*each, strict=True)]
        assert_close(jax.vmap(call, dims)(*given), wanted)


def test_elsewhere_all_is_lax():
    pool, factors = largest(*some())
    both = jax.jit(jax.value_and_grad(lambda *f: pool(*f).sum(), (0, 1, 2, 3))).trace(*factors)
    for platform in ("cuda", "tpu"):
        assert "custom_call" not in both.lower(lowering_platforms=(platform,)).as_text()
