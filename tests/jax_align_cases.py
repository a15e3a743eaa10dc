"""What the tests of roi_align from JAX share. Imported after `pytest.importorskip("jax")`."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import roipool
from cases import normal_maps

SHAPES = (2, 3, 11, 9), (1, 3, 5, 7), (2, 3, 8, 4)
# Inside, over two borders, of below a pixel, as padding, over another; no sample near a pixel.
BOXES = [
    [0, 0.53, 0.71, 3.37, 4.13],
    [1, -2.23, 1.31, 3.1, 7.77],
    [0, 1.13, 1.27, 1.45, 1.61],
    [-1, 0, 0, 3, 3],
    [1, 2.31, -3.3, 8.13, 2.9],
]


def align(data, rois, size=(2, 3), scale=0.9, **how):
    return roipool.roi_align(data, rois, size, scale, **({"sampling_ratio": 2} | how))


def squares(data, rois):
    return (align(data, rois) ** 2).sum()


def some_arrays(dtype=np.float32, shape=(2, 2, 6, 5)):
    data = jnp.asarray(normal_maps(np.random.default_rng(0), shape, dtype))
    return data, jnp.asarray(BOXES, np.float64 if dtype == np.float64 else np.float32)


def several_maps(shapes=SHAPES):
    return [jnp.asarray(normal_maps(np.random.default_rng(i), s)) for i, s in enumerate(shapes)]


def rois_of_maps():
    rois = jnp.asarray(BOXES * 2, np.float32)
    return rois.at[:, 0].set(jnp.asarray([4, 2, 0, -1, 1, 3, 2, 1, -1, 0]))


def assert_close(found, expected, **tolerance):
    compare = partial(np.testing.assert_allclose, **({"rtol": 1e-4, "atol": 1e-5} | tolerance))
    jax.tree.map(compare, found, expected)
