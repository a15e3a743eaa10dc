"""The texts of geometry beside roi_pool's and roi_align's: one each, the same bits everywhere."""

import contextlib
import importlib.util
import itertools

import numpy as np
import pytest

from roipool import geometry, reference
from twin_cases import (
    CASES,
    ONE_OF_EACH,
    SHAPES,
    STILL,
    assert_same,
    boxes_of,
    corners,
    far_corners,
    listed,
    of_text,
)

NAMESPACES = {}
if importlib.util.find_spec("torch"):
    import torch

    NAMESPACES["torch"] = torch
if importlib.util.find_spec("jax"):
    import jax

    NAMESPACES["jax.jit"] = jax.numpy  # compiled, where XLA may move an edge
FAMILY = [(name, options) for name, options in CASES if name != "align_taps" or options.get("each")]
COMPILED = [case for case in ONE_OF_EACH if case[0] != "align_taps"]
ONE_MAP = geometry.maps_of([(1, 1, 9, 12)], [(1.0, 1.0)])


def in_namespace(xp, name, rois, maps, dtype, options):
    """Taps of a text; compiled where the namespace has a compiler."""
    text, dtype = getattr(geometry, name), xp.float64 if dtype is np.float64 else xp.float32

    def taps(rois):
        traced = xp is NAMESPACES.get("jax.jit")
        found = text(xp, rois, maps, (3, 7), dtype, traced=traced, **options)
        return found if name in STILL else found[0]

    if xp is not NAMESPACES.get("jax.jit"):
        found = taps(xp.asarray(rois))
    else:
        with jax.enable_x64(True) if dtype == xp.float64 else contextlib.nullcontext():
            found = jax.jit(taps)(xp.asarray(rois))
    return geometry.Taps(*map(np.asarray, found))


def assert_as_numpy(xp, name, shapes, F, options):
    maps = geometry.maps_of(*SHAPES[shapes])
    rois = np.concatenate([corners(maps, F, 60)[::3], far_corners(F, 100)])
    with np.errstate(invalid="ignore"):
        rois = boxes_of(name, rois, maps)
    wanted, _ = listed(name, *of_text(name, rois, maps, (3, 7), F, options))
    found, _ = listed(name, in_namespace(xp, name, rois, maps, F, options), None)
    assert_same(found, wanted)


@pytest.mark.parametrize(("name", "options"), FAMILY, ids=str)
@pytest.mark.skipif("torch" not in NAMESPACES, reason="PyTorch is not installed")
def test_tensors_give_the_same_bits(name, options):
    for shapes, F in itertools.product(("one array", "several"), (np.float32, np.float64)):
        assert_as_numpy(NAMESPACES["torch"], name, shapes, F, options)


@pytest.mark.parametrize(("name", "options"), COMPILED, ids=str)
@pytest.mark.skipif("jax.jit" not in NAMESPACES, reason="JAX is not installed")
def test_what_is_compiled_gives_the_same_bits(name, options):
    """Of one variant of each: compiling is slow."""
    assert_as_numpy(NAMESPACES["jax.jit"], name, "several", np.float32, options)


@pytest.mark.parametrize("rois_dtype", [np.float32, np.float64])
def test_means_are_rounded_as_sums_are(rois_dtype):
    rois = np.array([[0, 1, 1, 3, 7]], rois_dtype)
    found = geometry.average_taps(np, rois, ONE_MAP, (1, 1), np.float64)
    assert set(found.x_weight) == {1 / 3}
    assert set(found.y_weight) == {1 / 7}
    found = geometry.position_sensitive_taps(
        np, rois, ONE_MAP, (1, 1), np.float64, convention="rfcn"
    )
    assert set(found.y_weight) == {1 / 7}


def test_an_index_that_is_whole_only_when_rounded_is_none():
    rois = np.array([[1e-50, 1, 1, 3, 7], [-1e-50, 1, 1, 3, 7], [0, 1, 1, 3, 7]])
    for convention in ("rfcn", "torchvision"):
        found = geometry.position_sensitive_taps(
            np, rois, ONE_MAP, (1, 1), np.float32, convention=convention
        )
        np.testing.assert_array_equal(found.image, [-1, -1, 0])


def test_corners_are_rounded_up_to_the_largest():
    maps = geometry.maps_of([(1, 1, 9, 12)], [(1 / 16, 1 / 16)])
    rois = np.array([[0, -2e38, -2e38, 2e38, 2e38]], np.float32)
    found = geometry.position_sensitive_taps(np, rois, maps, (1, 1), np.float32, convention="rfcn")
    assert found.image[0] == 0
    assert len(found.x_pixel) == 12
    np.testing.assert_allclose(found.y_weight, 1 / 9)


