"""The definition's gradients against central differences, and what holds of every operator."""

import itertools
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import pytest

from roipool import reference

SIZE, SHAPE, COUNT = (3, 2), (2, 6, 9, 8), 16
RATIOS, BOTH = (0, 2), (True, False)
nan, inf = np.nan, np.inf


@dataclass(frozen=True)
class Variant:
    """An operator and its options after the pooled size."""

    name: str
    options: tuple

    def __str__(self):
        return " ".join(map(str, (self.name, *self.options)))

    def pool(self, data, rois, size=SIZE):
        values = getattr(reference, self.name)(data, rois, size, *self.options)
        return values[0] if isinstance(values, tuple) else values

    def backward(self, grad, data, rois):
        options = self.options[:-1] if self.name == "crop_and_resize" else self.options
        return getattr(reference, f"{self.name}_backward")(grad, data, rois, *options)

    @property
    def moves(self):
        """Whether the values move with the regions, and do not only jump."""
        whole_pixels = "roi_pool_average", "ps_roi_pool"
        return self.name not in whole_pixels and "nearest" not in self.options

    def rois(self, rng):
        """Regions inside and across every border of the map, some reversed or of next to no
        size; of each, ends that are no whole numbers of pixels.
        """
        height, width = SHAPE[2:]
        size = np.exp(rng.uniform(np.log(0.05), np.log(1.5 * height), (COUNT, 2)))
        centre = rng.uniform(-0.1, 1.1, (COUNT, 2)) * [width, height]
        index = rng.integers(0, SHAPE[0], (COUNT, 1))
        if self.name == "roi_align_rotated":
            angle = rng.uniform(-7, 7, (COUNT, 1))
            return np.concatenate([index, centre / 0.7, size / 0.7, angle], axis=1)
        ends = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
        ends[::8] = ends[::8][:, [2, 3, 0, 1]]
        if self.name == "crop_and_resize":
            return np.concatenate([index, ends[:, [1, 0, 3, 2]] / 8], axis=1)
        return np.concatenate([index, ends / 0.7], axis=1)


VARIANTS = [
    Variant("roi_pool_average", (0.7,)),
    Variant("ps_roi_pool", (0.7, "rfcn")),
    Variant("ps_roi_pool", (0.7, "torchvision")),
    *(Variant("roi_align", (0.7, *how)) for how in itertools.product(RATIOS, BOTH)),
    *(Variant("ps_roi_align", (0.7, ratio)) for ratio in RATIOS),
    *(Variant("roi_align_max", (0.7, *how)) for how in itertools.product(RATIOS, BOTH, BOTH)),
    Variant("prroi_pool", (0.7,)),
    *(Variant("roi_align_rotated", (0.7, *how)) for how in itertools.product(RATIOS, BOTH, BOTH)),
    Variant("crop_and_resize", ("bilinear", 0.5)),
    Variant("crop_and_resize", ("nearest", 0.5)),
]
EACH = list({variant.name: variant for variant in VARIANTS}.values())
SCALES = (0.5, 0.9)  # along y and along x
PAIRS = [
    Variant(variant.name, (SCALES, *variant.options[1:]))
    for variant in EACH
    if variant.name != "crop_and_resize"
]
each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
each_operator = pytest.mark.parametrize("variant", EACH, ids=str)


def some(variant, dtype=np.float64, size=SIZE):
    rng = np.random.default_rng(0)
    data = rng.standard_normal(SHAPE).astype(dtype)
    rois = variant.rois(rng).astype(np.float64 if dtype == np.float64 else np.float32)
    values = variant.pool(data, rois, size)
    return data, rois, values, rng.standard_normal(values.shape).astype(dtype)


