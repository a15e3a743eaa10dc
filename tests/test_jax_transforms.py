"""JAX's transformations of the operator: derivatives of both modes, vmap, checkpoint, scan."""

from functools import partial

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp
from jax.test_util import check_grads

import roipool
from cases import odd_boxes, random_boxes
from jax_arrays import gather, scatter, some_boxes, some_maps

SIZE, SCALE = (2, 3), 0.9


def pool(data, rois):
    return roipool.roi_pool(data, rois, SIZE, SCALE)


def loss(data, rois):
    return (pool(data, rois) ** 3).sum()


@pytest.fixture
def maps():
    """Whole numbers: no small step changes a winner."""
    order = np.random.default_rng(0).permutation(2 * 2 * 6 * 5)
    return jnp.asarray(order.reshape(2, 2, 6, 5), jnp.float32) / 16


@pytest.fixture
def rois():
    """Inside and over every border, empty, inverted, one pixel, padding."""
    return some_boxes(2, 6, 5, count=6)


@pytest.mark.parametrize("looked_at", [True, False], ids=["rois known", "rois traced"])
def test_numerical_derivatives(maps, rois, looked_at):
    with jax.enable_x64(True):
        data = maps.astype("float64")
        if looked_at:
            check_grads(lambda x: pool(x, rois), (data,), order=2, modes=("fwd", "rev"))
        else:
            compiled = jax.jit(pool)
            check_grads(lambda x: compiled(x, rois), (data,), order=2, modes=("fwd", "rev"))


@pytest.mark.parametrize("name", ["gather", "scatter"])
def test_numerical_derivatives_of_the_linear_operators(maps, rois, name):
    with jax.enable_x64(True):
        maps = maps.astype("float64")
        values, argmax = roipool.roi_pool(maps, rois, SIZE, SCALE, return_argmax=True)
        image = jnp.maximum(rois[:, 0], -1).astype("int32")
        if name == "gather":
            check_grads(lambda x: gather(x, argmax, image), (maps,), order=2)
        else:
            sums = partial(scatter, argmax=argmax, image=image, data_shape=maps.shape)
            check_grads(sums, (values,), order=2)


def test_second_derivatives(maps, rois):
    data = maps[:, :1]
    size = data.size
    exact = jnp.zeros((size, size))
    values, argmax = roipool.roi_pool(data, rois, SIZE, SCALE, return_argmax=True)
    for k, value in enumerate(values):
        for at, v in zip(argmax[k].ravel(), value.ravel(), strict=True):
            if at >= 0:
                i = int(rois[k, 0]) * 30 + int(at)
                exact = exact.at[i, i].add(6 * v)
    for hessian in (jax.hessian(loss), jax.jacrev(jax.grad(loss)), jax.jacfwd(jax.jacfwd(loss))):
        found = hessian(data, rois).reshape(size, size)
        np.testing.assert_allclose(found, exact, rtol=1e-6)


def test_jacobians_of_both_modes(maps, rois):
    forward, reverse = jax.jacfwd(pool)(maps, rois), jax.jacrev(pool)(maps, rois)
    np.testing.assert_array_equal(forward, reverse)
    assert forward.sum() == (pool(jnp.ones_like(maps), rois) == 1).sum()


def test_regions_have_no_gradient(maps, rois):
    assert not jax.grad(loss, argnums=1)(maps, rois).any()
    tangent = jax.jvp(lambda r: pool(maps, r), (rois,), (jnp.ones_like(rois),))[1]
    assert not tangent.any()


def test_positions_are_kept_only_for_derivatives(maps, rois):
    text = str(jax.make_jaxpr(pool)(maps, rois))
    assert "results=1" in text
    text = str(jax.make_jaxpr(jax.grad(loss))(maps, rois))
    assert text.count("results=2") == text.count("roipool_max[") == 1
    _, argmax = roipool.roi_pool(maps, rois, SIZE, SCALE, return_argmax=True)
    both = lambda x: roipool.roi_pool(x, rois, SIZE, SCALE, return_argmax=True)  # noqa: E731
    _, backward, found = jax.vjp(both, maps, has_aux=True)
    np.testing.assert_array_equal(found, argmax)
    np.testing.assert_array_equal(backward(jnp.ones(argmax.shape))[0].sum(), (argmax >= 0).sum())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types(maps, rois, dtype):
    gradient = jax.grad(loss)(maps.astype(dtype), rois)
    assert gradient.dtype == dtype
    whole = jax.grad(loss)(maps.astype(dtype).astype("float32"), rois)
    np.testing.assert_allclose(gradient.astype("float32"), whole, rtol=0.05, atol=0.5)


def test_checkpoint_and_scan(maps, rois):
    expected = jax.grad(loss)(maps, rois)
    np.testing.assert_array_equal(jax.grad(jax.checkpoint(loss))(maps, rois), expected)

    def total(data):
        chunks = jnp.stack([rois[:5], rois[5:10], rois[10:15]])
        return jax.lax.scan(lambda sum, part: (sum + loss(data, part), None), 0.0, chunks)[0]

    np.testing.assert_allclose(jax.grad(total)(maps), jax.grad(loss)(maps, rois[:15]), rtol=1e-5)


# jax.vmap against a loop.

DIMS = [(0, None), (None, 0), (0, 0), (2, 1), (4, None), (None, 2)]


def batches(dims):
    """Data and regions with a batch axis where `dims` says, padding rows among the regions."""
    data = jnp.stack([some_maps((2, 3, 9, 8), seed=i) for i in range(3)], axis=dims[0] or 0)
    rois = jnp.stack([some_boxes(2, 9, 8, seed=i) for i in range(3)], axis=dims[1] or 0)
    return data if dims[0] is not None else data[0], rois if dims[1] is not None else rois[0]


