import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import roipool
from cases import (
    DTYPES,
    NAMES,
    assert_same_bits,
    inf,
    layouts,
    nan,
    normal_maps,
    odd_boxes,
    odd_maps,
    random_boxes,
    unaligned,
)
from roipool import reference

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)


def assert_as_reference(data, rois, pooled_size, scale):
    """Values with and without argmax, and argmax, against the definition."""
    size = (pooled_size, pooled_size) if isinstance(pooled_size, int) else pooled_size
    expected, expected_argmax = reference.roi_pool(data, rois, size, scale)
    values, argmax = roipool.roi_pool(data, rois, pooled_size, scale, return_argmax=True)
    assert_same_bits(values, expected)
    assert_same_bits(argmax, expected_argmax)
    assert_same_bits(roipool.roi_pool(data, rois, pooled_size, scale), expected)


def test_the_seed():
    x = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
    y = [[0, 0, 0, 4, 4]]
    np.testing.assert_array_equal(roipool.roi_pool(x, y, (2, 2), 1.0), [[[[14, 16], [26, 28]]]])
    np.testing.assert_array_equal(roipool.roi_pool(x, y, (2, 2), 0.7), [[[[7, 9], [19, 21]]]])


def test_nested_lists():
    x = np.arange(48.0).reshape(1, 1, 8, 6)
    out = roipool.roi_pool(x.tolist(), [[0, 0, 0, 4, 4]], 2)
    assert_same_bits(out, roipool.roi_pool(x, np.array([[0, 0, 0, 4, 4]]), (2, 2), 1.0))


@each_dtype
@pytest.mark.parametrize("channels", [1, 3, 16, 17, 67])
def test_odd_maps_and_odd_regions(dtype, channels):
    rng = np.random.default_rng(channels)
    data = odd_maps(rng, (1, channels, 11, 9), dtype)
    assert_as_reference(data, odd_boxes(11, 9), (3, 4), 1.0)


@each_dtype
@pytest.mark.parametrize("scale", [1.0, 0.0625, 1 / 3, 0.7])
def test_random_regions_on_several_images(dtype, scale):
    rng = np.random.default_rng(7)
    data = odd_maps(rng, (3, 5, 13, 21), dtype)
    rois = random_boxes(rng, 24, 3, 13, 21, scale)
    rois[::7, 0] = -1
    assert_as_reference(data, rois, (5, 3), scale)


@pytest.mark.parametrize(
    "pooled_size", [1, 2, 7, (1, 9), (3, 5), (14, 14), (28, 28), (2, 300), (300, 1)]
)
@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float32, np.float64])
def test_pooled_sizes(dtype, pooled_size):
    rng = np.random.default_rng(3)
    data = odd_maps(rng, (1, 18, 6, 30), dtype)
    assert_as_reference(data, random_boxes(rng, 3, 1, 6, 30), pooled_size, 1.0)


@each_dtype
def test_every_layout(dtype):
    rng = np.random.default_rng(5)
    maps = odd_maps(rng, (2, 70, 7, 19), dtype)
    rois = np.concatenate([random_boxes(rng, 12, 2, 7, 19), odd_boxes(7, 19)])
    for data in layouts(maps).values():
        expected = roipool.roi_pool(data.copy().astype(dtype), rois, 3, return_argmax=True)
        values, argmax = roipool.roi_pool(data, rois, 3, return_argmax=True)
        assert_same_bits(values, expected[0])
        assert_same_bits(argmax, expected[1])
        assert_same_bits(roipool.roi_pool(data, rois, 3), expected[0])


@pytest.mark.parametrize("width", [1, 3, 15, 17])
@pytest.mark.parametrize("channels", [1, 3, 16, 17])
def test_narrow_maps_in_every_layout(channels, width):
    # Short rows are read beyond their end, but never beyond the array's.
    rng = np.random.default_rng(width)
    maps = normal_maps(rng, (2, channels, 3, width))
    rois = random_boxes(rng, 9, 2, 3, width)
    expected = roipool.roi_pool(maps, rois, 2)
    for name, data in layouts(maps).items():
        if name != "one channel for all":
            assert_same_bits(roipool.roi_pool(data, rois, 2), expected)