@pytest.mark.parametrize("variant", VARIANTS + PAIRS, ids=str)
def test_central_differences(variant):
    data, rois, values, grad = some(variant)
    assert np.count_nonzero(values) > values.size / 4
    of_data, of_rois = variant.backward(grad, data, rois)

    step = 1e-6
    towards = np.random.default_rng(1).standard_normal(SHAPE)
    rise = variant.pool(data + step * towards, rois) - variant.pool(data - step * towards, rois)
    assert np.sum(of_data * towards) == pytest.approx(np.sum(grad * rise) / (2 * step), rel=1e-7)

    assert not of_rois[:, 0].any()
    assert of_rois.any() == variant.moves
    for column in range(1, rois.shape[1]) if variant.moves else ():
        step = np.zeros_like(rois)
        step[:, column] = 1e-6
        rise = grad * (variant.pool(data, rois + step) - variant.pool(data, rois - step))
        expected = rise.sum(axis=(1, 2, 3)) / 2e-6
        np.testing.assert_allclose(of_rois[:, column], expected, rtol=1e-5, atol=1e-6)


@each_variant
def test_no_region_no_value_and_no_gradient(variant):
    data, rois, _, _ = some(variant)
    rows = rois[[0] * 7]
    rows[:3, 0] = -1, SHAPE[0], 0.5
    rows[3:6, [1, 2, 3]] = np.where(np.eye(3), [nan, inf, -inf], rows[3:6, [1, 2, 3]])
    rows[6, -1] = inf
    values = variant.pool(data, rows)
    assert not values.any()
    assert not any(part.any() for part in variant.backward(np.ones_like(values), data, rows))


@pytest.mark.parametrize("ends", [(4, 3), (3, 4)])
def test_no_rotated_region_of_a_negative_size(ends):
    data, rows = np.ones(SHAPE), np.array([[0, 4, 4, *ends, 0.3]] * 2)
    rows[1, 3:5] -= 3.5
    assert [
        of_row.any() for of_row in reference.roi_align_rotated(data, rows, SIZE, 1, 2, 1, 0)
    ] == [
        True,
        False,
    ]


@each_variant
def test_what_has_no_weight_is_not_read(variant):
    """Of a map of NaN: all of a region that lies beside it."""
    rotated = variant.name == "roi_align_rotated"
    rois = np.array([[0, 90, 80, 95, 88]] if not rotated else [[0, 90, 80, 9, 5, 0.5]], float)
    data = np.full(SHAPE, nan)
    values = variant.pool(data, rois)
    assert (values == (0.5 if variant.name == "crop_and_resize" else 0)).all()
    assert not any(part.any() for part in variant.backward(np.ones_like(values), data, rois))


@each_operator
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
def test_half_types_are_summed_in_float32_and_rounded_once(variant, dtype):
    data, rois, values, grad = some(variant, np.dtype(dtype))
    of_data, of_rois = variant.backward(grad, data, rois)
    assert values.dtype == of_data.dtype == dtype
    assert of_rois.dtype == np.float32
    wide = data.astype(np.float32), rois
    np.testing.assert_array_equal(values, variant.pool(*wide).astype(dtype))
    expected = variant.backward(grad.astype(np.float32), *wide)
    np.testing.assert_array_equal(of_data, expected[0].astype(dtype))
    np.testing.assert_array_equal(of_rois, expected[1])


@each_variant
def test_huge_regions_take_no_time(variant):
    huge = [(-1e30, -1e30, 1e30, 1e30), (-1e30, 0, 3, 1e30), (1e30, 1e30, 2e30, 2e30)]
    huge += [(-(2**31), -(2**31), 2**31, 2**31), (2**24 + 2, 0, 2**25, 3), (-1e9, 2, 1e9, 4)]
    if variant.name == "roi_align_rotated":  # centres, sizes and angles instead
        huge = [((a + c) / 2, (b + d) / 2, c - a, d - b, t) for a, b, c, d in huge for t in (0, 1)]
    rois = np.array([(0, *row) for row in huge], np.float32)
    data = np.ones(SHAPE, np.float32)
    values = variant.pool(data, rois)
    parts = variant.backward(np.ones_like(values), data, rois)
    assert all(np.isfinite(part).all() for part in (values, *parts))
    assert (values < 1 + 1e-5).all()


