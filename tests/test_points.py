"""The kernels of points against their definitions as loops, on every path to the same bits."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import FLOATS, assert_same_bits, layouts
from kernel_runs import digests, memory_taken, printed_by, unset
from point_cases import KERNELS, Case, expected
from roipool import _core

IDS = [np.dtype(t).name for t in FLOATS]


def assert_as_defined(case, kernels=KERNELS, **given):
    for kernel in kernels:
        for actual, wanted in zip(case.run(kernel, **given), expected(case, kernel), strict=True):
            assert_same_bits(actual, wanted)


@pytest.mark.parametrize("channels", [1, 3, 17, 33, 67, 150])
@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_as_defined(dtype, channels):
    assert_as_defined(Case(dtype, channels))


@pytest.mark.parametrize("channels", [7, 17, 40])
@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_layouts(dtype, channels):
    case = Case(dtype, channels, sizes=((2, 9, 14),))
    for name, maps in layouts(case.maps[0]).items():
        if name.startswith(("unaligned", "byte")):
            continue
        case.maps = [maps]
        before = {kernel: expected(case, kernel) for kernel in KERNELS}
        for kernel in KERNELS:
            for last in (False, True):
                pooled = case.pooled
                if last:
                    pooled = unset(pooled, last)
                    pooled[...] = case.pooled
                found = case.run(kernel, pooled=pooled, last=last)
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
        {"pooled": (1, 1), "most": 200},
        {"pooled": (19, 23), "count": 2},
        {"pooled": (2, 70), "count": 2},
        {"pooled": (1, 2), "count": 3, "sizes": ((1, 40, 40),), "most": 300, "spread": 9},
        {"pooled": (0, 2)},
        {"pooled": (2, 0)},
    ],
    ids=str,
)
def test_empty_and_odd_shapes(shape):
    assert_as_defined(Case(np.float32, **shape))


@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_lists_in_any_order(dtype):
    """Those of bins need not follow each other."""
    case = Case(dtype, count=30)
    ranges = np.random.default_rng(1).permutation(case.points.reshape(-1, 2))
    case.points = ranges.reshape(case.points.shape)
    assert_as_defined(case)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_small_call(draw):
    def some(least, most):
        return draw.draw(st.integers(least, most))

    sizes = tuple((some(0, 2), some(0, 12), some(0, 12)) for _ in range(some(1, 3)))
    case = Case(
        draw.draw(st.sampled_from(FLOATS)),
        channels=some(0, 70),
        sizes=sizes,
        pooled=(some(0, 4), some(0, 4)),
        count=some(0, 6) if sum(n for n, _, _ in sizes) else 0,
        most=some(0, 40),
        spread=draw.draw(st.sampled_from([0.1, 1, 5, 40])),
        seed=some(0, 2**32 - 1),
    )
    assert_as_defined(case, threads=some(1, 3))


@pytest.mark.parametrize("channels", [5, 40])
@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_a_weight_of_zero_is_no_point(dtype, channels):
    """Its pixel is not read, be it NaN, and nothing is added to it, be it NaN times zero."""
    case = Case(dtype, channels, sizes=((1, 9, 14),), count=12)
    case.weight[(case.y == 4) | (case.x == 4)] = 0
    case.maps[0][:, :, 4] = np.nan
    case.maps[0][:, :, :, 4] = np.inf
    assert np.isfinite(case.run("points_read")[0].astype(np.float64)).all()
    case.pooled[::2] = np.inf
    added = case.run("points_add")[0].astype(np.float64)
    assert (added[:, :, 4] == 0).all()
    assert (added[:, :, :, 4] == 0).all()
    with np.errstate(invalid="ignore"):
        assert_as_defined(case)


def test_nothing_is_read_outside():
    """A point outside the map is none, however far; nor is one that no bin has."""
    case = Case(np.float32, sizes=((1, 9, 14),))
    owned = np.zeros(case.length, bool)
    for k, i, j in np.ndindex(case.points.shape[:3]):
        owned[slice(*case.points[k, i, j])] = case.image[k] >= 0
    inside = (case.y >= 0) & (case.y < 9) & (case.x >= 0) & (case.x < 14)
    before = {kernel: case.run(kernel) for kernel in KERNELS}
    far = np.resize(np.array([-(2**31), 2**31 - 1, -1, 14], np.int32), case.length)
    case.y = np.where(inside & owned, case.y, far)
    case.x = np.where(inside & owned, case.x, np.roll(far, 1))
    case.weight[~(inside & owned)] = np.nan
    for kernel in KERNELS:
        assert_same_bits(case.run(kernel)[0], before[kernel][0])
    weighed = case.run("points_weigh")[0]
    assert (weighed[~(inside & owned)] == 0).all()
    assert (weighed[inside & owned & (case.weight == 0)] != 0).all()


@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_extremes(dtype):
    """Overflow, subnormals, infinities and NaN in values."""
    case = Case(dtype, 37)
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
    pooled = case.run("points_read")[0].astype(np.float64)
    left = (pooled * case.pooled).sum()
    pairs = zip(case.run("points_add"), case.maps, strict=True)
    right = sum((added.astype(np.float64) * maps).sum() for added, maps in pairs)
    weighed = (case.run("points_weigh")[0].astype(np.float64) * case.weight).sum()
    tolerance = {"rel": 1e-4 if dtype == np.float32 else 1e-11}
    assert right == pytest.approx(left, **tolerance)
    assert weighed == pytest.approx(left, **tolerance)


# Regions together on a map and each alone; few pixels of a map; a map beyond a core's cache; a map
# too large to pack.
SHAPES = {
    "together": {"sizes": ((1, 30, 40), (1, 20, 50)), "count": 60, "channels": 40},
    "alone": {"sizes": ((2, 200, 300),), "count": 6, "most": 20, "channels": 33},
    "sparse": {"sizes": ((2, 200, 300),), "count": 3, "channels": 33, "spread": 40},
    "strips": {"sizes": ((1, 150, 120),), "count": 30, "most": 80, "channels": 20, "spread": 30},
    "no room": {"sizes": ((1, 900, 800),), "count": 12, "channels": 1, "most": 4000, "spread": 250},
    "channels": {"channels": 300, "count": 20},
}


@pytest.mark.parametrize("shape", ["together", "alone", "sparse", "strips", "channels"])
def test_paths_as_defined(shape):
    assert_as_defined(Case(np.float32, **SHAPES[shape]))


@pytest.mark.parametrize("isa", _core.isas())
def test_every_instruction_set(isa):
    assert printed_by(isa, __file__) == digests(Case, SHAPES, KERNELS)


def test_a_large_result_is_as_its_parts():
    """It is written around the caches."""
    case = Case(np.float32, 130, count=800, pooled=(7, 7))
    assert case.pooled.nbytes > 16 << 20
    (whole,) = case.run("points_read")
    (by_channel,) = case.run("points_read", last=True)
    assert_same_bits(by_channel, whole)
    image, points, pooled = case.image, case.points, case.pooled
    for first in range(0, 800, 300):
        part = slice(first, first + 300)
        case.image, case.points, case.pooled = image[part], points[part], pooled[part]
        assert_same_bits(case.run("points_read")[0], whole[part])


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is resident on Linux alone")
@pytest.mark.parametrize("kernel", KERNELS)
def test_little_memory(kernel):
    """A quarter of the maps and pooled values, and little beside it."""
    assert memory_taken("point_cases", kernel) < 0.3


def test_points_of_padding_are_not_looked_at():
    case = Case(np.float32, 3)
    before = {kernel: case.run(kernel) for kernel in KERNELS}
    case.points[case.image < 0] = [-5, 10**9]
    for kernel in KERNELS:
        for actual, wanted in zip(case.run(kernel), before[kernel], strict=True):
            assert_same_bits(actual, wanted)


if __name__ == "__main__":
    print(json.dumps(digests(Case, SHAPES, KERNELS)))