def test_regions_in_every_layout():
    rng = np.random.default_rng(8)
    data = normal_maps(rng, (2, 3, 9, 9))
    rows = random_boxes(rng, 12, 2, 9, 9)
    record = np.zeros(12, [("pad", "i1"), ("row", "f4", 5)])
    record["row"] = rows
    expected = roipool.roi_pool(data, rows, 2)
    for rois in (record["row"], unaligned(rows), np.asfortranarray(rows), rows[::-1].copy()[::-1]):
        assert_same_bits(roipool.roi_pool(data, rois, 2), expected)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_small_call(draw):
    rng = np.random.default_rng(draw.draw(st.integers(0, 2**32)))
    shape = tuple(draw.draw(st.integers(1, n)) for n in (3, 20, 24, 24))
    scale = draw.draw(st.sampled_from([1.0, 0.5, 0.125, 0.3]))
    dtype = draw.draw(st.sampled_from(DTYPES))
    rois_dtype = draw.draw(st.sampled_from([np.float32, np.float64, np.float16, np.int64]))
    count = draw.draw(st.integers(1, 6))
    rois = random_boxes(rng, count, shape[0], *shape[2:], scale, rois_dtype)
    size = (draw.draw(st.integers(1, 6)), draw.draw(st.integers(1, 6)))
    assert_as_reference(odd_maps(rng, shape, dtype), rois, size, scale)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_coordinates_are_float64_only_when_both_are(dtype):
    # 0.49999999 rounds to 0 in float64, and to 1 after it became 0.5 in float32.
    data = np.arange(4, dtype=dtype).reshape(1, 1, 1, 4)
    rois = np.array([[0, 0.49999999, 0, 0.49999999, 0]])
    assert_as_reference(data, rois, 1, 1.0)
    assert roipool.roi_pool(data, rois, 1)[0, 0, 0, 0] == (0 if dtype == np.float64 else 1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_coordinates_of_any_byte_order(order):
    rng = np.random.default_rng(2)
    data = normal_maps(rng, (2, 3, 9, 9), np.float64)
    rois = random_boxes(rng, 30, 2, 9, 9, 0.3, np.float64)
    expected = roipool.roi_pool(data, rois, 3, 0.3)
    swapped = roipool.roi_pool(data.astype(order + "f8"), rois.astype(order + "f8"), 3, 0.3)
    assert_same_bits(swapped, expected)


def test_half_features_do_not_round_coordinates():
    data = np.arange(3000, dtype=np.float16).reshape(1, 1, 1, 3000)
    rois = np.array([[0, 2049, 0, 2049, 0]], np.float32)  # no float16 lies at 2049
    assert roipool.roi_pool(data, rois, 1)[0, 0, 0, 0] == data[0, 0, 0, 2049]


@pytest.mark.parametrize("fill", [-inf, nan, np.finfo(np.float32).min])
def test_the_least_values_are_not_mistaken_for_an_empty_bin(fill):
    # MXNet and torchvision answer −3.4e38 for the first two.
    data = np.full((1, 2, 4, 4), fill, np.float32)
    values, argmax = roipool.roi_pool(data, [[0, 0, 0, 3, 3]], 2, return_argmax=True)
    np.testing.assert_array_equal(values, np.float32(fill))
    first = [[0, 2], [8, 10]] if fill == fill else -1
    np.testing.assert_array_equal(argmax, np.broadcast_to(first, argmax.shape))


def test_nan_does_not_hide_what_came_before_it():
    # ONNX Runtime forgets the 9.
    data = np.array([9, nan, 1, 2], np.float32).reshape(1, 1, 1, 4)
    values, argmax = roipool.roi_pool(data, [[0, 0, 0, 3, 0]], 1, return_argmax=True)
    assert values.item() == 9
    assert argmax.item() == 0


@pytest.mark.parametrize("first", [0.0, -0.0])
def test_of_equal_zeros_the_first_wins_to_the_bit(first):
    data = np.full((1, 1, 8, 8), -1, np.float32)
    data[0, 0, 1, 6], data[0, 0, 2, 0] = first, -first
    for rois in ([[0, 0, 0, 7, 7]], [[0, 0, 0, 7, 7]] * 40):
        values, argmax = roipool.roi_pool(data, rois, 1, return_argmax=True)
        assert np.all(np.signbit(values) == np.signbit(first))
        assert np.all(argmax == 14)
        assert_same_bits(roipool.roi_pool(data, rois, 1), values)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.float32])
