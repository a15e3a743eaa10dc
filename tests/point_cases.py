"""Points on maps of several sizes, and the definitions of their kernels as loops."""

import numpy as np

from cases import normal_maps
from kernel_runs import unset
from roipool import _core
from roipool.memory import bits

KERNELS = ["points_read", "points_add", "points_weigh"]
LANES, GROUP = 16, 128  # channels whose products are summed lane by lane, and those summed before


class Case:
    """Maps of several sizes, regions on them with lists of points, and pooled values.

    Points come several times, some have weight 0, some lie outside, and some are no bin's.
    """

    def __init__(
        self,
        dtype,
        channels=17,
        sizes=((1, 9, 14), (2, 13, 6)),
        pooled=(3, 2),
        count=9,
        most=7,
        spread=1.3,
        seed=0,
    ):
        rng = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)
        S = np.float64 if self.dtype == np.float64 else np.float32
        self.maps = [normal_maps(rng, (n, channels, h, w), dtype) for n, h, w in sizes]
        images = [(h, w) for n, h, w in sizes for _ in range(n)]
        self.image = rng.integers(-1, len(images), count).astype(np.int32)
        self.pooled = normal_maps(rng, (count, channels, *pooled), dtype)
        inside = rng.integers(0, most + 1, (count, *pooled))
        gaps = rng.integers(0, 2, (count, *pooled))
        ends = (inside + gaps).cumsum().reshape(inside.shape)
        self.points = np.stack([ends - inside, ends], axis=3).astype(np.int32)
        self.length = int(ends[-1, -1, -1]) if ends.size else 0
        owner = np.repeat(np.arange(count), (inside + gaps).sum((1, 2)))
        sides = np.array([images[n] if n >= 0 else (5, 5) for n in self.image]).reshape(-1, 2)
        centre = rng.random((count, 2)) * sides
        near = rng.standard_normal((self.length, 2)) * spread + centre[owner]
        self.y, self.x = np.floor(near).astype(np.int32).T.copy()
        self.weight = rng.standard_normal(self.length).astype(S)
        self.weight[rng.random(self.length) < 0.1] = 0

    def run(self, kernel, threads=0, maps=None, pooled=None, last=False):
        """The result in memory of NaN, which may lie with channels last."""
        maps = self.maps if maps is None else maps
        pooled = self.pooled if pooled is None else pooled
        known, result = {
            "points_read": ((maps, self.weight), unset(self.pooled, last)),
            "points_add": ((pooled, self.weight), [unset(array, last) for array in self.maps]),
            "points_weigh": ((pooled, maps), unset(self.weight)),
        }[kernel]
        inputs = (*known, self.image, self.points, self.y, self.x)
        assert _core.run(kernel, self.dtype.name, as_bits(inputs), as_bits([result]), threads)
        return result if isinstance(result, list) else [result]


def as_bits(arrays):
    return [list(map(bits, a)) if isinstance(a, list) else bits(a) for a in arrays]


def expected(case, kernel):
    """The definitions, every product and sum rounded once, in the order of the lists."""
    S = case.weight.dtype
    channels = case.pooled.shape[1]
    wide = [array.astype(S) for array in case.maps]
    pooled = case.pooled.astype(S)
    images = [image for array in wide for image in array]
    added = [np.zeros_like(array) for array in wide]
    planes = [image for array in added for image in array]
    read = np.zeros(case.pooled.shape, S)
    groups = -(-channels // GROUP)
    products = np.zeros((case.length, groups * GROUP), S)
    for k, i, j in np.ndindex(len(pooled), *pooled.shape[2:]):
        if case.image[k] < 0:
            continue
        X, D, value = images[case.image[k]], planes[case.image[k]], pooled[k, :, i, j]
        for s in range(*case.points[k, i, j]):
            y, x, weight = case.y[s], case.x[s], case.weight[s]
            if 0 <= y < X.shape[1] and 0 <= x < X.shape[2]:
                if weight != 0:
                    read[k, :, i, j] += X[:, y, x] * weight
                    D[:, y, x] += value * weight
                products[s, :channels] = value * X[:, y, x]
    if kernel == "points_read":
        return [read.astype(case.dtype)]
    if kernel == "points_add":
        return [array.astype(case.dtype) for array in added]
    return [summed(products)]


def summed(products):
    """Over the channels of each group: lane by lane, halved again and again; then over groups."""
    total = np.zeros(len(products), products.dtype)
    for first in range(0, products.shape[1], GROUP):
        lanes = np.zeros((len(products), LANES), products.dtype)
        for at in range(first, first + GROUP, LANES):
            lanes += products[:, at : at + LANES]
        while lanes.shape[1] > 1:
            half = lanes.shape[1] // 2
            lanes = lanes[:, :half] + lanes[:, half:]
        total += lanes[:, 0]
    return total
