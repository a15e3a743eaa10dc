"""One module per array library, chosen by the type of the arrays; none imported before use."""

from types import ModuleType
from typing import Any

from roipool import checks
from roipool.importing import when_needed

__getattr__ = when_needed(__name__, "numpy", "torch", "dask", "jax", "mxnet", "spox", "dlpack")


def _numpy() -> ModuleType:
    from roipool.doors import numpy

    return numpy


def _torch() -> ModuleType:
    from roipool.doors import torch

    return torch


def _dask() -> ModuleType:
    from roipool.doors import dask

    return dask


def _jax() -> ModuleType:
    from roipool.doors import jax

    return jax


def _mxnet() -> ModuleType:
    from roipool.doors import mxnet

    return mxnet


def _spox() -> ModuleType:
    from roipool.doors import spox

    return spox


def _dlpack() -> ModuleType:
    from roipool.doors import dlpack

    return dlpack


# The package that an array's type comes from, and what imports its door: by a statement each,
# which torch.compile can follow, unlike importlib.
_DOORS = {
    "numpy": _numpy,
    "builtins": _numpy,
    "torch": _torch,
    "jax": _jax,  # tracers
    "jaxlib": _jax,  # arrays
    "dask": _dask,
    "mxnet": _mxnet,
    "spox": _spox,
}


def door_of(data: Any) -> ModuleType:
    """The module that pools this kind of array, or a sequence of them."""
    kind = type(data[0] if checks.is_several(data) else data)
    door = _DOORS.get(_package(kind))
    if door is None or kind is object:  # perhaps a subclass: np.memmap, a user's own
        bases = (_package(base) for base in kind.__mro__[:-1])
        door = next((_DOORS[package] for package in bases if package in _DOORS), None)
    if door is None and hasattr(kind, "__dlpack__"):
        door = _dlpack
    if door is None:
        raise TypeError(
            f"no door for {_package(kind)}.{kind.__name__}; roipool takes NumPy arrays, PyTorch "
            "tensors, arrays of JAX, Dask and MXNet, others with DLPack (__dlpack__) and nested "
            "lists: convert with numpy.asarray"
        )
    return door()


def door_with(name: str, data: Any) -> ModuleType:
    """The module for these arrays, if it has what not every library's has."""
    door = door_of(data)
    if not hasattr(door, name):
        raise TypeError(
            f"no {door.__name__.rpartition('.')[2]} is taken here; give arrays of NumPy, PyTorch, "
            "JAX, MXNet or another library with DLPack, or call an operator itself with the "
            "regions of each array"
        )
    return door


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]
