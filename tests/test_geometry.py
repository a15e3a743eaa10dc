import contextlib
import importlib.util

import array_api_strict
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roipool import _core, geometry, reference, twins
from roipool.geometry import bins as bins_of_axis

NAMESPACES = {"numpy": np, "strict": array_api_strict}
if importlib.util.find_spec("jax"):
    import jax

    NAMESPACES["jax"] = jax.numpy  # compiled, where XLA may move an edge
SIZES = range(1, 401)
POOLED = range(1, 15)


def bins_of(rois, shape, pooled_size, scale, xp=np, F=np.float32):
    """The bins by the array text; the native twin must give the same."""
    bins = array_bins(rois, shape, pooled_size, scale, xp, F)
    for kind in {np.dtype(F), np.dtype(rois.dtype)}:
        rois = rois.astype(kind)
        if kind != F:  # float64 rows for float32 features
            bins = array_bins(rois, shape, pooled_size, scale, np, F)
        twin = native_bins(rois, shape, pooled_size, scale, F)
        for ours, theirs in zip(twin, bins, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    return bins


def native_bins(rois, shape, pooled_size, scale, F):
    counts = [(), *((count, 2) for count in pooled_size)]
    bins = geometry.Bins(*(np.full((len(rois), *count), -5, np.int32) for count in counts))
    in_double = F is np.float64 and rois.dtype == np.float64
    maps = geometry.maps_of([shape], [(scale, scale)])
    all_regions = _core.bins(np.asfortranarray(rois), maps, in_double, bins)
    assert all_regions == np.all(bins.image >= 0)
    return bins


def array_bins(rois, shape, pooled_size, scale, xp, F):
    dtype = xp.float32 if F is np.float32 else xp.float64
    compiled = xp.__name__ == "jax.numpy"

    def bins(rois):
        maps = geometry.maps_of([shape], [(scale, scale)])
        return geometry.max_bins(xp, rois, maps, pooled_size, dtype)

    with contextlib.ExitStack() as settings:
        settings.enter_context(np.errstate(over="ignore", invalid="ignore"))
        if compiled:
            settings.enter_context(jax.enable_x64(True))
        found = (jax.jit(bins) if compiled else bins)(xp.asarray(rois))
    return geometry.Bins(*(np.asarray(part) for part in found))


def expected_rows(c1, c2, length, count, scale, F):
    return [reference.axis_bins(a, b, length, count, scale, F) for a, b in zip(c1, c2, strict=True)]


@pytest.mark.parametrize("xp", NAMESPACES.values(), ids=NAMESPACES)
@pytest.mark.parametrize("F", [np.float32, np.float64])
@pytest.mark.parametrize("count", POOLED)
def test_every_size_at_every_pooled_size(count, F, xp):
    sizes = np.array(SIZES, F)
    for begin, length in [(0, 500), (-7, 300), (3.5, 401)]:
        rois = np.zeros((len(sizes), 5), F)
        rois[:, 1], rois[:, 3] = begin, begin + sizes - 1
        bins = bins_of(rois, (1, 1, 1, length), (1, count), 1.0, xp, F)
        expected = expected_rows(rois[:, 1], rois[:, 3], length, count, 1.0, F)
        np.testing.assert_array_equal(bins.x_bins, expected)
        np.testing.assert_array_equal(bins.image, 0)
        np.testing.assert_array_equal(bins.y_bins, np.broadcast_to([[[0, 1]]], bins.y_bins.shape))


def test_division_then_rounding_is_part_of_the_definition():
    # 57 pixels in 7 bins: float32 puts the last bin one pixel past the region.
    for size in (57, 114, 121, 228):
        bins = bins_of(np.array([[0, 0, 0, size - 1, 0]], np.float32), (1, 1, 1, 900), (1, 7), 1.0)
        assert bins.x_bins[0, -1, 1] == size + 1


@pytest.mark.parametrize("xp", NAMESPACES.values(), ids=NAMESPACES)
@pytest.mark.parametrize("F", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 0.0625, 1 / 3, 0.7])
def test_ties_and_their_neighbours(scale, F, xp):
    ties = np.arange(-20, 20, dtype=F) + F(0.5)
    s = F(np.float32(scale))
    near = np.concatenate([np.nextafter(ties, F(-99)), ties, np.nextafter(ties, F(99))]) / s
    near = np.concatenate([near, np.nextafter(near, F(-999)), np.nextafter(near, F(999))])
    rois = np.zeros((len(near), 5), F)
    rois[:, 1], rois[:, 3] = near, near[::-1]
    rois[:, 2], rois[:, 4] = near[::-1], near
    bins = bins_of(rois, (1, 1, 12, 15), (3, 4), scale, xp, F)
    np.testing.assert_array_equal(bins.x_bins, expected_rows(*rois.T[[1, 3]], 15, 4, scale, F))
    np.testing.assert_array_equal(bins.y_bins, expected_rows(*rois.T[[2, 4]], 12, 3, scale, F))


