"""The kernels of samples against their definitions as loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import FLOATS, assert_same_bits, layouts, odd_maps
from roipool import _core
from sample_cases import KERNELS, Case, assert_as_defined, expected, unset

IDS = [np.dtype(t).name for t in FLOATS]


@pytest.mark.parametrize("channels", [1, 3, 17, 33])
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
                pooled = unset(case.pooled.shape, dtype, last)
                pooled[...] = case.pooled
                found = case.run(kernel, maps=[maps], pooled=pooled, last=last)
                for actual, wanted in zip(found, before[kernel], strict=True):
                    assert_same_bits(actual, wanted)


@pytest.mark.parametrize("number", [True, False])
@pytest.mark.parametrize("pooled", [(20, 19), (3, 7), (2, 300)])  # beyond a tile of bins too
def test_which_sample_need_not_be_asked_for(pooled, number):
    case = Case(np.float32, 19, pooled=pooled, count=4)
    (values, *numbers), (wanted, argmax) = (
        case.run("samples_max", number=number),
        expected(case, "samples_max"),
    )
    assert_same_bits(values, wanted)
    assert len(numbers) == number
    for found in numbers:
        assert_same_bits(found, argmax)


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
        {"pooled": (0, 2)},
        {"pooled": (2, 0)},
        {"pooled": (1, 2), "count": 3, "most": 40},  # more than are compared together
        {"pooled": (2, 3), "count": 3, "most": 150, "channels": 2},
        {"pooled": (1, 1), "sizes": ((1, 40, 40),), "most": 90, "count": 3, "channels": 9},
    ],
    ids=str,
)
def test_empty_and_odd_shapes(shape):
    assert_as_defined(Case(np.float32, **shape))


@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_samples_without_pixels(dtype):
    """Of maps without any, and outside of those with some, whatever the taps say."""
    case = Case(dtype, 5, pooled=(2, 3))
    for axis in (case.y, case.x):
        axis[2][...] = 0
        axis[1][...] = -(2**31)
    values, argmax = case.run("samples_max")
    assert not values.any()
    some = (case.samples()[:, None] > 0) & (case.image[:, None, None, None] >= 0)
    np.testing.assert_array_equal(argmax, np.where(some, 0, -1) + np.zeros_like(argmax))
    before = case.run("samples_read")[0], *case.run("samples_add")
    assert not any(np.any(array) for array in before)
    case.maps = [array[:, :, :0] for array in case.maps]
    for kernel in KERNELS:
        for result in case.run(kernel):
            assert not result.any() or kernel == "samples_max"


def one_bin(values, dtype=np.float32):
    """A region of one bin whose samples are the pixels of a row, of one channel each."""
    values = np.asarray(values, dtype)
    case = Case(dtype, len(values), sizes=((1, 1, values.shape[1]),), pooled=(1, 1), count=1)
    case.maps = [values[None, :, None, :]]
    case.image[:] = 0
    pixels = np.arange(values.shape[1], dtype=np.int32).repeat(2)
    weights = np.tile(np.array([1, 0], case.sums), values.shape[1])
    case.x = np.array([[[0, len(pixels)]]], np.int32), pixels, weights
    case.y = np.array([[[0, 2]]], np.int32), np.zeros(2, np.int32), np.array([1, 0], case.sums)
    return case


nan, inf = np.nan, np.inf


@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_the_first_largest_wins_and_nan_loses(dtype):
    rows = {
        (1, 2, 2, 1): (2, 1),
        (3, 3, 3, 3): (3, 0),
        (nan, 1, nan, 0): (1, 1),
        (nan, nan, nan, nan): (nan, -1),
        (-inf, nan, -inf, -inf): (-inf, 0),
        (nan, -inf, nan, -inf): (-inf, 1),
        (-5, -7, -2, nan): (-2, 2),
        (inf, 3, inf, nan): (inf, 0),
        (-0.0, 0.0, -0.0, -1): (0, 0),
        (-1, -0.0, 0.0, -2): (0, 1),
    }
    case = one_bin(list(rows), dtype)
    values, argmax = case.run("samples_max")
    np.testing.assert_array_equal(argmax.ravel(), [number for _, number in rows.values()])
    wanted = np.array([value for value, _ in rows.values()], dtype).reshape(values.shape)
    assert_same_bits(values, wanted)


def test_a_sample_that_counts_as_nothing_is_0():
    """It is more than anything negative, and less than anything positive, and NaN stays out."""
    case = one_bin([[-1, -2, nan, -3], [-1, -2, nan, 3], [nan, nan, nan, nan]])
    case.x[2][4] = 0
    values, argmax = case.run("samples_max")
    np.testing.assert_array_equal(values.ravel(), [0, 3, 0])
    np.testing.assert_array_equal(argmax.ravel(), [2, 3, 2])
    case.y[2][...] = 0
    values, argmax = case.run("samples_max")
    assert not values.any()
    assert not argmax.any()


@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_a_weight_of_zero_is_no_tap(dtype):
    """Its pixel is not read, be it NaN, and nothing is added to it, be it NaN times zero."""
    case = Case(dtype, 5, sizes=((1, 9, 14),), pooled=(2, 3), count=6)
    for axis in (case.y, case.x):
        axis[2][axis[1] == 4] = 0
    case.maps[0][:, :, 4] = np.nan
    case.maps[0][:, :, :, 4] = np.inf
    case.pooled[...] = np.where(np.arange(6).reshape(6, 1, 1, 1) % 2, np.inf, case.pooled)
    for kernel in ("samples_max", "samples_read"):
        assert np.isfinite(case.run(kernel)[0].astype(np.float64)).all()
    added = case.run("samples_add")[0].astype(np.float64)
    assert (added[:, :, 4] == 0).all()
    assert (added[:, :, :, 4] == 0).all()
    with np.errstate(invalid="ignore"):
        assert_as_defined(case)


def test_nothing_is_read_outside():
    """Where a weight is zero its pixel may be any number; and lists may be longer than bins'."""
    case = Case(np.float32)
    before = {kernel: case.run(kernel) for kernel in KERNELS[:3]}
    for axis in (case.y, case.x):
        axis[1][axis[2] == 0] = -(2**31)
    more = np.array([2**31 - 1, -7], np.int32)
    case.y, case.x = (
        (taps, np.append(pixel, more), np.append(weight, [nan, 0]).astype(weight.dtype))
        for taps, pixel, weight in (case.y, case.x)
    )
    for kernel, results in before.items():
        for actual, wanted in zip(case.run(kernel), results, strict=True):
            assert_same_bits(actual, wanted)
    assert all((weights[-2:] == 0).all() for weights in case.run("samples_weigh"))


