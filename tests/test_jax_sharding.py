"""Maps and regions spread over eight devices, without gathering the maps on any of them."""

import doctest
from functools import partial
from pathlib import Path

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import roipool
from cases import normal_maps, random_boxes
from jax_arrays import DEVICES

IMAGES, CHANNELS, REGIONS, SIDE = 16, 8, 6, 12


@pytest.fixture
def data():
    return normal_maps(np.random.default_rng(0), (IMAGES, CHANNELS, SIDE, SIDE))


@pytest.fixture
def rois():
    """As many regions for each image, in the order of the images, padding rows among them."""
    rows = random_boxes(np.random.default_rng(1), IMAGES * REGIONS, IMAGES, SIDE, SIDE)
    rows[:, 0] = np.repeat(np.arange(IMAGES), REGIONS)
    rows[5::REGIONS, 0] = -1
    return rows


def pool(data, rois):
    return roipool.roi_pool(data, rois, 3, 0.8)


def pool_own_images(data, rois):
    """On one device: its images, and the regions of these, indices counted from its first."""
    first = jax.lax.axis_index("devices") * data.shape[0]
    index = jnp.where(rois[:, 0] < 0, -1, rois[:, 0] - first)
    return pool(data, rois.at[:, 0].set(index))


SPREAD = {
    "images": (pool_own_images, P("devices"), P("devices"), P("devices")),
    "channels": (pool, P(None, "devices"), P(), P(None, "devices")),
    "regions": (pool, P(), P("devices"), P("devices")),
}


@pytest.mark.parametrize("by", SPREAD)
def test_each_device_pools_what_it_has(by, data, rois):
    function, maps, rows, result = SPREAD[by]
    mesh = jax.make_mesh((DEVICES,), ("devices",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.shard_map(function, mesh=mesh, in_specs=(maps, rows), out_specs=result)
    placed = jax.device_put((data, rois), (NamedSharding(mesh, maps), NamedSharding(mesh, rows)))

    forward = jax.jit(spread)
    np.testing.assert_array_equal(forward(*placed), pool(jnp.asarray(data), rois))
    gradient = jax.jit(jax.grad(lambda x, r: (spread(x, r) ** 2).sum()))
    expected = jax.grad(lambda x: (pool(x, rois) ** 2).sum())(jnp.asarray(data))
    compare = np.testing.assert_array_equal
    if by == "regions":  # each device sums over its own regions first
        compare = partial(np.testing.assert_allclose, rtol=1e-5)
    compare(gradient(*placed), expected)

    for program in (forward, gradient):
        text = program.lower(*placed).compile().as_text()
        assert "roipool_run" in text
        assert "all-gather" not in text
        assert ("all-reduce" in text) == (by == "regions" and program is gradient)


@pytest.mark.parametrize("spec", [P("devices"), P(None, "devices")], ids=["images", "channels"])
def test_arrays_of_an_explicit_mesh_are_whole_for_the_operator(spec, data, rois):
    mesh = jax.make_mesh((DEVICES,), ("devices",), axis_types=(jax.sharding.AxisType.Explicit,))
    placed = jax.device_put(data, NamedSharding(mesh, spec))
    with jax.set_mesh(mesh):
        some = rois[:7]  # which eight devices don't divide
        np.testing.assert_array_equal(pool(placed, some), pool(jnp.asarray(data), some))
        gradient = jax.jit(jax.grad(lambda x: (pool(x, some) ** 2).sum()))(placed)
    assert gradient.sharding.is_equivalent_to(placed.sharding, data.ndim)
    expected = jax.grad(lambda x: (pool(x, some) ** 2).sum())(jnp.asarray(data))
    np.testing.assert_array_equal(gradient, expected)


def test_the_page_on_jax():
    page = Path(__file__).parent.parent / "docs" / "jax.md"
    results = doctest.testfile(str(page), module_relative=False)
    assert results.attempted > 0
    assert results.failed == 0