@pytest.mark.parametrize("length", [2**24 + 3, 2**31 - 1])
@pytest.mark.parametrize("convention", ["rfcn", "torchvision"])
def test_bins_of_whole_pixels_end_where_a_long_map_does(convention, length):
    maps = geometry.maps_of([(1, 1, 1, length)], [(1.0, 1.0)])
    rois = np.array([[0, length - 300, 0, length + 9e6, 1]], np.float32)
    with np.errstate(all="ignore"):
        found = geometry.position_sensitive_taps(
            np, rois, maps, (1, 7), np.float32, convention=convention, traced=False
        )
    last = length - 1 - (convention == "torchvision")
    assert found.x_pixel[found.x_weight != 0].max() == last


def test_integrals_know_the_pixels_of_a_long_map():
    length = 2**25 + 3
    maps = geometry.maps_of([(1, 1, 1, length)], [(1.0, 1.0)])
    rois = np.array([[0, 2**25 - 64, 0, 2**25, 1]], np.float32)
    found, _ = geometry.integral_taps(np, rois, maps, (1, 1), np.float32)
    weight = found.x_weight[found.x_weight != 0]
    np.testing.assert_array_equal(weight, np.array([0.5, *[1] * 63, 0.5]) / 64)


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1, 30])
def test_slopes_of_integrals_do_not_cancel(size):
    """In float32 as in float64, however small the bins."""
    rng = np.random.default_rng(0)
    begin = rng.integers(0, 8, (50, 2)) + rng.choice([0, 0.5], (50, 2))  # exact, as is the size
    size = 2.0 ** np.round(np.log2(size))
    rois = np.concatenate([np.zeros((50, 1)), begin, begin + size], axis=1)
    rois = rois[(rois[:, 1:] == rois[:, 1:].astype(np.float32)).all(1)]
    assert len(rois) > 20
    for axis, exact in zip(
        geometry.integral_taps(np, rois.astype(np.float32), ONE_MAP, (2, 2), np.float32)[1],
        geometry.integral_taps(np, rois, ONE_MAP, (2, 2), np.float64)[1],
        strict=True,
    ):
        np.testing.assert_allclose(axis, exact, atol=1e-6)


@pytest.mark.parametrize(
    ("F", "exponents"), [(np.float32, range(2, 19, 2)), (np.float64, range(2, 30, 3))]
)
def test_samples_of_far_boxes_are_those_on_the_map(F, exponents):
    """All places on the map are listed, and one beside it, where positions are whole pixels too."""
    length, rng = 50, np.random.default_rng(1)
    maps = geometry.maps_of([(1, 1, 1, length)], [(1.0, 1.0)])
    for exponent in exponents:
        ends = rng.uniform(-10, 10, 2) * 10.0**exponent
        roi = np.array([[0, min(ends), 0, max(ends), 1]], F)
        count = int(rng.integers(1, 5))
        with np.errstate(all="ignore"):
            (found, _), wanted = (
                geometry.align_samples(
                    np, roi, maps, (1, count), F, sampling_ratio=0, aligned=True, singly=False
                ),
                [
                    places_on_the_map(roi[0, 1], roi[0, 3], length, p, count, F)
                    for p in range(count)
                ],
            )
        for (begin, end), places in zip(found.x_taps[0], wanted, strict=True):
            weight = found.x_weight[begin:end].reshape(-1, 2)
            pixel = found.x_pixel[begin:end].reshape(-1, 2)
            some = weight.any(1)
            assert {*zip(pixel[some, 0], weight[some, 0], strict=True)} == places
            assert len(weight) < 4 * length


def places_on_the_map(c1, c2, length, part, count, F):
    """The pixel before each sample of a bin, and what it weighs."""
    start = F(c1) - F(0.5)
    step = ((F(c2) - F(0.5)) - start) / F(count)
    samples = int(np.ceil(step))

    def position(i):
        return (start + F(part) * step) + ((F(i) + F(0.5)) * step) / F(samples)

    places = set()
    for i, _ in reference.inside(position, samples, length):
        inside = min(max(position(i), F(0)), F(length - 1))
        places.add((int(np.floor(inside)), 1 - (inside - np.floor(inside))))
    return places


def test_slopes_of_turned_boxes_on_several_maps():
    """As on either map by itself, whatever the scales of the others."""
    rois = np.array([[0, 20, 20, 16, 24, 0.4], [1, 40, 30, 20, 30, -1]], np.float64)
    shapes, scales = [(1, 1, 9, 12), (1, 1, 20, 9)], [(0.25, 0.25), (0.125, 0.125)]
    options = {"sampling_ratio": 2, "aligned": True, "clockwise": False}

    def slopes(rois, shapes, scales):
        maps = geometry.maps_of(shapes, scales)
        return geometry.rotated_points(np, rois, maps, (2, 3), np.float64, **options)[1].weight

    each = [
        slopes(np.insert(roi[1:], 0, 0)[None], shapes[k : k + 1], scales[k : k + 1])
        for k, roi in enumerate(rois)
    ]
    np.testing.assert_array_equal(slopes(rois, shapes, scales), np.concatenate(each))
