"""The operators beside roi_pool and roi_align, with the loops that define them."""

import functools
from dataclasses import dataclass, field

import numpy as np

import defined
import roipool
from cases import normal_maps, odd_boxes, odd_maps, random_boxes
from roipool import reference

ANGLES = (0.3, -1.2, np.pi / 2, 3.0, 0.0, -4.5)
FAR = 2**9  # pixels; of larger grids, samples outside would be walked by the loops


@dataclass(frozen=True)
class Member:
    """An operator and its options: called at any door, and as the definition's loops.

    Attributes:
        name: Of the public function.
        options: Beside the pooled size and the scale, name by name.
        loops: The name of the definition in `reference`.
        how: Its arguments behind the scale.
    """

    name: str
    options: tuple
    loops: str
    how: tuple = field(default=())

    saves = moves = per_bin = False
    scaled = True

    def __str__(self):
        said = (f"{name}={value}" for name, value in self.options)
        return " ".join([self.name, *said])

    def rows(self, corners, shape, scale):
        """Rows of this operator of rows of corners, in maps of that shape."""
        return corners

    def maps(self, maps, size):
        """Maps of as many channels as it needs."""
        return maps

    def arguments(self, scale):
        return (scale,) if self.scaled else ()

    def __call__(self, data, rois, size, scale=1.0, **more):
        function = getattr(roipool, self.name)
        return function(data, rois, size, *self.arguments(scale), **dict(self.options), **more)

    def backward(self, grad, rois, shape, scale, argmax=None, **more):
        function = getattr(roipool, f"{self.name}_backward")
        if argmax is not None:
            more["argmax"] = argmax
        given = grad, rois, shape, *self.arguments(scale)
        return function(*given, **self._static(), **more)

    def backward_rois(self, grad, data, rois, scale, argmax=None):
        function = getattr(roipool, f"{self.name}_backward_rois")
        more = {} if argmax is None else {"argmax": argmax}
        given = grad, data, rois, *self.arguments(scale)
        return function(*given, **self._static(), **more)

    def _static(self):
        return dict(self.options)

    def defined(self, data, rois, size, scale):
        """Values by the loops."""
        with np.errstate(all="ignore"):
            function = getattr(reference, self.loops)
            return function(data, rois, size, *self.arguments(scale), *self.how)

    def defined_backward(self, grad, data, rois, scale):
        """The gradients for data and for rois by the loops."""
        with np.errstate(all="ignore"):
            function = getattr(reference, f"{self.loops}_backward")
            return function(grad, data, rois, *self.arguments(scale), *self.how)


class Average(Member):
    def backward(self, grad, rois, shape, scale, argmax=None, **more):
        return roipool.roi_pool_backward(grad, argmax, rois, shape, scale, mode="avg", **more)


class Moving(Member):
    moves = True


class Maximum(Moving):
    saves = True

    def defined(self, data, rois, size, scale):
        return super().defined(data, rois, size, scale)[0]


class PerBin(Member):
    per_bin = True

    def maps(self, maps, size):
        bins = size[0] * size[1]
        rng = np.random.default_rng(maps.shape[2])
        more = [maps[:, rng.permutation(maps.shape[1])] for _ in range(bins)]
        return np.ascontiguousarray(np.stack(more, 2).reshape(len(maps), -1, *maps.shape[2:]))


class MovingPerBin(PerBin):
    moves = True


class Turned(Moving):
    def rows(self, corners, shape, scale):
        index, x1, y1, x2, y2 = corners.T
        angle = np.resize(np.array(ANGLES, corners.dtype), len(corners))
        with np.errstate(invalid="ignore"):
            rows = [index, (x1 + x2) / 2, (y1 + y2) / 2, abs(x2 - x1), abs(y2 - y1), angle]
        return np.stack(rows, 1).astype(corners.dtype)


class Crop(Moving):
    scaled = False

    def rows(self, corners, shape, scale):
        sides = np.array([shape[3], shape[2], shape[3], shape[2]]) - 1
        boxes = corners.astype(np.float64)
        boxes[:, 1:] = boxes[:, 1:] * scale / np.maximum(sides, 1)
        return boxes[:, [0, 2, 1, 4, 3]].astype(corners.dtype)

    def defined_backward(self, grad, data, rois, scale):
        with np.errstate(all="ignore"):
            return reference.crop_and_resize_backward(grad, data, rois, self.how[0])

    def backward_rois(self, grad, data, rois, scale, argmax=None):
        return roipool.crop_and_resize_backward_boxes(grad, data, rois, **self._static())

    def _static(self):
        return {"method": dict(self.options)["method"]}


