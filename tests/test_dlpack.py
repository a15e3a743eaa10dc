"""Arrays of any library with DLPack give what NumPy's give, bit for bit, in their own kind.

`make test-doors` has every library named here; `make test` those that are installed.
"""

import gc
import warnings
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest

import roipool
from cases import assert_same_bits, layouts, normal_maps, odd_boxes, odd_maps, random_boxes
from roipool import memory, reference
from roipool.doors import dlpack
from test_errors import ROWS, row

MAKERS = {
    "array_api_strict": lambda library, values: library.asarray(values),
    "mlx.core": lambda library, values: library.array(values, getattr(library, values.dtype.name)),
    "paddle": lambda library, values: library.to_tensor(values),
    "pyarrow": lambda library, values: library.Tensor.from_numpy(values),
}
FLOATS = ["float16", "float32", "float64"]
INTEGERS = ["int8", "uint8", "int16", "int32"]


INSTALLED = [name for name in MAKERS if find_spec(name.partition(".")[0])]


@pytest.fixture(params=INSTALLED)
def make(request):
    """What makes an array of a library."""
    return maker(request.param)


def maker(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = import_module(name)
    return lambda values: MAKERS[name](library, np.ascontiguousarray(values))


def numbers(array, make):
    """Of an array that must be one of the library's."""
    assert type(array) is type(make(np.zeros(1)))
    return np.from_dlpack(array)


def skip_unknown(dtype, make):
    kind = type(make(np.zeros(1))).__module__.partition(".")[0]
    if (kind, dtype) in {("array_api_strict", "float16"), ("mlx", "float64")}:
        pytest.skip(f"{kind} takes no {dtype} back")


def some_boxes(images=2, height=11, width=9):
    rng = np.random.default_rng(0)
    return np.concatenate([odd_boxes(height, width), random_boxes(rng, 8, images, height, width)])


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
@pytest.mark.parametrize("channels", [1, 17])
def test_as_the_definition(make, dtype, channels):
    skip_unknown(dtype, make)
    data, rois = odd_maps(np.random.default_rng(1), (2, channels, 11, 9), dtype), some_boxes()
    expected, expected_argmax = reference.roi_pool(data, rois, (3, 4), 0.7)
    values, argmax = roipool.roi_pool(make(data), make(rois), (3, 4), 0.7, return_argmax=True)
    assert_same_bits(numbers(values, make), expected)
    assert_same_bits(numbers(argmax, make), expected_argmax)
    values = roipool.roi_pool(make(data), make(rois), (3, 4), 0.7)
    assert_same_bits(numbers(values, make), expected)


@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients_as_the_definition(make, dtype):
    skip_unknown(dtype, make)
    data, rois = normal_maps(np.random.default_rng(1), (2, 5, 11, 9), dtype), some_boxes()
    values, argmax = reference.roi_pool(data, rois, (3, 4), 1.0)
    grad = normal_maps(np.random.default_rng(2), values.shape, dtype)
    expected = reference.roi_pool_backward(grad, argmax, rois, data.shape)
    for given in (make(argmax), make(argmax.astype(np.int64)), argmax):
        actual = roipool.roi_pool_backward(make(grad), given, make(rois), data.shape)
        assert_same_bits(numbers(actual, make), expected)


def test_every_layout_that_the_library_views(make):
    maps = normal_maps(np.random.default_rng(1), (2, 6, 7, 9))
    from_dlpack = dlpack._importer(make(maps))
    for name in ("contiguous", "channels last", "width first", "strided", "one channel for all"):
        layout = layouts(maps)[name]
        expected = reference.roi_pool(layout, some_boxes(2, 7, 9), (2, 2), 1.0)[0]
        data = from_dlpack(layout)
        assert_same_bits(numbers(roipool.roi_pool(data, some_boxes(2, 7, 9), 2), make), expected)


def test_every_form_of_rois(make):
    data = normal_maps(np.random.default_rng(1), (3, 4, 9, 9))
    rois = random_boxes(np.random.default_rng(2), 10, 3, 9, 9)
    rois = rois[np.argsort(rois[:, 0], kind="stable")]
    parts = [rois[rois[:, 0] == n, 1:] for n in range(3)]
    own = [make(part) for part in parts]
    expected = roipool.roi_pool(data, rois, 2)
    mixed = [own[0], parts[1], parts[2].tolist()]
    rows = [make(row) for row in rois]
    for form in (make(rois), rois, rois.tolist(), own, tuple(own), parts, mixed, rows):
        assert_same_bits(numbers(roipool.roi_pool(make(data), form, 2), make), expected)
    for none in ([], make(np.zeros((0, 5), np.float32)), [make(np.zeros((0, 4)))] * 3):
        values = numbers(roipool.roi_pool(make(data), none, (2, 3)), make)
        assert_same_bits(values, np.zeros((0, 4, 2, 3), np.float32))


def test_coordinates_are_float64_only_when_both_are(make):
    skip_unknown("float64", make)
    rois = np.array([[0, 0.49999999, 0, 0.49999999, 0]])  # as float32 it is 0.5
    for dtype, value in (("float64", 0), ("float32", 1)):
        data = make(np.arange(4, dtype=dtype).reshape(1, 1, 1, 4))
        assert numbers(roipool.roi_pool(data, make(rois), 1), make).item() == value


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
def test_nothing_to_pool(make, shape):
    data = make(np.zeros(shape, np.float32))
    values = roipool.roi_pool(data, [[0 if shape[0] else -1, 0, 0, 3, 3]], 2)
    assert_same_bits(numbers(values, make), np.zeros((1, shape[1], 2, 2), np.float32))


def test_a_result_outlives_the_array_it_was_made_as(make):
    data = normal_maps(np.random.default_rng(1), (1, 64, 9, 9))
    boxes = random_boxes(np.random.default_rng(2), 64, 1, 9, 9)
    expected = reference.roi_pool(data, boxes, (4, 4), 1.0)[0]
    assert expected.nbytes >= memory.KEPT_FROM
    values = roipool.roi_pool(make(data), boxes, 4)
    gc.collect()
    others = [roipool.roi_pool(data, boxes, 4) * 0 for _ in range(3)]  # would take freed memory
    assert not any(other.any() for other in others)
    assert_same_bits(numbers(values, make), expected)


def test_memory_of_the_caller(make):
    data, rois = normal_maps(np.random.default_rng(1), (2, 5, 11, 9)), some_boxes()
    expected, expected_argmax = roipool.roi_pool(data, rois, 2, return_argmax=True)
    values, argmax = make(np.zeros_like(expected)), make(np.zeros_like(expected_argmax))
    grad_data = make(np.ones_like(data))
    if not np.from_dlpack(values).flags.writeable:
        with pytest.raises(ValueError, match="out is read-only"):
            roipool.roi_pool(make(data), rois, 2, out=values)
        return
    assert roipool.roi_pool(make(data), rois, 2, out=values) is values
    assert_same_bits(numbers(values, make), expected)
    out = make(np.zeros_like(expected)), argmax
    assert roipool.roi_pool(make(data), make(rois), 2, return_argmax=True, out=out) is out
    assert_same_bits(numbers(out[0], make), expected)
    assert_same_bits(numbers(argmax, make), expected_argmax)
    roipool.roi_pool_backward(values, argmax, rois, data.shape, out=grad_data)
    backward = roipool.roi_pool_backward(expected, expected_argmax, rois, data.shape)
    assert_same_bits(numbers(grad_data, make), backward)
    with pytest.raises(ValueError, match=r"out has shape .* and dtype float32; expected"):
        roipool.roi_pool(make(data), rois, 3, out=values)
    with pytest.raises(TypeError, match="with return_argmax it is a pair"):
        roipool.roi_pool(make(data), rois, 2, return_argmax=True, out=values)
    with pytest.raises(TypeError, match="out is a list; expected a writeable C-contiguous array"):
        roipool.roi_pool(make(data), rois, 2, out=[0])


@pytest.mark.parametrize(
    ("values", "error", "message"), ROWS[:9], ids=[str(r[0]) for r in ROWS[:9]]
)
def test_rows(make, values, error, message):
    with pytest.raises(error) as caught:
        roipool.roi_pool(make(np.zeros((2, 3, 8, 8), np.float32)), make(row(*values)), 2)
    assert str(caught.value).startswith(message)


class Lent:
    """An array that has no more than the protocol, and may refuse what it asks."""

    device = 1

    def __init__(self, values, refusal=None):
        self.values, self.refusal = values, refusal

    @classmethod
    def from_dlpack(cls, array):
        return cls(np.from_dlpack(array))

    def __dlpack_device__(self):
        return self.device, 0

    def __dlpack__(self, copy=None, **options):
        if self.refusal and (copy is False or self.refusal != "shares nothing"):
            raise BufferError(self.refusal)
        return self.values.__dlpack__(copy=copy, **options)


class Elsewhere(Lent):
    device = 2


class OneWay:
    __dlpack__ = Lent.__dlpack__
    __dlpack_device__ = Lent.__dlpack_device__


class Narrow(Lent):
    @classmethod
    def from_dlpack(cls, array):
        return cls(np.from_dlpack(array).astype(np.float32))


MAPS = np.zeros((1, 2, 4, 4), np.float32)
BOX = np.array([[0, 0, 0, 3, 3]], np.float32)
OUT = np.zeros((1, 2, 2, 2), np.float32)
ARGUMENTS = [
    ({"data": Elsewhere(MAPS)}, "data is on a device of DLPack's type 2; .* CPU .*: move it there"),
    ({"rois": Elsewhere(BOX)}, "rois is on a device of DLPack's type 2"),
    ({"rois": [Elsewhere(BOX[:, 1:])]}, r"rois\[0\] is on a device of DLPack's type 2"),
    ({"out": Elsewhere(OUT)}, "out is on a device of DLPack's type 2"),
    ({"data": OneWay()}, "test_dlpack.OneWay has .* no from_dlpack .*; convert with numpy.from_dl"),
    ({"data": Lent(MAPS, "it has gradients")}, r"data, of test_dlpack.Lent and dtype unknown, .* "
     r"\(it has gradients\); .* detach what requires a gradient: roi_pool_backward computes it"),
    ({"out": Lent(OUT, "shares nothing")}, r"out, of test_dlpack.Lent .* \(shares nothing\)"),
    ({"data": Narrow(MAPS.astype(np.float64))}, "the result has dtype float64, which test_dlpack."
     "Narrow takes back as float32 only; convert the arguments to float32"),
    ({"data": Lent(MAPS > 0)}, "data has dtype bool; expected one of float16"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "message"), ARGUMENTS, ids=[str(a[1])[:40] for a in ARGUMENTS])
def test_arguments(changed, message):
    with pytest.raises(TypeError, match="^" + message):
        roipool.roi_pool(**({"data": Lent(MAPS), "rois": BOX, "pooled_size": 2} | changed))


def test_no_more_than_the_protocol_is_needed():
    class Heir(Lent):
        pass

    values = roipool.roi_pool(Heir(MAPS + 1), Lent(BOX), 2, out=None)
    assert isinstance(values, Heir)
    assert_same_bits(values.values, OUT + 1)


def test_mlx_has_no_float64_result():
    pytest.importorskip("mlx", reason="MLX is not installed")
    with pytest.raises(
        TypeError, match=r"result has dtype float64, which .* takes back as float32"
    ):
        roipool.roi_pool(maker("mlx.core")(MAPS.astype(np.float64)), BOX, 2)


@pytest.mark.parametrize("name", ["mlx.core", "paddle"])
def test_bfloat16(name):
    if name not in INSTALLED:
        pytest.skip(f"{name} is not installed")
    data = maker(name)(MAPS).astype(import_module(name).bfloat16)
    with pytest.raises(TypeError, match=r"data, .*bfloat16, gives NumPy no view .*\(Unsupported"):
        roipool.roi_pool(data, BOX, 2)
