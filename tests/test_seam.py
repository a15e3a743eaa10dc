"""The native entry trusts no caller: every argument of every kernel, wrong in every way."""

import numpy as np
import pytest

from roipool import _core, geometry
from roipool.kernels import KERNELS

SIZES = {"N": 2, "C": 3, "H": 6, "W": 5, "K": 4, "h": 2, "w": 3, "Y": 16, "X": 24, "S": 48, "2": 2}
DTYPES = {"data": "float32", "sum": "float32", "int32": "int32", "position": "int32"}
NAMES = list(KERNELS)


def test_the_core_has_the_same_descriptions():
    told = {
        name: tuple([*map(tuple, args)] for args in (kernel.inputs, kernel.results))
        for name, kernel in KERNELS.items()
    }
    assert _core.kernels() == told


def shape_of(arg):
    return tuple(SIZES[letter] for letter in arg.axes)


def made(arg):
    """An array for an argument; its whole numbers lie where they may."""
    shape, rng = shape_of(arg), np.random.default_rng(3)
    if arg.dtype in ("data", "sum"):
        return rng.standard_normal(shape).astype(DTYPES[arg.dtype])
    if arg.along == "N":
        return np.arange(SIZES["K"], dtype=np.int32) % SIZES["N"]
    if arg.along in ("H", "W"):
        return np.broadcast_to(np.array([1, 4], np.int32), shape).copy()
    if arg.along:  # of as many bins as there are, each two entries
        begin = 2 * np.arange(np.prod(shape) // 2, dtype=np.int32)
        return np.stack([begin, begin + 2], -1).reshape(shape)
    return np.zeros(shape, np.int32)  # pixels and positions


class Call:
    """A kernel's arguments by name, inputs and results."""

    def __init__(self, name):
        self.kernel = KERNELS[name]
        self.inputs = {arg.name: made(arg) for arg in self.kernel.inputs}
        self.results = {arg.name: np.full_like(made(arg), 7) for arg in self.kernel.results}

    def run(self, threads=2, dtype="float32"):
        arrays = list(self.inputs.values()), list(self.results.values())
        return _core.run(self.kernel.name, dtype, *arrays, threads)

    def refused(self, match):
        """That it is, before anything is written."""
        given = [(a, a.copy()) for a in self.results.values() if isinstance(a, np.ndarray)]
        with pytest.raises(ValueError, match=match) as error:
            self.run()
        assert str(error.value).startswith((self.kernel.name + ": ", "input ", "result "))
        for array, before in given:
            np.testing.assert_array_equal(array, before)


def arguments():
    """Each argument of each kernel, and among which it is found."""
    for name, kernel in KERNELS.items():
        for kind in ("inputs", "results"):
            for arg in getattr(kernel, kind):
                yield pytest.param(name, kind, arg, id=f"{name} {kind[:-1]} {arg.name}")


EACH = pytest.mark.parametrize(("name", "kind", "arg"), list(arguments()))


@pytest.mark.parametrize("name", NAMES)
def test_right_calls_run(name):
    call = Call(name)
    assert call.run()
    assert all((array != 7).any() for array in call.results.values())


@EACH
def test_shapes(name, kind, arg):
    for axis, letter in enumerate(arg.axes):
        fewer = Call(name)
        args = getattr(fewer, kind)
        args[arg.name] = np.ascontiguousarray(np.delete(args[arg.name], 0, axis))
        if arg.axes == "NCHW" and letter in "NHW":
            continue  # there may be any number of these
        others = [a for a in (*fewer.kernel.inputs, *fewer.kernel.results) if a is not arg]
        if letter == "2" or any(letter in a.axes for a in others):
            fewer.refused(rf"\b{arg.name}\b.* is \(|, where {letter} is")
    for broken in (lambda a: a.ravel(), lambda a: a[..., None]):
        if broken(made(arg)).shape == shape_of(arg):
            continue
        call = Call(name)
        args = getattr(call, kind)
        args[arg.name] = broken(args[arg.name])
        call.refused(f"{arg.name} is .*; expected|at most 4 axes")


@EACH
def test_dtypes(name, kind, arg):
    for dtype in ("int8", "int16", "int64", "float16", "float64", "bool", "complex64", ">f4"):
        if arg.dtype == "position" and dtype == "int64":
            continue
        call = Call(name)
        args = getattr(call, kind)
        args[arg.name] = args[arg.name].astype(dtype)
        call.refused(f"{arg.name} is .*; expected")


@EACH
def test_layouts(name, kind, arg):
    def refused(change, match):
        call = Call(name)
        args = getattr(call, kind)
        args[arg.name] = change(args[arg.name])
        call.refused(match)

    if arg.axes != "NCHW":
        wide = np.zeros((*shape_of(arg)[:-1], 2 * shape_of(arg)[-1]), DTYPES[arg.dtype])
        refused(lambda a: wide[..., ::2], f"{arg.name} is not contiguous; expected")
        refused(lambda a: np.broadcast_to(a.ravel()[:1], a.shape), "not contiguous|may be written")
    if kind == "results":
        read_only = Call(name).results[arg.name]
        read_only.flags.writeable = False
        refused(lambda a: read_only, "result .: expected memory that may be written")
        if arg.axes == "NCHW":
            for axis in range(4):
                flat = np.zeros(shape_of(arg), np.float32)
                strides = [0 if i == axis else s for i, s in enumerate(flat.strides)]
                lying = np.lib.stride_tricks.as_strided(flat, flat.shape, strides)
                refused(lambda a, lying=lying: lying, "elements overlap|has gaps")
    moved = np.zeros(made(arg).nbytes + 8, np.uint8)[1 : made(arg).nbytes + 1]
    lying = moved.view(DTYPES[arg.dtype]).reshape(shape_of(arg))
    refused(lambda a: lying, f"{arg.name} is not aligned")


@EACH
def test_memory_of_another(name, kind, arg):
    """A result that overlaps anything else of the call, in whole or by one element."""
    if kind == "results":
        return
    call = Call(name)
    room = np.zeros(10_000, np.uint8)
    given = made(arg)
    lying = room[: given.nbytes].view(given.dtype).reshape(given.shape)
    lying[...] = given
    call.inputs[arg.name] = lying
    result = call.kernel.results[0]
    at = given.nbytes - 4
    bytes_of = made(result).nbytes
    written = room[at : at + bytes_of].view(DTYPES[result.dtype]).reshape(shape_of(result))
    call.results[result.name] = written
    call.refused("a result overlaps another array")
    call.results[result.name] = room[at + 4 :][:bytes_of].view(written.dtype).reshape(written.shape)
    assert call.run()


@pytest.mark.parametrize("name", [name for name in NAMES if len(KERNELS[name].results) > 1])
def test_results_that_are_one_memory(name):
    call = Call(name)
    first, second = call.kernel.results
    bits = call.results[first.name].reshape(-1).view(DTYPES[second.dtype])
    if bits.size == call.results[second.name].size:
        call.results[second.name] = bits.reshape(shape_of(second))
        call.refused("a result overlaps another array")


def indices():
    for name, kernel in KERNELS.items():
        for arg in kernel.inputs:
            if arg.along:
                yield pytest.param(name, arg, id=f"{name} {arg.name}")


@pytest.mark.parametrize(("name", "arg"), list(indices()))
def test_what_counts_along_an_axis(name, arg):
    most = SIZES[arg.along]
    bad = (
        [most, most + 1, 2**31 - 1]
        if arg.along == "N"
        else [[0, most + 1], [-1, 1], [-(2**31), 2**31 - 1], [5, -7], [4, 3], [2**31 - 1, -(2**31)]]
    )
    for number in bad:
        call = Call(name)
        call.inputs[arg.name][2] = number
        call.refused(rf"{arg.name}\[2\]")
        call.inputs["image"][2] = -1  # no region: nobody looks
        assert call.run()
    call = Call(name)
    call.inputs[arg.name][2] = -5 if arg.along == "N" else [2, 2]  # no region, empty bins
    assert call.run() or "samples" in name  # of which none is the given one


@pytest.mark.parametrize("name", NAMES)
def test_counts(name):
    for kind in ("inputs", "results"):
        call = Call(name)
        args = getattr(call, kind)
        args["more"] = np.zeros(1, np.float32)
        call.refused("came; expected")
        args.clear()
        call.refused("came; expected")
    for arg in KERNELS[name].inputs:
        for none in (None, [], [made(arg)] * 2):
            if arg.axes == "NCHW" and none:
                continue
            call = Call(name)
            call.inputs[arg.name] = none
            call.refused(f"{arg.name} is . arrays; expected")
    call = Call(name)
    call.results[call.kernel.results[0].name] = None
    call.refused("is 0 arrays; expected")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32"])
@pytest.mark.parametrize("name", NAMES)
def test_whole_numbers(name, dtype):
    call, kernel = Call(name), KERNELS[name]
    for args, kind in ((kernel.inputs, call.inputs), (kernel.results, call.results)):
        kind.update({a.name: kind[a.name].astype(dtype) for a in args if a.dtype == "data"})
    if name in ("max", "max_read"):
        assert call.run(dtype=dtype)
    else:
        with pytest.raises(ValueError, match=f"floating features, not {dtype}"):
            call.run(dtype=dtype)


def test_other_arguments():
    call = Call("max")
    arrays = list(call.inputs.values()), list(call.results.values())
    for name, dtype in (("median", "float32"), ("max", "complex64"), ("max", "int64")):
        with pytest.raises(ValueError, match="no kernel"):
            _core.run(name, dtype, *arrays)
    with pytest.raises(ValueError, match="list or tuple"):
        _core.run("max", "float32", np.zeros(3), arrays[1])
    with pytest.raises(ValueError, match="input 0: expected arrays that have a buffer"):
        _core.run("max", "float32", ["x", *arrays[0][1:]], arrays[1])
    for threads in (-(2**31), -1, 0, 2**31 - 1):
        assert Call("max").run(threads)


@pytest.mark.parametrize("count", [-3, 0, 1025, 2**31 - 1])
def test_threads(count):
    with pytest.raises(ValueError, match="expected 1 to 1024"):
        _core.set_default_threads(count)


ROWS = np.zeros((4, 5), np.float32)
MAPS = geometry.maps_of([(2, 3, 6, 5)], ((1.0, 1.0),))


def filled():
    return [np.zeros(shape, np.int32) for shape in ((4,), (4, 2, 2), (4, 3, 2))]


def test_geometry_is_held_to_its_arrays():
    def bins(rois=ROWS, maps=MAPS, parts=None):
        return _core.bins(rois, maps, False, filled() if parts is None else parts)

    def listed(text="align_taps", rois=ROWS, maps=MAPS, size=(2, 3), options=(2, True), parts=None):
        parts = filled() if parts is None else parts
        return _core.listed(text, rois, maps, size, options, False, False, True, False, parts)

    assert bins()
    assert listed()[0]
    for call in (bins, listed):
        for rows in (ROWS[:, :4], ROWS[0], ROWS.astype(int), ROWS.astype(np.float16)):
            with pytest.raises(ValueError, match=r"rois are .*; expected float32 or float64"):
                call(rois=rows)
        for maps in ((), MAPS[:3], MAPS._replace(heights=()), MAPS._replace(widths=(-1,)), 3):
            with pytest.raises(ValueError, match="expected"):
                call(maps=maps)
        for i in range(3):
            for change in (
                lambda a: a[:-1],
                lambda a: a.astype(np.int64),
                lambda a: np.repeat(a, 2, -1)[..., ::2],
                lambda a: a[..., None],
                lambda a: None,
            ):
                parts = filled()
                parts[i] = change(parts[i])
                with pytest.raises(ValueError, match=r"expected|is filled"):
                    call(parts=parts)
        with pytest.raises(ValueError, match="list or tuple of 3"):
            call(parts=filled()[:2])
    for wrong in ({"size": (0, 3)}, {"size": (-2, -3)}, {"options": (2,)}, {"options": ()}):
        with pytest.raises(ValueError, match="expected"):
            listed(**wrong)
    parts = [np.zeros(4, np.int32), np.zeros((4, 2, 3, 2), np.int32)]
    with pytest.raises(ValueError, match=r"expected float32 or float64 \(K, 6\)"):
        listed("rotated_points", options=(2, True, False), parts=parts)
