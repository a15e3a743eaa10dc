"""Operators beside the loops that define them: what the tests of every door compare with."""

import functools
from dataclasses import dataclass

import numpy as np

import roipool
from cases import DTYPES, FLOATS, assert_same_bits, normal_maps, odd_boxes, odd_maps, random_boxes
from roipool import reference

TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-5, "float64": 1e-12}


@dataclass(frozen=True)
class Defined:
    """An operator and its options: called at any door, and as the definition's loops.

    Attributes:
        name: Of the public function.
        options: Beside the pooled size and the scale, name by name.
    """

    name: str
    options: tuple = ()

    def __str__(self):
        return " ".join([self.name, *(f"{name}={value}" for name, value in self.options)])

    def __call__(self, data, rois, pooled_size, scale=1.0, **more):
        function = getattr(roipool, self.name)
        return function(data, rois, pooled_size, scale, **dict(self.options), **more)

    @property
    def finds(self):
        """Whether it finds positions, which its derivative reads, and is exact."""
        return self.name == "roi_pool"

    @property
    def dtypes(self):
        return [np.dtype(dtype).name for dtype in (DTYPES if self.finds else FLOATS)]

    def backward(self, grad, argmax, rois, data_shape, scale=1.0, **more):
        """The public function of the gradient; positions are for those that found some."""
        if self.finds:
            return roipool.roi_pool_backward(grad, argmax, rois, data_shape, **more)
        function = getattr(roipool, f"{self.name}_backward")
        return function(grad, rois, data_shape, scale, **dict(self.options), **more)

    def backward_rois(self, grad, data, rois, scale=1.0):
        function = getattr(roipool, f"{self.name}_backward_rois")
        return function(grad, data, rois, scale, **dict(self.options))

    def defined(self, data, rois, pooled_size, scale):
        """Values and positions, or None, by the loops."""
        with np.errstate(all="ignore"):
            if self.finds:
                return reference.roi_pool(data, rois, pooled_size, scale)
            how = [value for _, value in self.options]
            return reference.roi_align(data, rois, pooled_size, scale, *how), None

    def defined_backward(self, grad, argmax, data, rois, scale):
        """The gradients for data and for rois by the loops."""
        with np.errstate(all="ignore"):
            if self.finds:
                of_data = reference.roi_pool_backward(grad, argmax, rois, data.shape)
                return of_data, np.zeros_like(rois)
            how = [value for _, value in self.options]
            return reference.roi_align_backward(grad, data, rois, scale, *how)

    def assert_same(self, actual, expected):
        """The same bits of what is found, to rounding of what is summed."""
        if self.finds:
            assert_same_bits(actual, expected)
        else:
            assert_close(actual, expected)


def assert_close(actual, expected, tolerance=None):
    """Equal in shape and dtype, and to rounding; NaN where NaN is, infinite where that is."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    tolerance = TOLERANCE[expected.dtype.name] if tolerance is None else tolerance
    a, b = actual.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        off = np.abs(a - b) > tolerance * np.maximum(1, np.abs(b))
        off |= np.isfinite(a) != np.isfinite(b)
    wrong = np.argwhere(off | (np.isnan(a) != np.isnan(b)))
    assert len(wrong) == 0, (
        f"{len(wrong)} of {a.size} values differ, the first at {wrong[0]}: "
        f"{a[tuple(wrong[0])]!r}, expected {b[tuple(wrong[0])]!r}"
    )


def _align(sampling_ratio, aligned):
    return Defined("roi_align", (("sampling_ratio", sampling_ratio), ("aligned", aligned)))


ROI_POOL = Defined("roi_pool")
ROI_ALIGN = [_align(0, True), _align(2, True), _align(0, False), _align(3, False)]
OPERATORS = [ROI_POOL, *ROI_ALIGN]
EACH = [ROI_POOL, ROI_ALIGN[0]]  # one variant of each, where variants make no difference
SIZE, SCALE = (3, 2), 0.7


def ordinary_maps(dtype, shape=(2, 5, 13, 11), seed=0):
    return normal_maps(np.random.default_rng(seed), shape, dtype)


def some_maps(dtype, shape=(2, 5, 13, 11), seed=0):
    """Ordinary numbers, and channels of every odd kind."""
    odd = odd_maps(np.random.default_rng(seed), (shape[0], 3, *shape[2:]), dtype)
    return np.concatenate([ordinary_maps(dtype, shape, seed), odd], axis=1)


def some_rois(images=2, height=13, width=11, scale=SCALE, dtype=np.float32, count=12):
    """Random regions, and one of each odd kind."""
    rng = np.random.default_rng(1)
    many = random_boxes(rng, count, images, height, width, scale)
    return np.concatenate([many, odd_boxes(height, width)]).astype(dtype)


@dataclass(frozen=True)
class Example:
    """A call, what it gives, and the gradients of that: computed once for all doors."""

    data: np.ndarray
    rois: np.ndarray
    values: np.ndarray
    argmax: np.ndarray | None
    grad: np.ndarray | None = None
    of_data: np.ndarray | None = None
    of_rois: np.ndarray | None = None


@functools.cache
def example(operator, dtype, odd=False):
    """Of SIZE and SCALE, on ordinary numbers or on some of every odd kind."""
    data = (some_maps if odd else ordinary_maps)(np.dtype(dtype))
    rois = some_rois(dtype=np.float64 if dtype == "float64" else np.float32)
    if odd and not operator.finds:
        # Of a larger region many samples lie in one place, each with a weight of 1e-9: beside
        # ordinary numbers nothing, but times infinity all.
        rois = rois[~(np.abs(rois[:, 1:]) > 2**22).any(axis=1)]
    values, argmax = operator.defined(data, rois, SIZE, SCALE)
    if odd or data.dtype.kind in "iu":
        return Example(data, rois, values, argmax)
    grad = normal_maps(np.random.default_rng(2), values.shape, data.dtype)
    of_data, of_rois = operator.defined_backward(grad, argmax, data, rois, SCALE)
    return Example(data, rois, values, argmax, grad, of_data, of_rois)


def of_several(function, maps, rois, scales):
    """`function(data, rows, scale, own)` of each array, with the rows that are its own."""
    first = 0
    for data, scale in zip(maps, scales, strict=True):
        own = (rois[:, 0] >= first) & (rois[:, 0] < first + len(data))
        rows = rois.copy()
        rows[:, 0] = np.where(own, rois[:, 0] - first, -1)
        function(data, rows, scale, own)
        first += len(data)
