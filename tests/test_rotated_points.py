"""The native twin of geometry.rotated_points: to rounding as its text, whatever the box."""

import ctypes
import time

import numpy as np
import pytest

import roipool
from roipool import geometry, twins

SHAPES = {
    "one array": ([(2, 1, 13, 17)], [(0.25, 0.25)]),
    "several": (
        [(1, 1, 13, 17), (2, 1, 7, 9), (1, 1, 0, 5), (1, 1, 1, 1)],
        [(0.25, 0.25), (0.125, 0.125), (1, 1), (1, 1)],
    ),
}
HEIGHT, WIDTH = 13, 17  # of the largest map


class WithSinesOfC:
    """NumPy, but for sines and cosines, whose last bit is each library's own."""

    def __init__(self):
        library = ctypes.CDLL(None)
        for name in ("cos", "sin"):
            setattr(self, name, self.of_elements(library, name))

    def __getattr__(self, name):
        return getattr(np, name)

    @staticmethod
    def of_elements(library, name):
        functions = {}
        kinds = ((np.float32, ctypes.c_float, "f"), (np.float64, ctypes.c_double, ""))
        for dtype, kind, suffix in kinds:
            function = functions[dtype] = getattr(library, name + suffix)
            function.restype, function.argtypes = kind, [kind]
        return lambda values: np.array(
            [functions[values.dtype.type](value) for value in values], values.dtype
        )


def turned_boxes(maps, dtype, count=40):
    """Boxes of every size and angle, of no size, of no region."""
    rng = np.random.default_rng(0)
    rois = np.zeros((count, 6))
    rois[:, 0] = rng.integers(-1, sum(maps.images) + 1, count)
    rois[:, 1:3] = rng.uniform(-20, 80, (count, 2))
    rois[:, 3:5] = np.exp(rng.uniform(-2, 5.5, (count, 2)))
    rois[:, 5] = rng.uniform(-7, 7, count)
    rois[::7, 3] = 0
    rois[3::9, 4] = -2
    rois[11::12, 5] = np.resize([np.inf, np.nan, 1e300], len(rois[11::12]))
    rois[::5, 5] = np.round(rois[::5, 5] / (np.pi / 2)) * (np.pi / 2)
    rois[12::8, 1:5] = np.round(rois[12::8, 1:5])
    with np.errstate(over="ignore"):
        return rois.astype(dtype)


def of_pixels(found, slopes):
    """What each bin's pixels weigh, and how that moves, each pixel by itself."""
    ranges = found.points.reshape(-1, 2)
    size = ranges[:, 1] - ranges[:, 0]
    assert (np.diff(ranges[:, 0]) == size[:-1]).all()
    bins = np.repeat(np.arange(len(size)), size)
    pixel = (bins * HEIGHT + found.y_pixel) * WIDTH + found.x_pixel
    terms = [found.weight, *(slopes.weight.T if slopes else [])]
    count = len(size) * HEIGHT * WIDTH
    return np.stack([np.bincount(pixel, term, count) for term in terms]), pixel


@pytest.mark.parametrize(("aligned", "clockwise"), [(False, True), (True, False)])
@pytest.mark.parametrize("ratio", [0, 1, 3, 40])
@pytest.mark.parametrize("shapes", SHAPES)
def test_as_text(shapes, ratio, aligned, clockwise):
    maps, how = geometry.maps_of(*SHAPES[shapes]), (ratio, aligned, clockwise)
    names = "sampling_ratio", "aligned", "clockwise"
    for F in (np.float32, np.float64):
        rois = turned_boxes(maps, F)
        options = dict(zip(names, how, strict=True))
        with np.errstate(all="ignore"):
            wanted, slopes = geometry.rotated_points(
                WithSinesOfC(), rois, maps, (3, 2), F, **options
            )
        expected, _ = of_pixels(wanted, slopes)
        assert (wanted.image < 0).any()
        for moving in (False, True):
            given = rois, maps, (3, 2), F, *how
            (found, moved), known = twins.rotated_points(*given, moving=moving)
            assert not known
            np.testing.assert_array_equal(found.image, wanted.image)
            actual, pixels = of_pixels(found, moved)
            assert len(np.unique(pixels)) == len(pixels)  # each once
            assert found.weight.all() or moving
            assert moving == (moved is not None)
            size = 1 + np.abs(expected[: len(actual)])
            far = (8 + ratio) * np.finfo(F).eps * size  # up to so many samples' terms are summed
            assert np.all(np.abs(actual - expected[: len(actual)]) <= far)


