"""The kernels of taps against their definitions as loops, on every path to the same bits."""

import json
import sys

import numpy as np
import pytest

from cases import FLOATS, assert_same_bits, layouts, normal_maps
from kernel_runs import digests, memory_taken, printed_by, unset
from roipool import _core
from roipool.memory import bits
from sample_cases import image_of

IDS = [np.dtype(t).name for t in FLOATS]
KERNELS = ["taps_read", "taps_add", "taps_weigh_y", "taps_weigh_x", "taps_weigh"]


def sum_type(dtype):
    return np.float64 if dtype == np.float64 else np.float32


def random_taps(rng, count, bins, length, most, dtype, zeros=0.1):
    """Of each bin: none to `most` pixels in any order, some of weight 0."""
    sizes = rng.integers(0, min(most, length) + 1, (count, bins))
    ends = sizes.cumsum().reshape(sizes.shape)
    taps = np.stack([ends - sizes, ends], axis=2).astype(np.int32)
    pixels = [rng.permutation(length)[:size] for size in sizes.ravel()]
    pixel = np.concatenate([np.empty(0, int), *pixels]).astype(np.int32)
    weight = rng.standard_normal(len(pixel)).astype(sum_type(dtype))
    weight[rng.random(len(pixel)) < zeros] = 0
    return taps, pixel, weight


class Case:
    """Maps of several sizes, regions on them, and pooled values."""

    def __init__(
        self,
        dtype,
        channels=17,
        sizes=((1, 9, 14), (2, 13, 6)),
        pooled=(3, 2),
        count=9,
        most=5,
        seed=0,
    ):
        rng = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)
        self.maps = [normal_maps(rng, (n, channels, h, w), dtype) for n, h, w in sizes]
        images = sum(n for n, _, _ in sizes)
        self.image = rng.integers(-1, images, count).astype(np.int32)
        shape = (count, channels, *pooled)
        self.pooled = normal_maps(rng, shape, dtype)
        height = min(h for _, h, _ in sizes)
        width = min(w for _, _, w in sizes)
        self.y = random_taps(rng, count, pooled[0], height, most, dtype)
        self.x = random_taps(rng, count, pooled[1], width, most, dtype)

    def run(self, kernel, threads=0, maps=None, pooled=None, last=False):
        """The result in memory of NaN, which may lie with channels last."""
        maps = self.maps if maps is None else maps
        pooled = self.pooled if pooled is None else pooled
        (y_taps, y_pixel, y_weight), (x_taps, x_pixel, x_weight) = self.y, self.x
        known = {
            "taps_read": (list(map(bits, maps)), y_weight, x_weight),
            "taps_add": (bits(pooled), y_weight, x_weight),
            "taps_weigh_y": (bits(pooled), list(map(bits, maps)), x_weight),
            "taps_weigh_x": (bits(pooled), list(map(bits, maps)), y_weight),
            "taps_weigh": (bits(pooled), list(map(bits, maps)), y_weight, x_weight),
        }[kernel]
        result = {
            "taps_read": [unset(self.pooled, last)],
            "taps_add": [unset(array, last) for array in self.maps],
            "taps_weigh_y": [unset(y_weight)],
            "taps_weigh_x": [unset(x_weight)],
            "taps_weigh": [unset(y_weight), unset(x_weight)],
        }[kernel]
        given = list(map(bits, result))
        given = [given] if kernel == "taps_add" else given
        inputs = (*known, self.image, y_taps, y_pixel, x_taps, x_pixel)
        assert _core.run(kernel, self.dtype.name, inputs, given, threads)
        return result


def listed(axis, k, p, *, all_of_them=False):
    """(place in the list, pixel, weight) of a bin's taps."""
    taps, pixel, weight = axis
    found = [(s, pixel[s], weight[s]) for s in range(*taps[k, p])]
    return [tap for tap in found if all_of_them or tap[2] != 0]


