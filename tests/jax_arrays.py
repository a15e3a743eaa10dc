"""What the tests of JAX share. Imported after `pytest.importorskip("jax")`."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np

from cases import normal_maps, odd_boxes, random_boxes
from roipool import geometry
from roipool.doors.jax import lax_max, primitives
from roipool.kernels import KERNELS

DEVICES = 8
jax.config.update("jax_num_cpu_devices", DEVICES)  # before the first array


def wide(dtype):
    """Whether a dtype needs 64 bits switched on, as a context that does."""
    return jax.enable_x64(True) if np.dtype(dtype).itemsize == 8 else contextlib.nullcontext()


def in_lax(data, rois, pooled_size, scale=1.0, chunk=2**22):
    """Values and positions as on a platform that has no native core."""
    maps = geometry.maps_of([data.shape], [(scale, scale)])
    bins = geometry.max_bins(jnp, rois, maps, pooled_size, data.dtype)
    return lax_max.pool([data], *bins, argmax=True, chunk=chunk)


def gather(data, argmax, image):
    """The value at each argmax."""
    known = {"data": [data], "argmax": argmax, "image": image}
    return primitives.bind(KERNELS["max_read"], known)[0]


def scatter(grad, argmax, image, *, data_shape):
    """Each gradient added at its argmax."""
    known = {"pooled": grad, "argmax": argmax, "image": image}
    return primitives.bind(KERNELS["max_add"], known, (tuple(data_shape),))[0][0]


def some_maps(shape=(2, 5, 13, 11), dtype=np.float32, seed=0):
    return jnp.asarray(normal_maps(np.random.default_rng(seed), shape, dtype))


def some_boxes(images=2, height=13, width=11, count=12, scale=1.0, seed=0):
    """Random regions, and one of each odd kind."""
    rng = np.random.default_rng(seed)
    rois = random_boxes(rng, count, images, height, width, scale)
    return jnp.asarray(np.concatenate([rois, odd_boxes(height, width)]))