def test_features_and_regions_of_different_types():
    maps = geometry.maps_of(*SHAPES["several"])
    rois = turned_boxes(maps, np.float32)
    given = maps, (3, 2)
    (narrow, _), _ = twins.rotated_points(rois, *given, np.float32, 0, True, False)
    for dtype, kind in ((np.float32, np.float64), (np.float64, np.float32)):
        (found, _), _ = twins.rotated_points(rois.astype(kind), *given, dtype, 0, True, False)
        assert found.weight.dtype == dtype
        np.testing.assert_array_equal(found.x_pixel, narrow.x_pixel)  # F is float32 all the same
        np.testing.assert_allclose(found.weight, narrow.weight, rtol=1e-7)


def test_strides_and_threads():
    maps = geometry.maps_of(*SHAPES["several"])
    rois = turned_boxes(maps, np.float32, 200)
    turned = np.asfortranarray(rois)[::-1][::-1]
    how = maps, (3, 2), np.float32, 0, True, False
    expected, slopes = twins.rotated_points(rois, *how, moving=True, threads=1)[0]
    for given, threads in ((turned, 1), (rois, 2), (rois, 5)):
        found, moved = twins.rotated_points(given, *how, moving=True, threads=threads)[0]
        for one, other in zip((*found, *moved), (*expected, *slopes), strict=True):
            np.testing.assert_array_equal(one, other)
    (none, _), known = twins.rotated_points(rois[:0], *how)
    assert known
    assert none.points.shape == (0, 3, 2, 2)


