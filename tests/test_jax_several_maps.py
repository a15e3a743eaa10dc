"""JAX: several arrays of maps, vmap over all that a kernel takes, and kernels in jax.lax alone."""

from functools import partial

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp

import roipool
from cases import assert_same_bits, normal_maps
from jax_align_cases import (
    SHAPES,
    align,
    assert_close,
    rois_of_maps,
    several_maps,
    some_arrays,
    squares,
)
from roipool import descriptions, geometry, native, reference
from roipool.doors.jax import primitives
from roipool.kernels import KERNELS
from roipool.operators.roi_align import ROI_ALIGN


def test_several_maps():
    maps, rois = several_maps(), rois_of_maps()
    expected = align([np.asarray(array) for array in maps], np.asarray(rois))
    assert_same_bits(np.asarray(align(maps, rois)), expected)
    assert_same_bits(np.asarray(jax.jit(align)(tuple(maps), rois)), expected)
    of_maps, of_rois = jax.grad(squares, (0, 1))(maps, rois)
    grad = 2 * align(maps, rois)
    shapes = [array.shape for array in maps]
    assert_close(of_maps, roipool.roi_align_backward(grad, rois, shapes, 0.9, sampling_ratio=2))
    assert_close(of_rois, roipool.roi_align_backward_rois(grad, maps, rois, 0.9, sampling_ratio=2))
    one = jax.grad(lambda x: squares([maps[0], x, maps[2]], rois))(maps[1])
    assert_close(one, of_maps[1])
    planes = [array[0] for array in maps]
    index = jnp.asarray([0, 1, 2, -1, 0, 1, 2, 0, 1, 2])
    assert_same_bits(
        np.asarray(align(planes, rois.at[:, 0].set(index))),
        align([np.asarray(plane) for plane in planes], np.asarray(rois.at[:, 0].set(index))),
    )


def test_several_maps_must_be_alike():
    maps = several_maps()
    with pytest.raises(ValueError, match=r"data\[1\] has dtype float16 and 3 channels, but data"):
        align([maps[0], maps[1].astype("float16")], rois_of_maps())


# jax.vmap against a loop.


def looped(function, dims, *arrays):
    def one(i):
        pick = lambda x, d: x if d is None else x[i]  # noqa: E731
        return function(
            *(
                [pick(x, e) for x, e in zip(a, d, strict=True)]
                if isinstance(a, list)
                else pick(a, d)
                for a, d in zip(arrays, dims, strict=True)
            )
        )

    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(one, range(3)))


@pytest.mark.parametrize("dims", [([0] * 3, None), ([None] * 3, 0), ([0, None, 0], 0)], ids=str)
def test_vmap_of_several_maps_is_one_call(dims):
    maps, rois = several_maps(), rois_of_maps()
    data = [
        jnp.stack([x, 2 * x, x - 1]) if d == 0 else x for x, d in zip(maps, dims[0], strict=True)
    ]
    if dims[1] == 0:
        shift = jnp.asarray([0, 1, 1, 1, 1]) * 0.37
        rois = jnp.stack([rois, jnp.roll(rois, 1, 0), rois + shift])
    mapped = jax.vmap(align, dims)
    assert str(jax.make_jaxpr(mapped)(data, rois)).count("roipool_taps_read[") == 1
    np.testing.assert_array_equal(mapped(data, rois), looped(align, dims, data, rois))
    gradient = jax.grad(squares, (0, 1))
    assert_close(jax.vmap(gradient, dims)(data, rois), looped(gradient, dims, data, rois))


@pytest.mark.parametrize("name", ["taps_read", "taps_add", "taps_weigh_y"])
def test_vmap_of_every_operand(name):
    """Each by itself, and all: lists of taps are then joined, and the bins' ranges with them."""
    known, shapes = taps(
        shapes=[(2, 3, 6, 5), (1, 3, 6, 5), (2, 3, 6, 5)]
    )  # pixels of any is in all
    kernel = KERNELS[name]
    known |= {weight: known[weight] + 1 for weight in ("y_weight", "x_weight")}

    def call(*operands):
        named = primitives.by_name(kernel, operands, shapes)
        return jax.tree.leaves(primitives.bind(kernel, named, shapes))

    operands = primitives.flat(kernel, known)
    examples = [jnp.stack([x, x[::-1], x]) for x in operands]
    for at in range(len(operands) + 1):
        dims = [0 if at in (i, len(operands)) else None for i in range(len(operands))]
        some = [e if d == 0 else o for o, e, d in zip(operands, examples, dims, strict=True)]
        assert_close(jax.vmap(call, dims)(*some), looped(call, dims, *some))