def looped(function, dims, *arrays):
    """The definition of vmap."""
    parts = [
        function(
            *(a if d is None else jnp.take(a, i, d) for a, d in zip(arrays, dims, strict=True))
        )
        for i in range(3)
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)


@pytest.mark.parametrize("dims", DIMS, ids=str)
def test_vmap_is_one_call(dims):
    data, rois = batches(dims)
    mapped = jax.vmap(pool, in_axes=dims)
    np.testing.assert_array_equal(mapped(data, rois), looped(pool, dims, data, rois))
    assert str(jax.make_jaxpr(mapped)(data, rois)).count("roipool_max[") == 1
    assert "scan" not in str(jax.make_jaxpr(mapped)(data, rois))


@pytest.mark.parametrize("dims", DIMS[:4], ids=str)
def test_vmap_of_derivatives(dims):
    data, rois = batches(dims)
    tangent = lambda x, r: jax.jvp(lambda y: pool(y, r), (x,), (x * 2,))[1]  # noqa: E731
    both = lambda x, r: roipool.roi_pool(x, r, 3, return_argmax=True)  # noqa: E731
    for function in (jax.grad(loss), tangent, both):
        found = jax.vmap(function, dims)(data, rois)
        jax.tree.map(np.testing.assert_array_equal, found, looped(function, dims, data, rois))


def test_vmap_of_vmap():
    data, rois = some_maps((3, 2, 2, 4, 7, 7)), some_boxes(2, 7, 7)[:24].reshape(2, 12, 5)
    pooled = jax.vmap(jax.vmap(pool), in_axes=(0, None))(data, rois)
    for i, j in np.ndindex(3, 2):
        np.testing.assert_array_equal(pooled[i, j], pool(data[i, j], rois[j]))


def test_vmap_of_each_operand_of_the_linear_operators(maps, rois):
    values, argmax = roipool.roi_pool(maps, rois, SIZE, SCALE, return_argmax=True)
    image = jnp.maximum(rois[:, 0], -1).astype(int)
    add = lambda *args: scatter(*args, data_shape=maps.shape)  # noqa: E731
    for function, first in ((gather, maps), (add, values)):
        arrays = (first, argmax, image)
        stacked = [jnp.stack([a, jnp.roll(a, 1, 0), a]) for a in arrays]
        for mapped in np.ndindex(2, 2, 2):
            dims = tuple(0 if m else None for m in mapped)
            chosen = [s if m else a for s, a, m in zip(stacked, arrays, mapped, strict=True)]
            if any(mapped):
                found = jax.vmap(function, in_axes=dims)(*chosen)
                np.testing.assert_array_equal(found, looped(function, dims, *chosen))


def test_padding_lets_one_program_serve_any_number_of_regions():
    data = some_maps((1, 3, 9, 9))
    compiled = jax.jit(lambda x, r: pool(x, r))
    for count in (0, 3, 7):
        rois = np.full((8, 5), -1, np.float32)
        some = random_boxes(np.random.default_rng(count), count, 1, 9, 9)
        rois[:count] = some
        pooled = compiled(data, rois)
        np.testing.assert_array_equal(pooled[:count], pool(data, some))
        assert not pooled[count:].any()
    assert compiled._cache_size() == 1


def test_rows_that_are_known_are_looked_at_under_any_transformation():
    data, rois = some_maps((1, 2, 5, 5)), odd_boxes(5, 5)
    rois[3, 0] = 1
    for transformed in (jax.jit(lambda x: loss(x, rois)), jax.grad(lambda x: loss(x, rois))):
        with pytest.raises(IndexError, match=r"rois\[3\] has batch index 1"):
            transformed(data)


def test_without_jit(maps, rois):
    expected = jax.grad(loss)(maps, rois), jax.vmap(pool, (None, 0))(maps, rois[None])[0]
    with jax.disable_jit():
        np.testing.assert_array_equal(jax.grad(loss)(maps, rois), expected[0])
        np.testing.assert_array_equal(pool(maps, rois), expected[1])


def test_vmap_of_no_examples():
    data, rois = jnp.zeros((0, 2, 3, 8, 8)), jnp.zeros((0, 4, 5))
    assert jax.vmap(pool)(data, rois).shape == (0, 4, 3, 2, 3)
    assert jax.vmap(jax.grad(loss), (0, None))(data, jnp.zeros((4, 5))).shape == data.shape


def test_strict_promotion(maps, rois):
    settings = ("jax_numpy_rank_promotion", "raise"), ("jax_numpy_dtype_promotion", "strict")
    before = [getattr(jax.config, name) for name, _ in settings]
    try:
        for name, value in settings:
            jax.config.update(name, value)
        data = maps.astype("bfloat16")
        tangent = jax.jvp(lambda x: pool(x, rois), (data,), (data,))[1]
        assert tangent.dtype == data.dtype
        gradient = jax.jit(jax.grad(lambda x, r: pool(x, r).sum()))
        gradient.trace(data, rois.astype("bfloat16")).lower(lowering_platforms=("cuda",))
    finally:
        for (name, _), value in zip(settings, before, strict=True):
            jax.config.update(name, value)


def test_a_padding_row_of_nan_is_no_error_to_a_debugger(maps, rois):
    stacked = rois[None]
    with jax.debug_nans(True):
        assert jnp.isfinite(jax.vmap(pool, (None, 0))(maps, stacked)).all()