def _align(mode, sampling_ratio, aligned):
    options = (("mode", mode), ("sampling_ratio", sampling_ratio), ("aligned", aligned))
    how = sampling_ratio, aligned, mode == "onnx_max"
    return Maximum("roi_align", options, "roi_align_max", how)


def _turned(sampling_ratio, aligned, clockwise):
    options = {"sampling_ratio": sampling_ratio, "aligned": aligned, "clockwise": clockwise}
    how = sampling_ratio, aligned, clockwise
    return Turned("roi_align_rotated", (*options.items(),), "roi_align_rotated", how)


def _crop(method, value):
    options = (("method", method), ("extrapolation_value", value))
    return Crop("crop_and_resize", options, "crop_and_resize", (method, value))


FAMILY = [
    Average("roi_pool", (("mode", "avg"),), "roi_pool_average"),
    _align("max", 2, True),
    _align("max", 0, False),
    _align("onnx_max", 2, False),
    _align("onnx_max", 0, True),
    PerBin("ps_roi_pool", (("convention", "rfcn"),), "ps_roi_pool", ("rfcn",)),
    PerBin("ps_roi_pool", (("convention", "torchvision"),), "ps_roi_pool", ("torchvision",)),
    MovingPerBin("ps_roi_align", (("sampling_ratio", 0),), "ps_roi_align", (0,)),
    MovingPerBin("ps_roi_align", (("sampling_ratio", 2),), "ps_roi_align", (2,)),
    Moving("prroi_pool", (), "prroi_pool"),
    _turned(2, True, False),
    _turned(0, True, True),
    _turned(3, False, False),
    _crop("bilinear", 0.0),
    _crop("bilinear", 7.5),
    _crop("nearest", 0.0),
]
EVERY = [*defined.OPERATORS, *FAMILY]
EACH_MEMBER = [FAMILY[i] for i in (0, 1, 3, 5, 8, 9, 10, 14)]  # one of each kind
SIZE, SCALE = (3, 2), 0.7
SHAPE = (2, 4, 13, 11)


def is_ragged(member):
    """Its structure has a size that only values of regions tell."""
    return ("sampling_ratio", 0) in member.options and "rotated" in member.name


def values_of(operator, *given):
    """By the loops, of any of them all: some have positions beside."""
    found = operator.defined(*given)
    return found[0] if isinstance(found, tuple) else found


def regions(member, shape=SHAPE, scale=SCALE, dtype=np.float32, count=12, seed=1):
    """Random regions and one of each odd kind, as the member takes them."""
    rng = np.random.default_rng(seed)
    many = random_boxes(rng, count, shape[0], *shape[2:], scale)
    odd = odd_boxes(*shape[2:])
    rows = np.concatenate([many, odd])
    if isinstance(member, (Turned, Maximum)):
        with np.errstate(invalid="ignore"):
            near = ~(np.abs(rows[:, 1:]) > FAR).any(1) & ~np.isnan(rows[:, 1:]).any(1)
        rows = rows[near]
    return member.rows(rows.astype(dtype), shape, scale)


@dataclass(frozen=True)
class Example:
    """A call, what it gives, and the gradients of that: computed once for all doors."""

    data: np.ndarray
    rois: np.ndarray
    values: np.ndarray
    grad: np.ndarray | None = None
    of_data: np.ndarray | None = None
    of_rois: np.ndarray | None = None


@functools.cache
def example(member, dtype, odd=False):
    """Of SIZE and SCALE, on ordinary numbers or on some of every odd kind."""
    rng = np.random.default_rng(0)
    data = (odd_maps if odd else normal_maps)(rng, SHAPE, np.dtype(dtype))
    data = member.maps(data, SIZE)
    rois = regions(member, dtype=np.float64 if dtype == "float64" else np.float32)
    if odd:  # of a larger region many pixels weigh 1e-9 each: times infinity, all
        with np.errstate(invalid="ignore"):
            rois = rois[~(np.abs(rois[:, 1:]) > 2**22).any(axis=1)]
    values = member.defined(data, rois, SIZE, SCALE)
    if odd:
        return Example(data, rois, values)
    grad = normal_maps(np.random.default_rng(2), values.shape, data.dtype)
    return Example(data, rois, values, grad, *member.defined_backward(grad, data, rois, SCALE))
