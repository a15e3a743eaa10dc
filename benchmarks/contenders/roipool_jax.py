"""roipool on JAX arrays on the CPU, in a compiled function."""

import jax
import numpy as np

import roipool
from benchmarks.contenders import Case, UnsupportedError
from roipool import _core

ABOUT = f"{roipool.__version__} ({_core.isa()}, jax {jax.__version__}, jitted)"
AGREES = "bits"


def forward(case: Case):
    data, rois = _arrays(case)
    run = jax.jit(lambda data, rois: (_pool(case, data, rois),))
    return lambda: jax.block_until_ready(run(data, rois))


def train(case: Case):
    data, rois = _arrays(case)
    grad = jax.device_put(case.grad)

    @jax.jit
    def run(data, rois, grad):
        values, backward = jax.vjp(lambda data: _pool(case, data, rois), data)
        return values, *backward(grad)

    return lambda: jax.block_until_ready(run(data, rois, grad))


def backward(case: Case):
    data, rois = _arrays(case)
    grad = jax.device_put(case.grad)
    _, run = jax.vjp(lambda data: _pool(case, data, rois), data)
    compiled = jax.jit(run)
    return lambda: jax.block_until_ready(compiled(grad))


def to_numpy(result):
    """bfloat16 as its bits, as they are stored."""
    arrays = [np.asarray(array) for array in result]
    return tuple(a.view(np.uint16) if a.dtype.kind == "V" else a for a in arrays)


def _pool(case: Case, data, rois):
    return roipool.roi_pool(data, rois, case.pooled_size, case.spatial_scale)


def _arrays(case: Case):
    if not case.data.flags.c_contiguous:
        raise UnsupportedError("no channels-last features: JAX copies them")
    return jax.device_put(case.data), jax.device_put(case.rois)