def huge(F):
    """Whole numbers of every magnitude, near powers of two, where sums stop being exact."""
    powers = [2.0**e for e in (*range(20, 34), 51, 52, 53, 54, 60, 75, 100)]
    near = [np.nextafter(F(p), F(side)) for p in powers for side in (0, p, np.inf)]
    return [F(v) for v in (*near, 1e30, 3e7, 123456789)]


@pytest.mark.parametrize("xp", NAMESPACES.values(), ids=NAMESPACES)
@pytest.mark.parametrize("F", [np.float32, np.float64])
def test_huge_coordinates_as_in_unbounded_integers(F, xp):
    values = huge(F)
    c1, c2 = (m.ravel() for m in np.meshgrid([-v for v in values] + values, values))
    rois = np.zeros((len(c1), 5), F)
    rois[:, 1], rois[:, 3] = c1, c2
    bins = bins_of(rois, (1, 1, 1, 1000), (1, 3), 1.0, xp, F)
    np.testing.assert_array_equal(bins.x_bins, expected_rows(c1, c2, 1000, 3, 1.0, F))


def test_the_tie_that_only_the_one_breaks():
    # b − a lies halfway between two floats; with the + 1 it lies above. Rounding the difference
    # first, to even, would lose that.
    b, a = 2.0**60, -(2.0**36)
    size = bins_of_axis.inclusive_size(np, np.array([a], np.float32), np.array([b], np.float32))
    assert size[0] == reference.to_float(2**60 + 2**36 + 1, np.float32) > np.float32(b - a)


@pytest.mark.parametrize("F", [np.float32, np.float64])
@pytest.mark.parametrize("length", [2**24, 2**24 + 1, 2**31 - 1])
def test_long_maps(F, length):
    c1 = np.array([0, length // 2, length - 100, -5, -(2**26)], F)
    c2 = np.array([length, length, length + 3, length + 2**25, 2**32], F)
    rois = np.zeros((len(c1), 5), F)
    rois[:, 1], rois[:, 3] = c1, c2
    bins = bins_of(rois, (1, 1, 1, length), (1, 7), 1.0, F=F)
    np.testing.assert_array_equal(bins.x_bins, expected_rows(c1, c2, length, 7, 1.0, F))


coordinate = st.floats(allow_nan=True, allow_infinity=True, width=32)
index = st.one_of(st.integers(-3, 5).map(float), coordinate)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(index, *[coordinate] * 4), min_size=1, max_size=5),
    st.sampled_from([1.0, 0.0625, 0.7, 1e-6, 3.0, 1e10]),
    st.integers(0, 40),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([np.float32, np.float64]),
)
@example([(0.0, 3e38, 0.0, 3e38, 1.0)], 3.0, 7, (2, 2), np.float32)
@example([(0.0, -4e37, 0.0, 4e37, 1.0)], 1.0, 7, (2, 2), np.float32)
def test_any_row(rows, scale, length, pooled_size, F):
    rois = np.array(rows, F)
    bins = bins_of(rois, (4, 1, length, length + 1), pooled_size, scale, F=F)
    for k, (image, x1, y1, x2, y2) in enumerate(rois):
        if reference.is_region(rois[k], 4, scale, F):
            assert bins.image[k] == image
            expected = reference.axis_bins(y1, y2, length, pooled_size[0], scale, F)
            np.testing.assert_array_equal(bins.y_bins[k], expected)
            expected = reference.axis_bins(x1, x2, length + 1, pooled_size[1], scale, F)
            np.testing.assert_array_equal(bins.x_bins[k], expected)
        else:
            assert bins.image[k] == -1
            assert np.all(bins.y_bins[k, :, 0] >= bins.y_bins[k, :, 1])
            assert np.all(bins.x_bins[k, :, 0] >= bins.x_bins[k, :, 1])


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_rounding_half_away_from_zero(value):
    value = np.float32(np.clip(value, -1e38, 1e38))
    rounded = bins_of_axis.round_half_away(np, np.array([value]))
    assert int(rounded[0]) == reference.round_half_away(value)


@pytest.mark.parametrize("width", [17, 2**24 + 3, 2**31 - 1])
@pytest.mark.parametrize("F", [np.float32, np.float64])
def test_several_arrays_with_scales_of_each_axis(F, width):
    shapes = [(1, 1, 13, width), (2, 1, 7, 9), (1, 1, 0, 5)]
    maps = geometry.maps_of(shapes, [(0.25, 0.3), (0.125, 0.1), (1, 0.7)])
    rng = np.random.default_rng(6)
    rois = rng.uniform(-20, 200, (300, 5))
    rois[:, 0] = rng.choice([-1, 0, 1, 2, 3, 4, 0.5, np.nan], 300)
    rois[::5, 3] = width * rng.uniform(3.2, 3.4, 60)
    with np.errstate(invalid="ignore"):
        wanted = geometry.max_bins(np, rois.astype(F), maps, (3, 7), F)
    (found, _), known = twins.max_bins(rois.astype(F), maps, (3, 7), F)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not known
    assert found.x_bins[found.image == 0].max() == width
