"""Samples as the kernels take them, and what these give, as loops."""

import numpy as np

from cases import assert_same_bits, normal_maps
from roipool import _core
from roipool.memory import bits

KERNELS = [
    "samples_max",
    "samples_read",
    "samples_add",
    "samples_weigh_y",
    "samples_weigh_x",
    "samples_weigh",
]


def sum_type(dtype):
    return np.float64 if dtype == np.float64 else np.float32


def random_samples(rng, count, bins, length, most, dtype, zeros=0.2):
    """Of each bin none to `most` samples between any two pixels; some weights are 0."""
    sizes = 2 * rng.integers(0, (most if length else 0) + 1, (count, bins))
    ends = sizes.cumsum().reshape(sizes.shape)
    taps = np.stack([ends - sizes, ends], axis=2).astype(np.int32)
    pixel = rng.integers(0, max(length, 1), sizes.sum()).astype(np.int32)
    weight = rng.standard_normal(len(pixel)).astype(sum_type(dtype))
    weight[rng.random(len(pixel)) < zeros] = 0
    return taps, pixel, weight


def unset(shape, dtype, last=False):
    """Memory that a kernel has not written."""
    n, c, h, w = shape
    lying = np.full((n, h, w, c) if last else shape, np.nan, dtype)
    return lying.transpose(0, 3, 1, 2) if last else lying


class Case:
    """Maps of several sizes, regions on them, pooled values, and a sample of each bin."""

    def __init__(
        self,
        dtype,
        channels=17,
        sizes=((1, 9, 14), (2, 13, 6)),
        pooled=(3, 2),
        count=9,
        most=3,
        seed=0,
    ):
        rng = np.random.default_rng(seed)
        self.dtype, self.sums = np.dtype(dtype), sum_type(dtype)
        self.maps = [normal_maps(rng, (n, channels, h, w), dtype) for n, h, w in sizes]
        images = sum(n for n, _, _ in sizes)
        self.image = rng.integers(-1, images, count).astype(np.int32)
        self.pooled = normal_maps(rng, (count, channels, *pooled), dtype)
        height, width = (min(size[axis] for size in sizes) for axis in (1, 2))
        self.y = random_samples(rng, count, pooled[0], height, most, dtype)
        self.x = random_samples(rng, count, pooled[1], width, most, dtype)
        share = rng.random(self.pooled.shape)
        self.argmax = np.floor(share * self.samples()[:, None]).astype(np.int32)
        self.argmax[rng.random(self.argmax.shape) < 0.1] = -1
        self.argmax[np.broadcast_to(self.samples()[:, None] == 0, self.argmax.shape)] = -1

    def samples(self):
        """How many each bin has."""
        (y, *_), (x, *_) = self.y, self.x
        return ((y[:, :, 1] - y[:, :, 0])[:, :, None] * (x[:, :, 1] - x[:, :, 0])[:, None]) // 4

    def run(self, kernel, threads=0, maps=None, pooled=None, last=False, number=True):
        """The results in memory of NaN, which may lie with channels last."""
        inside, results = self.tried(kernel, threads, maps, pooled, last, number)
        assert inside
        return results

    def tried(self, kernel, threads=0, maps=None, pooled=None, last=False, number=True):
        """Whether every argmax is of a sample, and the results."""
        maps = list(map(bits, self.maps if maps is None else maps))
        pooled = bits(self.pooled if pooled is None else pooled)
        (y_taps, y_pixel, y_weight), (x_taps, x_pixel, x_weight) = self.y, self.x
        of_y, of_x = (np.full_like(weight, np.nan) for weight in (y_weight, x_weight))
        of_bins = unset(self.pooled.shape, self.dtype, last)
        of_maps = [unset(array.shape, self.dtype, last) for array in self.maps]
        known, result = {
            "samples_max": ((maps, y_weight, x_weight), [of_bins, np.full_like(self.argmax, 99)]),
            "samples_read": ((maps, y_weight, x_weight), [of_bins]),
            "samples_add": ((pooled, y_weight, x_weight), of_maps),
            "samples_weigh_y": ((pooled, maps, x_weight), [of_y]),
            "samples_weigh_x": ((pooled, maps, y_weight), [of_x]),
            "samples_weigh": ((pooled, maps, y_weight, x_weight), [of_y, of_x]),
        }[kernel]
        argmax = () if kernel == "samples_max" else (self.argmax,)
        inputs = (*known, self.image, *argmax, y_taps, y_pixel, x_taps, x_pixel)
        given = list(map(bits, result))
        if kernel == "samples_max" and not number:
            given[1], result = None, result[:1]
        given = [given] if kernel == "samples_add" else given
        return _core.run(kernel, self.dtype.name, inputs, given, threads), result