def surface(plane, y, x):
    """Bilinear between pixels, the nearest pixel's value within one of the border, then 0."""
    height, width = plane.shape
    known = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = np.minimum(y, height - 2).astype(int), np.minimum(x, width - 2).astype(int)
    down, right = y - top, x - left
    upper = plane[top, left] * (1 - right) + plane[top, left + 1] * right
    lower = plane[top + 1, left] * (1 - right) + plane[top + 1, left + 1] * right
    return known * (upper * (1 - down) + lower * down)


@pytest.mark.parametrize("sampling_ratio", RATIOS)
@pytest.mark.parametrize("F", [np.float32, np.float64])
def test_rotated_regions_have_all_their_samples(F, sampling_ratio):
    """However far they reach beyond the map."""
    rng = np.random.default_rng(3)
    data = rng.standard_normal((1, 1, 7, 5)).astype(F)
    for _ in range(40):
        row = [0, *rng.uniform(-20, 40, 2), *rng.uniform(1, 90, 2), rng.uniform(-4, 4)]
        rois = np.array([row], F)
        _, cx, cy, w, h, angle = rois[0].astype(float)
        grid = [sampling_ratio or int(np.ceil(side / 2)) for side in (h, w)]
        parts = [np.arange(0.5, 2 * g) / (2 * g) - 0.5 for g in grid]
        down, right = np.meshgrid(h * parts[0], w * parts[1], indexing="ij")
        y = down * np.cos(angle) - right * np.sin(angle) + cy - 0.5
        x = down * np.sin(angle) + right * np.cos(angle) + cx - 0.5
        samples = surface(data[0, 0].astype(float), y, x)
        expected = samples.reshape(2, grid[0], 2, grid[1]).mean(axis=(1, 3))
        values = reference.roi_align_rotated(data, rois, (2, 2), 1, sampling_ratio, True, False)
        tolerance = 1e-12 if F is np.float64 else 1e-4
        np.testing.assert_allclose(values[0, 0], expected, atol=tolerance)


def test_upright_rotated_regions_are_aligned_ones():
    data, rois, *_ = some(Variant("roi_align", (0.7, 0, True)))
    rois[:, 3:] = rois[:, 1:3] + np.abs(rois[:, 3:] - rois[:, 1:3])
    sides = rois[:, 3:] - rois[:, 1:3]
    turned = np.column_stack([rois[:, :1], rois[:, 1:3] + sides / 2, sides, 0 * sides[:, 0]])
    np.testing.assert_allclose(
        reference.roi_align_rotated(data, turned, SIZE, 0.7, 2, True, False),
        reference.roi_align(data, rois, SIZE, 0.7, 2, True),
        atol=1e-12,
    )


def test_integrals_cell_by_cell():
    """In a cell between four pixels the surface is bilinear: its mean is that in the middle."""
    data, rois, values, _ = some(Variant("prroi_pool", (0.7,)))
    around = np.pad(data, [(0, 0), (0, 0), (1, 1), (1, 1)])

    def cells(c1, c2, length):
        edges = np.clip([c1, *range(-1, length + 1), c2], -1, length)
        edges = np.unique(edges[(edges >= c1) & (edges <= c2)])
        return (edges[1:] + edges[:-1]) / 2, np.diff(edges) / (c2 - c1)

    for k, (x1, y1, x2, y2) in enumerate(0.7 * rois[:, 1:]):
        expected = np.zeros_like(values[k])
        for i, j in np.ndindex(*SIZE) if x1 < x2 and y1 < y2 else ():
            h, w = (y2 - y1) / SIZE[0], (x2 - x1) / SIZE[1]
            y, of_y = cells(y1 + i * h, y1 + (i + 1) * h, SHAPE[2])
            x, of_x = cells(x1 + j * w, x1 + (j + 1) * w, SHAPE[3])
            for c, plane in enumerate(around[int(rois[k, 0])]):
                means = surface(plane, *np.meshgrid(y + 1, x + 1, indexing="ij"))
                expected[c, i, j] = of_y @ means @ of_x
        np.testing.assert_allclose(values[k], expected, atol=1e-12)
