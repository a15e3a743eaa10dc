"""Compiled programs reach the core too: what they hand over is checked, and nothing is raised for
a number, whose region then is none.
"""

import importlib

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from roipool import _core
from roipool.kernels import KERNELS
from test_seam import Call, made

if not _core.xla_handlers():
    pytest.skip("built without XLA's headers", allow_module_level=True)

importlib.import_module("roipool.doors.jax")  # which registers the handler

NAMES = list(KERNELS)


def run(call, **changed):
    """The kernel on what the call has, by name; maps may be a list."""
    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in call.results.values()]
    given = {"kernel": call.kernel.name, "maps": np.int64(1)} | changed
    found = jax.ffi.ffi_call("roipool_run", shapes)(*call.inputs.values(), **given)
    return [np.asarray(array) for array in found]


@pytest.mark.parametrize("name", NAMES)
def test_right_calls_run(name):
    expected, call = Call(name), Call(name)
    expected.run()
    for one, other in zip(run(call), expected.results.values(), strict=True):
        np.testing.assert_array_equal(one, other)


def refused(call, match, **changed):
    with pytest.raises(jax.errors.JaxRuntimeError, match=f"roipool: .*({match})"):
        run(call, **changed)


@pytest.mark.parametrize("name", NAMES)
def test_arrays(name):
    for kind in ("inputs", "results"):
        for arg in getattr(KERNELS[name], kind):
            for change in (
                lambda a: a[0],
                lambda a: a[None],
                lambda a: a[None, None, None],
                lambda a: a.astype(np.int16),
                lambda a: a.astype(bool),
                lambda a: a.astype(np.uint32),
            ):
                call = Call(name)
                args = getattr(call, kind)
                args[arg.name] = change(args[arg.name])
                refused(call, "expected|no kernel")
    call = Call(name)
    call.inputs["more"] = np.zeros(3, np.float32)
    refused(call, "more arrays|came; expected")
    for arg in KERNELS[name].inputs:
        call = Call(name)
        del call.inputs[arg.name]
        refused(call, "expected|fewer arrays|no kernel")


@pytest.mark.parametrize("maps", [-(2**63), -1, 0, 2, 9, 2**40])
@pytest.mark.parametrize("name", NAMES)
def test_other_numbers_of_maps(name, maps):
    refused(Call(name), "expected|fewer arrays|more arrays", maps=np.int64(maps))


def test_other_kernels():
    refused(Call("max"), "no kernel", kernel="median")


@pytest.mark.parametrize("name", NAMES)
def test_what_lies_nowhere_is_padding(name):
    bad = {
        arg: 9999 if arg.along == "N" else [-1000, 9999]
        for arg in KERNELS[name].inputs
        if arg.along
    }
    for arg, number in bad.items():
        padded, call = Call(name), Call(name)
        padded.inputs["image"][2] = -1
        call.inputs[arg.name][2] = number
        padded.run()
        for one, other in zip(run(call), padded.results.values(), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", [name for name in NAMES if "argmax" in Call(name).inputs])
def test_positions_outside_are_none(name):
    call, none = Call(name), Call(name)
    call.inputs["argmax"][1] = 10_000
    none.inputs["argmax"][1] = -1
    none.run()
    for one, other in zip(run(call), none.results.values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_several_maps():
    call, both = Call("max"), Call("max")
    data = both.inputs["data"]
    both.inputs["data"] = [data[:1], data[1:]]
    both.run()
    call.inputs = {"first": data[:1], "second": data[1:]} | {
        name: array for name, array in call.inputs.items() if name != "data"
    }
    for one, other in zip(run(call, maps=np.int64(2)), both.results.values(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert made(KERNELS["max"].inputs[0]).shape == data.shape