def expected(case, kernel):
    """The definitions, every product and sum rounded once, in the order of the lists."""
    S = sum_type(case.dtype)
    count, channels, height, width = case.pooled.shape
    wide = [array.astype(S) for array in case.maps]
    pooled = case.pooled.astype(S)
    read = np.zeros(case.pooled.shape, S)
    added = [np.zeros_like(array) for array in wide]
    groups = -(-channels // 16)
    lanes = {
        "y": np.zeros((len(case.y[1]), groups * 16), S),
        "x": np.zeros((len(case.x[1]), groups * 16), S),
    }
    for k, i, j in np.ndindex(count, height, width):
        if case.image[k] < 0:
            continue
        X, D = image_of(wide, case.image[k]), image_of(added, case.image[k])
        ys, xs = listed(case.y, k, i), listed(case.x, k, j)
        value = pooled[k, :, i, j]
        if xs:
            for _, y, wy in ys:
                read[k, :, i, j] += along(X[:, y, :], xs) * wy
        for _, x, wx in xs:
            part = value * wx
            for _, y, wy in ys:
                D[:, y, x] += part * wy
        if xs:
            for s, y, _ in listed(case.y, k, i, all_of_them=True):
                lanes["y"][s, :channels] += value * along(X[:, y, :], xs)
    for k in np.flatnonzero(case.image >= 0):
        X = image_of(wide, case.image[k])
        for some in spread(case, k, pooled[k]):
            for j in range(width):
                for t, x, _ in listed(case.x, k, j, all_of_them=True):
                    for y, values in some:
                        lanes["x"][t, :channels] += values[:, j] * X[:, y, x]
    if kernel == "taps_read":
        return [read.astype(case.dtype)]
    if kernel == "taps_add":
        return [array.astype(case.dtype) for array in added]
    return [summed(lanes[axis]) for axis in ("yx" if kernel == "taps_weigh" else kernel[-1])]


def spread(case, k, values):
    """A region's pooled values over the rows of pixels that its taps along y read, as lists of up
    to 16 rows. A tap joins its row where that is one of the last four.
    """
    rows = []
    for i in range(values.shape[1]):
        for _, y, wy in listed(case.y, k, i):
            part = values[:, i] * wy
            place = next((r for r in range(len(rows))[-4:] if rows[r][0] == y), None)
            if place is not None:
                rows[place] = y, rows[place][1] + part
                continue
            if len(rows) == 16:
                yield rows
                rows = []
            rows.append((y, part))
    yield rows


def along(line, taps):
    total = np.zeros(line.shape[0], line.dtype)
    for _, at, weight in taps:
        total += line[:, at] * weight
    return total


def summed(lanes):
    """Sixteen channels halved again and again; then group by group."""
    groups = lanes.reshape(len(lanes), lanes.shape[1] // 16, 16)
    while groups.shape[2] > 1:
        half = groups.shape[2] // 2
        groups = groups[:, :, :half] + groups[:, :, half:]
    total = np.zeros(len(lanes), lanes.dtype)
    for g in range(groups.shape[1]):
        total += groups[:, g, 0]
    return total


def assert_as_defined(case, kernels=KERNELS, **given):
    for kernel in kernels:
        for actual, wanted in zip(case.run(kernel, **given), expected(case, kernel), strict=True):
            assert_same_bits(actual, wanted)


@pytest.mark.parametrize("channels", [1, 3, 17, 67])
@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_as_defined(dtype, channels):
    assert_as_defined(Case(dtype, channels))


@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_layouts(dtype):
    case = Case(dtype, 17, sizes=((2, 9, 14),))
    before = {kernel: expected(case, kernel) for kernel in KERNELS}
    for name, maps in layouts(case.maps[0]).items():
        if name.startswith(("unaligned", "byte", "one channel")):
            continue
        for kernel in KERNELS:
            for last in (False, True):
                pooled = case.pooled
                if last:
                    pooled = unset(pooled, last)
                    pooled[...] = case.pooled
                found = case.run(kernel, maps=[maps], pooled=pooled, last=last)
                assert_same_bits(found[0], before[kernel][0])


@pytest.mark.parametrize(
    "shape",
    [
        {"channels": 0},
        {"count": 0},
        {"sizes": ((2, 0, 5),)},
        {"sizes": ((2, 5, 0), (1, 0, 5))},
        {"most": 0},
        {"sizes": ((0, 5, 5), (2, 5, 5), (0, 3, 4))},
        {"pooled": (1, 1)},
        {"pooled": (19, 23), "count": 2},
        {"pooled": (2, 70), "count": 2},
        {"pooled": (2, 3), "count": 3, "sizes": ((1, 40, 40),), "most": 30},
        {"pooled": (0, 2)},
    ],
    ids=str,
)
def test_empty_and_odd_shapes(shape):
    assert_as_defined(Case(np.float32, **shape))


@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_regions_that_reach_little(dtype):
    case = Case(dtype, 35, sizes=((3, 9, 14),))
    case.maps = [normal_maps(np.random.default_rng(1), (3, 35, 40, 50), dtype)]
    for _, pixel, _ in (case.y, case.x):
        pixel += 20
    wanted = expected(case, "taps_add")[0]
    assert (wanted[:, :, :20] == 0).all()
    assert (wanted[0] != 0).any()
    assert_same_bits(case.run("taps_add")[0], wanted)


@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_a_weight_of_zero_is_no_tap(dtype):
    """Its pixel is not read, be it NaN, and nothing is added to it, be it NaN times zero."""
    case = Case(dtype, 5, sizes=((1, 9, 14),), pooled=(2, 3), count=6)
    for axis in (case.y, case.x):
        axis[2][axis[1] == 4] = 0
    case.maps[0][:, :, 4] = np.nan
    case.maps[0][:, :, :, 4] = np.inf
    case.pooled[...] = np.where(np.arange(6).reshape(6, 1, 1, 1) % 2, np.inf, case.pooled)
    assert np.isfinite(case.run("taps_read")[0].astype(np.float64)).all()
    added = case.run("taps_add")[0].astype(np.float64)
    assert (added[:, :, 4] == 0).all()
    assert (added[:, :, :, 4] == 0).all()
    with np.errstate(invalid="ignore"):
        assert_as_defined(case)


def test_nothing_is_read_outside():
    """Where a weight is zero its pixel may be any number."""
    case = Case(np.float32)
    before = case.run("taps_read")[0]
    for axis in (case.y, case.x):
        axis[1][axis[2] == 0] = -(2**31)
    assert_same_bits(case.run("taps_read")[0], before)


@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_extremes(dtype):
    """Overflow, subnormals, infinities and NaN in values."""
    case = Case(dtype, 17, most=2)
    rng = np.random.default_rng(1)
    top = float(np.finfo(np.float32).max) if dtype != np.float16 else 65504.0
    odd = np.array([top, -top, np.inf, -np.inf, np.nan, 1e-40, -0.0, 6e-8, 1e-5])
    for array in (*case.maps, case.pooled):
        chosen = rng.random(array.shape) < 0.2
        array[chosen] = rng.choice(odd, chosen.sum()).astype(dtype)
    with np.errstate(all="ignore"):
        assert_as_defined(case)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adjoint(dtype):
    case = Case(dtype, 19, count=40)
    pooled = case.run("taps_read")[0].astype(np.float64)
    added = case.run("taps_add")
    left = (pooled * case.pooled).sum()
    right = sum((a.astype(np.float64) * x).sum() for a, x in zip(added, case.maps, strict=True))
    along_y = (case.run("taps_weigh_y")[0].astype(np.float64) * case.y[2]).sum()
    along_x = (case.run("taps_weigh_x")[0].astype(np.float64) * case.x[2]).sum()
    tolerance = {"rel": 1e-4 if dtype == np.float32 else 1e-11}
    for other in (right, along_y, along_x):
        assert other == pytest.approx(left, **tolerance)


# Regions together on a map and each alone; few pixels of a map; a map beyond a core's cache; a map
# too large to pack.
SHAPES = {
    "together": {"sizes": ((1, 30, 40), (1, 20, 50)), "count": 60, "channels": 40},
    "alone": {"sizes": ((3, 40, 30),), "count": 3, "most": 25, "channels": 33},
    "sparse": {"sizes": ((2, 200, 300),), "count": 3, "most": 3, "channels": 33},
    "strips": {"sizes": ((1, 150, 120),), "count": 30, "pooled": (5, 4), "channels": 20},
    "no room": {"sizes": ((1, 900, 800),), "count": 12, "channels": 1, "most": 30},
}


@pytest.mark.parametrize("shape", ["together", "alone", "sparse", "strips"])
def test_paths_as_defined(shape):
    assert_as_defined(Case(np.float32, **SHAPES[shape]))


@pytest.mark.parametrize("isa", _core.isas())
def test_every_instruction_set(isa):
    assert printed_by(isa, __file__) == digests(Case, SHAPES, KERNELS)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is resident on Linux alone")
@pytest.mark.parametrize("kernel", KERNELS)
def test_little_memory(kernel):
    """A quarter of the maps and pooled values, and little beside it."""
    assert memory_taken("test_taps", kernel) < 0.3


if __name__ == "__main__":
    print(json.dumps(digests(Case, SHAPES, KERNELS)))