def huge_boxes(F, exponent, count=12):
    """Boxes whose sides are 10 to that power, or some of them short, and that hold the map."""
    rng = np.random.default_rng(exponent)
    size = 10.0**exponent * rng.uniform(1, 5, (count, 2))
    size[::3, 0], size[1::3, 1] = rng.uniform(3, 60, (2, count // 3))
    angle = rng.choice([0.3, -1.2, np.pi / 2, 1e-7, 2.0], count)
    across, down = rng.uniform(-0.4, 0.4, (2, count)) * size.T
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = 5 - (down * sin + across * cos), 5 - (down * cos - across * sin)
    return np.stack([0 * x, x, y, *size.T, angle], axis=1).astype(F)


def samples_near(size, count, part, low, high, F):
    """Numbers of a bin's samples whose offsets lie between, these offsets, and how many all are."""
    step = F(size) / F(count)
    samples = np.ceil(step)
    begin = -F(size) / F(2) + F(part) * step
    first, last = (min(max((edge - float(begin)), 0), float(samples)) for edge in (low, high))
    number = np.arange(np.floor(first), np.ceil(last)).astype(F)
    return begin + ((number + F(0.5)) * step) / samples, float(samples)


def by_all_samples(roi, size, F):
    """What pixels weigh in each bin: of all samples that lie near the map, each looked at."""
    _, cx, cy, width, height, _ = roi
    cos, sin = (getattr(WithSinesOfC(), name)(roi[5:])[0] for name in ("cos", "sin"))
    cy, cx = cy - F(0.5), cx - F(0.5)
    near = 64 * float(np.finfo(F).eps) * (abs(float(cy)) + abs(float(cx))) + HEIGHT + WIDTH + 9
    down, across = -float(cy), -float(cx)  # to the first pixel
    middle = (
        down * float(cos) + across * float(sin),
        across * float(cos) - down * float(sin),
    )
    weights = np.zeros((*size, HEIGHT, WIDTH))
    for i, j in np.ndindex(*size):
        yy, of_y = samples_near(height, size[0], i, middle[0] - near, middle[0] + near, F)
        xx, of_x = samples_near(width, size[1], j, middle[1] - near, middle[1] + near, F)
        yy, xx = yy[:, None], xx[None]
        y, x = (yy * cos - xx * sin) + cy, (yy * sin + xx * cos) + cx
        on_map = (y >= -1) & (y <= HEIGHT) & (x >= -1) & (x <= WIDTH)
        rows, columns = (
            (np.floor(q).astype(int), q - np.floor(q), last)
            for q, last in (
                (np.clip(y[on_map], 0, HEIGHT - 1), HEIGHT - 1),
                (np.clip(x[on_map], 0, WIDTH - 1), WIDTH - 1),
            )
        )
        for row, of_row in ((rows[0], 1 - rows[1]), (np.minimum(rows[0] + 1, rows[2]), rows[1])):
            for column, of_column in (
                (columns[0], 1 - columns[1]),
                (np.minimum(columns[0] + 1, columns[2]), columns[1]),
            ):
                np.add.at(weights[i, j], (row, column), of_row * of_column / (of_y * of_x))
    return weights


@pytest.mark.parametrize(
    ("F", "exponent"), [(np.float32, e) for e in (3, 5, 6, 7, 8)] + [(np.float64, 12)]
)
def test_huge_boxes(F, exponent):
    """Where not all samples are walked, those on the map are, also where many lie in one place."""
    maps = geometry.maps_of([(1, 1, HEIGHT, WIDTH)], [(1.0, 1.0)])
    rois = huge_boxes(F, exponent)
    (found, _), known = twins.rotated_points(rois, maps, (3, 2), F, 0, True, False)
    assert known
    actual = of_pixels(found, None)[0].reshape(len(rois), -1)
    for roi, weights in zip(rois, actual, strict=True):
        expected = by_all_samples(roi, (3, 2), F).ravel()
        assert expected.any()
        np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-6 * expected.max())


@pytest.mark.parametrize("F", [np.float32, np.float64])
def test_any_finite_box_is_soon_done(F):
    maps = geometry.maps_of([(1, 1, 50, 70)], [(1.0, 1.0)])
    begin = time.perf_counter()
    for exponent in (10, 12, 15, 20, 30, 36):
        rois = huge_boxes(F, exponent)
        rois[::4, 3] = 2e7
        (found, slopes), known = twins.rotated_points(
            rois, maps, (7, 7), F, 0, True, False, moving=True
        )
        assert known
        assert len(found.weight) <= len(rois) * 49 * 50 * 70
        assert np.isfinite(found.weight).all()
        assert np.isfinite(slopes.weight).all()
        assert found.weight.sum() < len(rois) / 10
    assert time.perf_counter() - begin < 60  # one by one, samples would take for ever


def test_the_text_refuses_what_it_would_list_one_by_one():
    maps = geometry.maps_of([(1, 1, 8, 8)], [(1.0, 1.0)])
    how = {"sampling_ratio": 0, "aligned": True, "clockwise": False}
    for sides in ((1e5, 2), (2, 1e5)):
        roi = np.array([[0, 2, 2, *sides, 0.1]])
        with pytest.raises(
            ValueError, match=r"^sampling_ratio is 0, and a region has 50000 pixels"
        ):
            geometry.rotated_points(np, roi, maps, (2, 2), np.float64, **how)


def test_more_samples_than_can_be_listed():
    side = 2**17
    maps = geometry.maps_of([(1, 1, side, side)], [(1.0, 1.0)])
    roi = np.array([[0, side / 2, side / 2, side, side, 0.5]])
    with pytest.raises(MemoryError, match=r"2\^31 samples or more of a bin"):
        twins.rotated_points(roi, maps, (1, 1), np.float64, 0, True, False)
    (few, _), _ = twins.rotated_points(roi, maps, (2, 2), np.float64, 3, True, False)
    assert len(few.weight) <= 4 * 9 * 4


def test_many_regions_are_those_one_by_one_and_errors_come_first():
    """NumPy lists so many together, and no more."""
    rng, count = np.random.default_rng(0), 600
    data = rng.standard_normal((2, 3, 10, 12)).astype(np.float32)
    columns = [
        rng.integers(-1, 2, (count, 1)),
        rng.uniform(0, 50, (count, 2)),
        rng.uniform(1, 40, (count, 2)),
        rng.uniform(-4, 4, (count, 1)),
    ]
    rois = np.concatenate(columns, 1).astype(np.float32)
    values = roipool.roi_align_rotated(data, rois, 2, 0.25)
    alone = [roipool.roi_align_rotated(data, roi[None], 2, 0.25) for roi in rois]
    np.testing.assert_array_equal(values, np.concatenate(alone))
    rois[590, 0] = 7
    with pytest.raises(IndexError, match=r"rois\[590\] has batch index 7"):
        roipool.roi_align_rotated(data, rois, 2, 0.25, out=values)
    np.testing.assert_array_equal(values, np.concatenate(alone))