def test_vmap_of_the_hessian_of_regions():
    data, rois = some_arrays()
    hessian = jax.hessian(squares, 1)
    stacked = jnp.stack([rois, rois + jnp.asarray([0, 1, 1, 1, 1]) * 0.21, rois])
    found = jax.vmap(hessian, (None, 0))(data, stacked)
    assert_close(found, looped(hessian, (None, 0), data, stacked), atol=1e-4)


# In jax.lax alone.


def taps(sampling_ratio=2, dtype=np.float32, shapes=SHAPES):
    """All that the kernels of taps take, of several maps."""
    maps, rois = several_maps(shapes), np.asarray(rois_of_maps())
    shapes = tuple(shapes)
    call = ROI_ALIGN.call((2, 3), 0.9, len(maps), sampling_ratio=sampling_ratio, aligned=True)
    sizes = geometry.maps_of(shapes, call.scales)
    found = native.structure(ROI_ALIGN, rois, sizes, "float32", call)[0]._asdict()
    known = {name: jnp.asarray(value) for name, value in found.items()}
    pooled = normal_maps(np.random.default_rng(5), (len(rois), 3, 2, 3))
    known |= {"data": [x.astype(dtype) for x in maps], "pooled": jnp.asarray(pooled, dtype)}
    return known, shapes


@pytest.mark.parametrize("chunk", [2**22, 50])
@pytest.mark.parametrize("name", ["taps_read", "taps_add", "taps_weigh_y", "taps_weigh_x"])
def test_lax_is_as_native(name, chunk):
    kernel = KERNELS[name]
    for dtype, tolerance in ((np.float32, 1e-5), ("bfloat16", 1e-2)):
        known, shapes = taps(0, dtype)
        expected = jax.tree.leaves(primitives.bind(kernel, known, shapes))
        in_lax = partial(primitives._in_lax, kernel, maps=shapes, results=1, chunk=chunk)
        found = jax.jit(in_lax)(*primitives.flat(kernel, known))
        wide = [jax.tree.map(lambda x: x.astype("float32"), each) for each in (found, expected)]
        assert [x.dtype for x in found] == [x.dtype for x in expected]
        assert_close(*wide, rtol=tolerance, atol=tolerance)


def test_lax_reads_nothing_of_weight_0():
    known, shapes = taps()
    known["data"] = [jnp.full_like(x, jnp.nan) for x in known["data"]]
    known["y_weight"] = jnp.zeros_like(known["y_weight"])
    for name in ("taps_read", "taps_add", "taps_weigh_x"):
        kernel = KERNELS[name]
        in_lax = partial(primitives._in_lax, kernel, maps=shapes, results=1)
        known["pooled"] = known["pooled"].at[:].set(jnp.nan)
        found = jax.jit(in_lax)(*primitives.flat(kernel, known))
        assert not any(x.any() for x in found)


def test_elsewhere_all_is_lax():
    both = jax.jit(jax.value_and_grad(squares, (0, 1))).trace(several_maps(), rois_of_maps())
    for platform in ("cuda", "tpu"):
        assert "custom_call" not in both.lower(lowering_platforms=(platform,)).as_text()


def test_max_of_several_maps_in_lax():
    maps, rois = several_maps(), rois_of_maps()
    call = descriptions.OPERATORS["roi_pool"].call(2, 0.9, 3)
    sizes = geometry.maps_of([x.shape for x in maps], call.scales)
    bins = geometry.max_bins(jnp, rois, sizes, (2, 2), jnp.float32)
    first = np.cumsum([0, *(x.shape[0] for x in maps)])
    known = {"data": maps, **bins._asdict()}
    shapes = tuple(x.shape for x in maps)

    def in_lax(name, results=1):
        kernel = KERNELS[name]
        operands = primitives.flat(kernel, known)
        return primitives._in_lax(kernel, *operands, maps=shapes, results=results)

    known["pooled"], known["argmax"] = in_lax("max", 2)
    assert_same_bits(np.asarray(in_lax("max_read")[0]), np.asarray(known["pooled"]))
    added = in_lax("max_add")
    for i, array in enumerate(maps):
        here = np.asarray((rois[:, 0] >= first[i]) & (rois[:, 0] < first[i + 1]))
        rows = np.asarray(rois)[here] - [first[i], 0, 0, 0, 0]
        values, argmax = reference.roi_pool(np.asarray(array), rows, (2, 2), 0.9)
        assert_same_bits(np.asarray(known["pooled"])[here], values)
        assert_same_bits(np.asarray(known["argmax"])[here], argmax)
        assert_close(added[i], reference.roi_pool_backward(values, argmax, rows, array.shape))
