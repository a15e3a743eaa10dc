"""Every door as the tests over all of them see it: arrays of its library, made, used and read.

Doors whose library the running Python has not are left out: MXNet's runs in an environment of its
own (see test_mxnet.py).
"""

import contextlib
import warnings
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from cases import NAMES
from door import Door


class Torch(Door):
    name = library = "torch"
    records = True

    def made(self, values):
        return self.laid(np.ascontiguousarray(values))

    def laid(self, values):
        torch = import_module("torch")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is not writeable
            if values.dtype.name == "bfloat16":  # which it does not know as NumPy's
                return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
            return torch.from_numpy(values)

    def read(self, tensor):
        torch = import_module("torch")
        tensor = tensor.detach().contiguous()
        if tensor.dtype == torch.bfloat16:
            import ml_dtypes

            return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return tensor.numpy()

    def gradients(self, function, data, rois, grad):
        """Those of function(data, rois), weighted by grad, for both."""
        torch = import_module("torch")
        leaves = [*data, rois] if isinstance(data, list) else [data, rois]
        leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        values = function(leaves[:-1] if isinstance(data, list) else leaves[0], leaves[-1])
        found = torch.autograd.grad(values, leaves, grad, allow_unused=True)
        *of_data, of_rois = (
            torch.zeros_like(leaf) if each is None else each
            for leaf, each in zip(leaves, found, strict=True)
        )
        return of_data if isinstance(data, list) else of_data[0], of_rois


class Jax(Door):
    """Its wide types need 64 bits switched on."""

    name = library = "jax"
    writes = False
    records = compiles = True
    kinds = ()

    def made(self, values):
        with wide(values):
            return import_module("jax").numpy.asarray(values)

    def call(self, function, *arguments, **options):
        with wide(arguments):
            return function(*arguments, **options)

    def read(self, array):
        assert isinstance(array, import_module("jax").Array)
        return np.asarray(array)

    def gradients(self, function, data, rois, grad):
        def pull(data, rois, grad):
            return import_module("jax").vjp(function, data, rois)[1](grad)

        return self.call(pull, data, rois, grad)


class Jitted(Jax):
    """The same compiled, where no value can be looked at."""

    name = "jax.jit"
    looks = False

    def call(self, function, *arguments, **options):
        jax = import_module("jax")
        traced = tuple(i for i, each in enumerate(arguments) if _holds(each, jax.Array))
        known = [None if i in traced else each for i, each in enumerate(arguments)]
        try:
            key = function, traced, tuple(known), tuple(options.items())
            compiled = COMPILED.setdefault(key, jax.jit(_filled(function, traced, known, options)))
        except TypeError:  # a list is among them
            compiled = jax.jit(_filled(function, traced, known, options))
        with wide(arguments):
            return compiled(*(arguments[i] for i in traced))


COMPILED = {}


def _filled(function, traced, known, options):
    """The function of those arguments alone that are traced."""

    def run(*arrays):
        given = list(known)
        for i, array in zip(traced, arrays, strict=True):
            given[i] = array
        return function(*given, **options)

    return run


class Dask(Door):
    """Chunks of odd sizes; rows are NumPy's."""

    name = library = "dask"
    lists = several = writes = False
    kinds = ()

    def made(self, values):
        chunks = tuple(max(1, side // 2 + 1) for side in values.shape)
        return import_module("dask.array").from_array(values, chunks=chunks)

    def rois(self, rows):
        return rows

    def read(self, array):
        assert isinstance(array, import_module("dask.array").Array)
        computed = array.compute(scheduler="sync")
        assert (computed.shape, computed.dtype) == (array.shape, array.dtype)
        return computed


class LazyRows(Dask):
    """Rows are lazy too: told when the result is computed."""

    name = "dask rows"

    def rois(self, rows):
        return self.array(rows)


class Strict(Door):
    """Any library with DLPack; this one has no half types."""

    name = library = "array_api_strict"
    dtypes = tuple(name for name in NAMES if name not in ("float16", "bfloat16"))

    def made(self, values):
        return import_module(self.library).asarray(np.ascontiguousarray(values))

    def laid(self, values):
        return import_module(self.library).from_dlpack(values)

    def read(self, array):
        assert type(array).__module__.startswith(self.library)
        return np.from_dlpack(array)


class Mxnet(Door):
    name = library = "mxnet"
    dtypes = ("float16", "float32", "float64", "int8", "uint8", "int32")
    several = False
    records = True
    kinds = ()

    def made(self, values):
        return import_module("mxnet").nd.array(values, dtype=values.dtype)

    def read(self, array):
        assert type(array).__module__.startswith("mxnet.")
        return array.asnumpy()

    def gradients(self, function, data, rois, grad):
        mx = import_module("mxnet")
        for leaf in (data, rois):
            leaf.attach_grad()
        with mx.autograd.record():
            values = function(data, rois)
        values.backward(grad)
        return data.grad, rois.grad


def wide(arguments):
    """What lets JAX keep 64 bits, where any of the arrays has them."""
    if _holds(arguments, wide=True):
        return import_module("jax").enable_x64(True)
    return contextlib.nullcontext()


def _holds(value, kind=object, wide=False):
    """Whether it is, or a list of it holds, an array of this kind (of 64 bits)."""
    if isinstance(value, (list, tuple)):
        return any(_holds(each, kind, wide) for each in value)
    if not hasattr(value, "dtype") or not isinstance(value, kind):
        return False
    return not wide or np.dtype(value.dtype) in (np.float64, np.int64)


def installed():
    """The doors whose libraries are here."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # at import
        for door in (Door, Torch, Jax, Jitted, Dask, LazyRows, Strict, Mxnet):
            if find_spec(door.library):
                import_module(door.library)
                found.append(door())
    return found


DOORS = installed()
