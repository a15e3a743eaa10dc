"""roipool on JAX arrays on the CPU, in a compiled function."""

import jax
import numpy as np

import roipool
from benchmarks.contenders import Case, UnsupportedError
from benchmarks.contenders.roipool import of, pooling, several
from roipool import _core

ABOUT = (
    f"{roipool.__version__} ({_core.isa()}, jax {jax.__version__}, jitted); donates each result to "
    "the next call"
)
AGREES = "bits"


def forward(case: Case):
    pool = pooling(case)
    return _looped(lambda data, rois: (pool(data, rois),), *_arrays(case))


def train(case: Case):
    pool = pooling(case)

    def run(data, rois, grad):
        values, backward = jax.vjp(lambda data: pool(data, rois), data)
        return values, *backward(grad)

    return _looped(run, *_arrays(case), jax.device_put(case.grad))


def backward(case: Case):
    pool, (data, rois) = pooling(case), _arrays(case)
    _, run = jax.vjp(lambda data: pool(data, rois), data)
    return _looped(run, jax.device_put(case.grad))


def backward_rois(case: Case):
    of(case, "_backward_rois")  # or values do not move with them
    pool, (data, rois) = pooling(case), _arrays(case)
    _, run = jax.vjp(lambda rois: pool(data, rois), rois)
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


def _arrays(case: Case):
    if not case.maps[0].flags.c_contiguous:
        raise UnsupportedError("no channels-last features: JAX copies them")
    return several(case, [jax.device_put(data) for data in case.maps]), jax.device_put(case.rois)