def test_a_bin_of_the_least_number_has_a_position(dtype):
    least = -inf if dtype == np.float32 else np.iinfo(dtype).min
    data = np.full((1, 1, 3, 3), least, dtype)
    values, argmax = roipool.roi_pool(data, [[0, 1, 1, 2, 2]], 1, return_argmax=True)
    assert values.item() == least
    assert argmax.item() == 4


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
def test_nothing_to_pool(shape):
    data = np.zeros(shape, np.float32)
    none = np.zeros((0, 5), np.float32)
    assert roipool.roi_pool(data, none, (2, 3)).shape == (0, shape[1], 2, 3)
    assert roipool.roi_pool(data, [], (2, 3)).shape == (0, shape[1], 2, 3)
    index = 0 if shape[0] else -1
    rois = np.array([[index, 0, 0, 3, 3]], np.float32)
    values, argmax = roipool.roi_pool(data, rois, (2, 3), return_argmax=True)
    assert_same_bits(values, np.zeros((1, shape[1], 2, 3), np.float32))
    assert_same_bits(argmax, np.full((1, shape[1], 2, 3), -1, np.int32))


def test_a_box_far_outside_costs_nothing():
    data = normal_maps(np.random.default_rng(0), (1, 2, 50, 50))
    rois = np.array([[0, -1e30, -1e30, 1e30, 1e30], [0, 1e9, 1e9, 2e9, 2e9]] * 1000, np.float32)
    values = roipool.roi_pool(data, rois, 7)
    assert values[0, :, 3, 3].tolist() == data.max(axis=(2, 3))[0].tolist()
    assert not values[1].any()


def test_more_than_two_thousand_million_pixels_in_one_map():
    side = 46_400  # side² = 2.15e9 > 2**31: positions need int64
    data = np.zeros((1, 1, side, side), np.int8)
    data[0, 0, -2, -3] = 5
    box = [0, side - 40, side - 40, side - 1, side - 1]
    values, argmax = roipool.roi_pool(data, [box, box], 2, return_argmax=True)
    assert argmax.dtype == np.int64
    assert values[0, 0].tolist() == [[0, 0], [0, 5]]
    assert argmax[0, 0, 1, 1] == (side - 2) * side + side - 3
    grad = roipool.roi_pool_backward(
        np.ones((2, 0, 2, 2), np.float16), argmax[:, :0], [box, box], (1, 0, side, side)
    )
    assert grad.shape == (1, 0, side, side)


def test_more_than_two_thousand_million_elements_in_all():
    data = np.zeros((3, 9, 10_000, 10_000), np.uint8)  # 2.7e9; pages never touched take no room
    data[2, 8, -1, -1] = 7
    rois = [[2, 9990, 9990, 9999, 9999], [0, 0, 0, 5, 5]]
    values, argmax = roipool.roi_pool(data, rois, 1, return_argmax=True)
    assert values[:, :, 0, 0].tolist() == [[0] * 8 + [7], [0] * 9]
    assert argmax[0, 8, 0, 0] == 99_999_999
