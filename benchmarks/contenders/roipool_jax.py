"""roipool on JAX arrays on the CPU, in a compiled function."""

import jax
import numpy as np

import roipool
from benchmarks.contenders import Case, UnsupportedError
from roipool import _core

ABOUT = (
    f"{roipool.__version__} ({_core.isa()}, jax {jax.__version__}, jitted); donates each result to "
    "the next call"
)
AGREES = "bits"


def forward(case: Case):
    return _looped(lambda data, rois: (_pool(case, data, rois),), *_arrays(case))


def train(case: Case):
    def run(data, rois, grad):
        values, backward = jax.vjp(lambda data: _pool(case, data, rois), data)
        return values, *backward(grad)

    return _looped(run, *_arrays(case), jax.device_put(case.grad))


def backward(case: Case):
    data, rois = _arrays(case)
    _, run = jax.vjp(lambda data: _pool(case, data, rois), data)
    return _looped(run, jax.device_put(case.grad))


def to_numpy(result):
    """bfloat16 as its bits, as they are stored."""
    arrays = [np.array(array) for array in result]  # copies: what is looked at is not donated
    return tuple(a.view(np.uint16) if a.dtype.kind == "V" else a for a in arrays)


def _looped(run, *arrays):
    compiled = jax.jit(lambda old, *arrays: run(*arrays), donate_argnums=0, keep_unused=True)
    results = [jax.jit(run)(*arrays)]

    def call():
        results[0] = jax.block_until_ready(compiled(results[0], *arrays))
        return results[0]

    return call


def _pool(case: Case, data, rois):
    return roipool.roi_pool(data, rois, case.pooled_size, case.spatial_scale)


def _arrays(case: Case):
    if not case.data.flags.c_contiguous:
        raise UnsupportedError("no channels-last features: JAX copies them")
    return jax.device_put(case.data), jax.device_put(case.rois)