def image_of(maps, n):
    return [image for array in maps for image in array][n]


def samples_of(axis, k, p):
    """Of each sample of a bin: (place in the list, pixel, weight) of its two taps."""
    taps, pixel, weight = axis
    begin, end = taps[k, p]
    return [[(s, pixel[s], weight[s]) for s in (t, t + 1)] for t in range(begin, end, 2)]


def weighing(taps):
    return [tap for tap in taps if tap[2] != 0]


def along(line, taps):
    """What taps read of lines (…, pixels); nothing is 0."""
    total = np.zeros(line.shape[:-1], line.dtype)
    for _, at, weight in weighing(taps):
        total = total + line[..., at] * weight
    return total


def value_of(plane, y, x):
    """Along x inside a row, then along y; never −0."""
    total = np.zeros(plane.shape[:-2], plane.dtype)
    if weighing(x):
        for _, at, weight in weighing(y):
            total = total + along(plane[..., at, :], x) * weight
    return total


def largest(case):
    """Values and numbers of each bin's first largest sample that is no NaN."""
    pooled = np.zeros(case.pooled.shape, case.sums)
    argmax = np.full(case.pooled.shape, -1, np.int32)
    for k, i, j in np.ndindex(len(pooled), *pooled.shape[2:]):
        ys, xs = samples_of(case.y, k, i), samples_of(case.x, k, j)
        if case.image[k] < 0 or not (ys and xs):
            continue
        plane = image_of(case.maps, case.image[k]).astype(case.sums)
        best = np.full(plane.shape[0], np.nan, case.sums)
        for number, (y, x) in enumerate((y, x) for y in ys for x in xs):
            value = value_of(plane, y, x)
            larger = (value == value) & ~(best >= value)
            best[larger] = value[larger]
            argmax[k, larger, i, j] = number
        pooled[k, :, i, j] = best
    return [pooled.astype(case.dtype), argmax]


def at_largest(case):
    """(k, c, i, j) of each bin with a sample that argmax tells, and its taps along y and x."""
    for k, c, i, j in np.ndindex(*case.argmax.shape):
        number = case.argmax[k, c, i, j]
        if case.image[k] >= 0 and number >= 0:
            ys, xs = samples_of(case.y, k, i), samples_of(case.x, k, j)
            yield (k, c, i, j), ys[number // len(xs)], xs[number % len(xs)]


def expected(case, kernel):
    """The definitions, every product and sum rounded once, regions and channels ascending."""
    if kernel == "samples_max":
        return largest(case)
    wide = [array.astype(case.sums) for array in case.maps]
    read = np.zeros(case.pooled.shape, case.sums)
    added = [np.zeros_like(array) for array in wide]
    of_y, of_x = (np.zeros_like(axis[2]) for axis in (case.y, case.x))
    for (k, c, i, j), ys, xs in at_largest(case):
        plane = image_of(wide, case.image[k])[c]
        total = image_of(added, case.image[k])[c]
        value = case.pooled[k, c, i, j].astype(case.sums)
        read[k, c, i, j] = value_of(plane, ys, xs)
        for _, x, x_weight in weighing(xs):
            for _, y, y_weight in weighing(ys):
                total[y, x] += value * x_weight * y_weight
        for s, y, _ in ys if weighing(xs) else []:
            of_y[s] += value * along(plane[y], xs)
        for s, x, _ in xs if weighing(ys) else []:
            of_x[s] += value * along(plane[:, x], ys)
    return {
        "samples_read": [read.astype(case.dtype)],
        "samples_add": [array.astype(case.dtype) for array in added],
        "samples_weigh_y": [of_y],
        "samples_weigh_x": [of_x],
        "samples_weigh": [of_y, of_x],
    }[kernel]


def assert_as_defined(case, kernels=KERNELS, **how):
    for kernel in kernels:
        for actual, wanted in zip(case.run(kernel, **how), expected(case, kernel), strict=True):
            assert_same_bits(actual, wanted)