@pytest.mark.parametrize("number", [-2, -(2**31), 2**31 - 1, "samples"])
@pytest.mark.parametrize("kernel", KERNELS[1:])
def test_an_argmax_that_is_no_sample_of_its_bin(kernel, number):
    case = Case(np.float32, 5, seed=3)
    case.image[:] = 0
    # What no tap of the region weighs in is not looked at.
    for axis in (case.y, case.x):
        axis[2][axis[2] == 0] = 1
    k, i, j = np.argwhere(case.samples() > 0)[0]
    case.argmax[k, 2, i, j] = case.samples()[k, i, j] if number == "samples" else number
    inside, found = case.tried(kernel)
    assert not inside
    case.argmax[k, 2, i, j] = -1
    for actual, wanted in zip(found, case.run(kernel), strict=True):
        assert_same_bits(actual, wanted)
    case.argmax[k] = 2**31 - 1
    case.image[k] = -1  # a padding row's argmax says nothing
    assert case.tried(kernel)[0]


@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_extremes(dtype):
    """Overflow, subnormals, infinities and NaN in values, and many ties."""
    case = Case(dtype, 17, most=2)
    rng = np.random.default_rng(1)
    top = float(np.finfo(np.float32).max) if dtype != np.float16 else 65504.0
    odd = np.array([top, -top, np.inf, -np.inf, np.nan, 1e-40, -0.0, 6e-8, 1e-5])
    for array in (*case.maps, case.pooled):
        chosen = rng.random(array.shape) < 0.2
        array[chosen] = rng.choice(odd, chosen.sum()).astype(dtype)
    with np.errstate(all="ignore"):
        assert_as_defined(case)
        case.maps = [odd_maps(rng, array.shape, dtype) for array in case.maps]
        assert_as_defined(case)


@settings(max_examples=40, deadline=None)
@given(
    dtype=st.sampled_from(FLOATS),
    channels=st.integers(1, 20),
    sizes=st.lists(
        st.tuples(*[st.integers(0, 2)] + [st.integers(0, 7)] * 2), min_size=1, max_size=3
    ),
    pooled=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    count=st.integers(0, 4),
    most=st.integers(0, 5),
    levels=st.integers(1, 9),  # few of them: ties
    seed=st.integers(0, 2**20),
)
def test_any(dtype, channels, sizes, pooled, count, most, levels, seed):
    sizes = (*sizes, (1, 3, 4))  # at least one image
    case = Case(dtype, channels, sizes, pooled, count, most, seed)
    rng = np.random.default_rng(seed)
    case.maps = [rng.integers(-levels, levels, array.shape).astype(dtype) for array in case.maps]
    for axis in (case.y, case.x):
        axis[2][...] = rng.integers(0, 3, len(axis[2])) / 2
    assert_as_defined(case)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adjoint(dtype):
    """All kernels of the form give one number; at what the maximum found, it is that."""
    case = Case(dtype, 19, count=40)
    values, case.argmax = case.run("samples_max")
    assert_same_bits(case.run("samples_read")[0], values)
    left = (values.astype(np.float64) * case.pooled).sum()
    added = case.run("samples_add")
    right = sum((a.astype(np.float64) * x).sum() for a, x in zip(added, case.maps, strict=True))
    along_y = (case.run("samples_weigh_y")[0].astype(np.float64) * case.y[2]).sum()
    along_x = (case.run("samples_weigh_x")[0].astype(np.float64) * case.x[2]).sum()
    tolerance = {"rel": 1e-4 if dtype == np.float32 else 1e-11}
    for other in (right, along_y, along_x):
        assert other == pytest.approx(left, **tolerance)


def test_integers():
    case = Case(np.float32, 3)
    (y_taps, y_pixel, y_weight), (x_taps, x_pixel, x_weight) = case.y, case.x
    inputs = [a.view(np.int32) for a in case.maps], y_weight, x_weight, case.image
    with pytest.raises(ValueError, match="floating features"):
        _core.run(
            "samples_max",
            "int32",
            (*inputs, y_taps, y_pixel, x_taps, x_pixel),
            [case.pooled.view(np.int32), case.argmax],
        )


def test_more_samples_than_can_be_counted():
    case = Case(np.float32, 1, sizes=((1, 1, 1),), pooled=(1, 1), count=1)
    case.image[:] = 0
    many = np.zeros(2 * 46_341, np.int32)
    case.y = case.x = np.array([[[0, len(many)]]], np.int32), many, many.astype(np.float32)
    with pytest.raises(ValueError, match="more samples than int32 can count"):
        case.run("samples_max")
