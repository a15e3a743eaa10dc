"""Operators that fill empty bins or need whole planes, their regions, and what NumPy gives."""

from dataclasses import dataclass

import dask
import dask.array as da
import numpy as np

from cases import assert_same_bits, nan, normal_maps, odd_boxes, random_boxes
from dask_arrays import forms
from defined import assert_close
from roipool.descriptions import OPERATORS
from roipool.doors import door_of

SHAPE, SIZE, SCALE = (3, 12, 9, 8), (3, 2), 0.7
CHUNKS = {
    "one": SHAPE,
    "tiles": (2, 5, 4, 3),
    "images": (1, 12, 4, 8),
    "channels": (3, 1, 9, 8),
    "empty chunks": ((0, 3), (7, 0, 5), (4, 0, 5), (0, 8)),
}


def boxes(rng, dtype=np.float32):
    odd = odd_boxes(*SHAPE[2:])
    near = ~(np.abs(odd[:, 1:]) > 2**20).any(1)  # of NaN too: they are padding
    rows = [random_boxes(rng, 16, *SHAPE[:1], *SHAPE[2:], SCALE), odd[near]]
    return rng.permutation(np.concatenate(rows)).astype(dtype)


def crops(rng, dtype=np.float32):
    """Mirrored ones, some over borders and some beyond, and padding."""
    rows = rng.uniform(-0.5, 1.5, (24, 5))
    rows[:, 0] = rng.integers(-1, SHAPE[0], 24)
    rows[:3, 1:] = [[0, 0, 1, 1], [-3, -3, -2, -2], [0.5, 2, 0.6, 0.1]]
    return rows.astype(dtype)


def turned(rng, dtype=np.float32):
    centres = rng.uniform(-2, 14, (20, 2))
    rest = rng.uniform(0, 12, (20, 2)), rng.uniform(-4, 4, (20, 1))
    return np.concatenate([rng.integers(-1, SHAPE[0], (20, 1)), centres, *rest], 1).astype(dtype)


@dataclass(frozen=True)
class Member:
    """An operator with options, called by what doors have; and a way to make its regions."""

    name: str
    options: tuple = ()
    rows: object = boxes
    scale: float = SCALE

    def __str__(self):
        return " ".join([self.name, *(f"{name}={value}" for name, value in self.options)])

    @property
    def operator(self):
        return OPERATORS[self.name]

    def call(self, size=SIZE):
        return self.operator.call(size, self.scale, None, **dict(self.options))

    def pool(self, data, rows, positions=False):
        return door_of(data).pool(self.operator, data, rows, self.call(), positions, None)

    def backward(self, grad, rows, saved, shape=SHAPE):
        given = [shape], self.call(grad.shape[2:]), saved, False, None
        return door_of(grad).backward(self.operator, grad, rows, *given)

    def backward_rois(self, grad, data, rows, saved):
        call = self.call(grad.shape[2:])
        return door_of(data).backward_rois(self.operator, grad, data, rows, call, saved)


def _crop(method, value, tensorflow=False):
    options = ("method", method), ("extrapolation_value", value), ("tensorflow", tensorflow)
    return Member("crop_and_resize", options, crops, 1.0)


def _of_ratio(name, ratio, **more):
    given = tuple(more.items())
    rows = turned if name == "roi_align_rotated" else boxes
    return Member(name, (("sampling_ratio", ratio), *given), rows)


FILLED, PLACED, ALIGNED = (
    _crop("bilinear", -3.7),
    Member("ps_roi_pool", (("convention", "rfcn"),)),
    _of_ratio("ps_roi_align", 2),
)
LARGEST = _of_ratio("roi_align_max", 0, aligned=True)
TURNED = _of_ratio("roi_align_rotated", 2, aligned=False, clockwise=True)
ONE_EACH = [FILLED, PLACED, ALIGNED, LARGEST, TURNED]
OTHERS = [
    Member("roi_pool_avg"),
    Member("prroi_pool"),
    _crop("nearest", nan, True),
    Member("ps_roi_pool", (("convention", "torchvision"),)),
    _of_ratio("ps_roi_align", 0),
    _of_ratio("roi_align_max", 2, aligned=False),
    _of_ratio("roi_align_onnx_max", 0, aligned=True),
    _of_ratio("roi_align_rotated", 0, aligned=True, clockwise=False),
]


def computed(array, wanted):
    """What a lazy array gives, which must be as it said."""
    actual = array.compute(scheduler="sync")
    assert array.shape == actual.shape == wanted.shape
    assert array.dtype == actual.dtype == wanted.dtype
    return actual


@dataclass(frozen=True)
class Results:
    """Of a call and its gradients, by NumPy arrays."""

    values: np.ndarray
    saved: dict
    grad: np.ndarray
    of_data: np.ndarray
    of_rois: np.ndarray | None


def results(member, data, rows):
    found = member.pool(data, rows, bool(member.operator.saved))
    values, saved = (found[0], {"argmax": found[1]}) if member.operator.saved else (found, {})
    grad = normal_maps(np.random.default_rng(9), values.shape, data.dtype)
    of_data = member.backward(grad, rows, saved, data.shape)
    of_rois = member.backward_rois(grad, data, rows, saved) if member.operator.moves else None
    return Results(values, saved, grad, of_data, of_rois)


def assert_as_numpy(member, data, chunks, rows):
    """Values, what is saved, and gradients, of known rows and of lazy ones."""
    expected = results(member, data, rows)
    lazy = da.from_array(data, chunks=chunks)
    grad = da.from_array(expected.grad, chunks=(6, 7, 2, 1))  # more blocks than images
    exact = not member.operator.divides or max(lazy.numblocks[2:]) == 1
    assert_values = assert_same_bits if exact else assert_close
    for rois in forms(rows, 12):
        with dask.config.set({"array.chunk-size": "2kB"}):
            values, saved = member.pool(lazy, rois), {}
            if expected.saved:
                _, argmax = member.pool(lazy, rois, True)
                assert_same_bits(
                    computed(argmax, expected.saved["argmax"]), expected.saved["argmax"]
                )
                saved = {"argmax": argmax}
            of_data = member.backward(grad, rois, saved, data.shape)
        assert_values(computed(values, expected.values), expected.values)
        assert_same_bits(computed(of_data, expected.of_data), expected.of_data)
        if expected.of_rois is not None:
            of_rois = member.backward_rois(grad, lazy, rois, saved)
            tolerance = 1e-11 if expected.of_rois.dtype == np.float64 else 1e-4
            assert_close(computed(of_rois, expected.of_rois), expected.of_rois, tolerance)
