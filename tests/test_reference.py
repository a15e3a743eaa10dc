"""The definition's loops on cases small enough to be worked out by hand."""

import numpy as np
import pytest

from roipool import reference

nan, inf = np.nan, np.inf
FOUR = np.arange(16.0).reshape(1, 1, 4, 4)


def line(*values):
    """A map of one row."""
    return np.array(values, float).reshape(1, 1, 1, -1)


def box(x1, y1, x2, y2):
    return np.array([[0, x1, y1, x2, y2]], float)


def plane(values):
    """Of one region and one channel."""
    assert values.shape[:2] == (1, 1)
    return values[0, 0].tolist()


def test_roi_pool_average():
    average = reference.roi_pool_average
    assert plane(average(FOUR, box(0, 0, 3, 3), (2, 2), 1)) == [[2.5, 4.5], [10.5, 12.5]]
    # Three pixels in two bins: they share the middle one.
    assert plane(average(FOUR, box(0, 0, 2, 2), (2, 2), 1)) == [[2.5, 3.5], [6.5, 7.5]]
    # Ends at 0.5 and 2.5 round away from 0: pixels 1 to 3, of which the map has all.
    assert plane(average(FOUR, box(1, 0, 5, 0), (1, 1), 0.5)) == [[2]]
    assert plane(average(FOUR, box(2, 0, 5, 0), (1, 2), 1)) == [[2.5, 0]]
    assert plane(average(FOUR, box(7, 7, 8, 8), (1, 1), 1)) == [[0]]
    assert plane(average(FOUR, box(-1e30, -1e30, 1e30, 1e30), (1, 1), 1)) == [[7.5]]
    assert np.isnan(average(line(1, nan, 3), box(0, 0, 2, 0), (1, 1), 1)).all()


def test_roi_pool_average_backward():
    grad = np.array([[[[2.0, 4.0]]]])
    of_data, of_rois = reference.roi_pool_average_backward(grad, line(0, 0, 0), box(0, 0, 2, 0), 1)
    assert plane(of_data) == [[1, 3, 2]]
    assert not of_rois.any()


def test_roi_align_max_of_interpolated_samples():
    # Samples at 0.75 and 1.75: 0.75 · 4 and 0.25 · 4 − 0.75 · 8.
    data, rois, how = line(0, 4, -8, 2), box(0.75, 0, 2.75, 1), (1, 2, True, False)
    values, _ = reference.roi_align_max(data, rois, (1, 1), *how)
    assert plane(values) == [[3]]
    of_data, of_rois = reference.roi_align_max_backward(np.ones((1, 1, 1, 1)), data, rois, *how)
    assert plane(of_data) == [[0.25, 0.75, 0, 0]]
    # The first of two samples lies at a quarter of the region, where the map rises by 4.
    assert of_rois.tolist() == [[0, 3, 0, 1, 0]]


def test_roi_align_max_of_single_pixels():
    data, rois, how = np.ones((1, 1, 2, 2)), box(0.5, 0.5, 1.5, 1.5), (1, 1, True, True)
    values, _ = reference.roi_align_max(data, rois, (1, 1), *how)
    assert plane(values) == [[0.25]]
    of_data, of_rois = reference.roi_align_max_backward(np.ones((1, 1, 1, 1)), data, rois, *how)
    assert plane(of_data) == [[0.25, 0], [0, 0]]  # of equal ones the first, at the low row and col
    assert of_rois.tolist() == [[0, -0.25, -0.25, -0.25, -0.25]]
    data[0, 0] = [[-1, -2], [nan, -4]]
    assert plane(reference.roi_align_max(data, rois, (1, 1), *how)[0]) == [[-0.25]]


@pytest.mark.parametrize("singly", [True, False])
def test_roi_align_max_knows_nothing_and_nan(singly):
    def pooled(data, *ends, sampling_ratio=2):
        how = 1, sampling_ratio, True, singly
        rois, one = box(*ends), np.ones((1, 1, 1, 1))
        values, _ = reference.roi_align_max(data, rois, (1, 1), *how)
        of_data, of_rois = reference.roi_align_max_backward(one, data, rois, *how)
        return values.item(), bool(of_data.any() or of_rois.any())

    # Of two samples one lies beside the map and counts as 0.
    assert pooled(line(-5, -5), -4, 0, 2, 1) == pooled(line(-5, -5), 0, 0, 6, 1) == (0, False)
    assert pooled(line(5, 5), -4, 0, 2, 1)[0] > 0
    assert pooled(line(nan, nan), -4, 0, 2, 1) == (0, False)
    assert pooled(line(5, 5), 1, 0, 1, 1, sampling_ratio=0) == (0, False)
    value, moved = pooled(np.full((1, 1, 2, 2), nan), 0.5, 0.5, 1, 1)
    assert np.isnan(value)
    assert not moved
    # At 0 and at 1: both exactly on a pixel, and what lies beside is not read.
    assert pooled(line(-inf, 3, nan), 0, 0, 2, 1)[0] == 3
    # Alone on its pixel; of its corners, taken singly, those of weight 0 count as 0.
    expected = (0, False) if singly else (-2, True)
    assert pooled(line(-2, 3), 0, 0, 1, 1, sampling_ratio=1) == expected


def test_ps_roi_pool():
    data = np.array([[[1, 2, 3, 4]] * 2, [[10, 20, 30, 40]] * 2], float)[None]

    def pooled(convention, scale, *ends):
        return plane(reference.ps_roi_pool(data, box(*ends), (1, 2), scale, convention))

    # [0, 4) in two bins, of a channel each.
    assert pooled("rfcn", 1, 0, 0, 3, 0) == [[1.5, 35]]
    # [0, 3) in two: [0, 1.5) and [1.5, 3) touch pixels 0 to 1, and 1 to 2.
    assert pooled("torchvision", 1, 0, 0, 3, 1) == [[1.5, 25]]
    # The last column is never read, nor the last row.
    assert pooled("torchvision", 1, 2, 0, 4, 1) == [[3, 0]]
    assert pooled("torchvision", 1, 0, 1, 3, 2) == [[0, 0]]
    # 1.5 and 2.5 round to 2 and 3 before they are scaled: [1, 2) in halves.
    assert pooled("rfcn", 0.5, 1.5, 0, 2.5, 0) == [[2, 20]]
    # Scaled first, 0.75 and 1.25 round to 1 and 1: one pixel, in halves.
    assert pooled("torchvision", 0.5, 1.5, 0, 2.5, 0) == [[2, 20]]
    # Reversed: a tenth of a pixel, from 2 on.
    assert pooled("rfcn", 1, 2, 0, 0, 0) == [[3, 30]]
    assert pooled("rfcn", 0.25, 11, 0, 0, 0) == [[3, 30]]


def test_ps_roi_pool_backward():
    data, grad = np.zeros((1, 2, 1, 4)), np.array([[[[2.0, 6.0]]]])
    of_data, of_rois = reference.ps_roi_pool_backward(grad, data, box(0, 0, 3, 0), 1, "rfcn")
    assert of_data.tolist() == [[[[1, 1, 0, 0]], [[0, 0, 3, 3]]]]
    assert not of_rois.any()


def test_ps_roi_align():
    data = np.array([[[[0, 1, 2, 3]], [[0, 10, 20, 30]], [[0, 0, 0, 0]], [[5, 5, 5, 5]]]], float)
    # One sample a bin, at 0.5 and 1.5; output channels are of two channels each.
    values = reference.ps_roi_align(data, box(0.5, 0, 2.5, 1), (1, 2), 1, 1)
    assert values.tolist() == [[[[0.5, 15]], [[0, 5]]]]


def test_prroi_pool():
    def pooled(data, *ends):
        return plane(reference.prroi_pool(data, box(*ends), (1, 1), 1))[0][0]

    # The surface of 0, 1, 2, … is a plane: its mean is its value in the middle.
    assert pooled(FOUR, 0.25, 1, 1.5, 2) == pytest.approx(6.875, rel=1e-15)
    # From the border on it falls to 0 within a pixel.
    ones = np.ones((1, 1, 3, 3))
    assert pooled(ones, 2, 0, 3, 2) == 0.5
    assert pooled(ones, -1, -1, 0, 0) == 0.25
    assert pooled(ones, 2.5, 0, 3, 2) == 0.25
    assert pooled(ones, 3, 0, 4, 2) == 0
    assert pooled(ones, 1, 0, 1, 2) == pooled(ones, 2, 0, 1, 2) == 0
    # Boxes of 14 x 14 pixels at half scale in 7 x 7: each bin the mean of 2 x 2 corners.
    data = np.random.default_rng(0).standard_normal((1, 1, 8, 8))
    corners = (data[..., :7, :7] + data[..., 1:, :7] + data[..., :7, 1:] + data[..., 1:, 1:]) / 4
    values = reference.prroi_pool(data, box(0, 0, 14, 14), (7, 7), 0.5)
    np.testing.assert_allclose(values, corners, atol=1e-15)


def test_prroi_pool_backward():
    def of_ends(*ends):
        grad, data = np.ones((1, 1, 1, 1)), np.ones((1, 1, 3, 3))
        return reference.prroi_pool_backward(grad, data, box(*ends), 1)[1][0, 1:].tolist()

    # The mean over [−1, 0] of what rises from 0 to 1 moves by a half of either end.
    assert of_ends(-1, 0, 0, 2) == [0.5, 0, 0.5, 0]
    assert of_ends(2, 0, 3, 2) == [-0.5, 0, -0.5, 0]
    assert of_ends(1, 0, 1, 2) == [0, 0, 0, 0]


def test_prroi_pool_of_a_tiny_bin_is_the_surface_there():
    rois = box(0.6, 1.3, 0.6 + 1e-9, 1.3 + 1e-9)
    np.testing.assert_allclose(
        reference.prroi_pool(FOUR, rois, (1, 1), 1), 0.6 + 4 * 1.3, rtol=1e-6
    )
    _, of_rois = reference.prroi_pool_backward(np.ones((1, 1, 1, 1)), FOUR, rois, 1)
    np.testing.assert_allclose(of_rois, [[0, 0.5, 2, 0.5, 2]], rtol=1e-6)


def test_roi_align_rotated():
    data = np.arange(9.0).reshape(1, 1, 3, 3)

    def pooled(angle, clockwise=False):
        rois = np.array([[0, 1.5, 1.5, 4, 1, angle]])  # two samples, a pixel from the centre
        values = reference.roi_align_rotated(data, rois, (1, 2), 1, 1, True, clockwise)
        return pytest.approx(values.ravel().tolist(), abs=1e-12)

    assert pooled(0) == [3, 5]
    assert pooled(np.pi / 2) == [7, 1]  # what was right of the centre is above it
    assert pooled(np.pi) == [5, 3]
    assert pooled(np.pi / 2, clockwise=True) == [1, 7]
    # A quarter of a turn moves the outer samples into the corners.
    assert pooled(np.arctan(1)) == [4 - 1 / 2**0.5 + 3 / 2**0.5, 4 + 1 / 2**0.5 - 3 / 2**0.5]


def test_roi_align_rotated_backward():
    data, one = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 1, 2))
    one[..., 0] = 0  # the right of two samples, at (1.3, 1) by w / 4
    rois = np.array([[0, 1.5, 1.5, 1.2, 1, 0.0]])
    of_data, of_rois = reference.roi_align_rotated_backward(one, data, rois, 1, 1, True, False)
    np.testing.assert_allclose(plane(of_data), [[0, 0, 0], [0, 0.7, 0.3], [0, 0, 0]], atol=1e-15)
    # The map rises by 1 to the right and by 3 downward; turned, the sample goes up by 0.3.
    np.testing.assert_allclose(of_rois, [[0, 1, 3, 0.25, 0, -0.9]], atol=1e-15)


def test_a_pixel_of_weight_0_is_not_read():
    data, size = line(1, nan), (1, 1)
    boxes, turned = np.zeros((1, 5)), np.array([[0, 0.5, 0.5, 1, 1, 0.0]])
    assert plane(reference.roi_align(data, box(0, 0, 1, 1), size, 1, 1, True)) == [[1]]
    assert plane(reference.ps_roi_align(data, box(0, 0, 1, 1), size, 1, 1)) == [[1]]
    assert plane(reference.prroi_pool(data, box(-1, -1, 0, 0), size, 1)) == [[0.25]]
    assert plane(reference.roi_align_rotated(data, turned, size, 1, 1, True, False)) == [[1]]
    assert plane(reference.crop_and_resize(data, boxes, size, "bilinear", 0)) == [[1]]


def test_crop_and_resize():
    data = np.array([[[[1, 2], [3, 4]]]], float)

    def cropped(*ends, size=(3, 3), method="bilinear"):
        boxes = np.array([[0, *ends]], float)  # y1, x1, y2, x2
        return plane(reference.crop_and_resize(data, boxes, size, method, -9))

    assert cropped(0, 0, 1, 1) == [[1, 1.5, 2], [2, 2.5, 3], [3, 3.5, 4]]
    assert cropped(1, 0, 0, 1) == [[3, 3.5, 4], [2, 2.5, 3], [1, 1.5, 2]]
    assert cropped(0, 0, 1, 1, method="nearest") == [[1, 2, 2], [3, 4, 4], [3, 4, 4]]
    assert cropped(0, -1, 1, 1) == [[-9, 1, 2], [-9, 2, 3], [-9, 3, 4]]
    assert cropped(0.25, 0, 0.75, 1, size=(1, 2)) == [[2, 3]]
    # 57 · (7 / 7) would round beyond the last pixel here.
    whole = np.ones((1, 1, 1, 58), np.float32)
    boxes = np.array([[0, 0, 0, 1, 1]], np.float32)
    assert (reference.crop_and_resize(whole, boxes, (1, 8), "bilinear", 0) == 1).all()


def test_crop_and_resize_backward():
    data, boxes = np.array([[[[0, 8, 4]]]], float), np.array([[0, 0, 0, 0, 0.75]])
    grad = np.array([[[[0, 1.0]]]])
    of_data, of_boxes = reference.crop_and_resize_backward(grad, data, boxes, "bilinear")
    assert plane(of_data) == [[0, 0.5, 0.5]]
    assert of_boxes.tolist() == [[0, 0, 0, 0, -8]]  # two pixels to the box's unit, each −4
    # Of one position either end moves a half.
    of_boxes = reference.crop_and_resize_backward(grad[..., 1:], data, boxes / 1.5, "bilinear")[1]
    assert of_boxes.tolist() == [[0, 0, 8, 0, 8]]
    of_data, of_boxes = reference.crop_and_resize_backward(grad, data, boxes, "nearest")
    assert plane(of_data) == [[0, 0, 1]]
    assert not of_boxes.any()


@pytest.mark.parametrize("F", [np.float32, np.float64])
def test_assign_levels(F):
    def level(width, height, levels=(2, 5)):
        rois = np.array([[0, 10, 20, 10 + width, 20 + height]], F)
        return reference.assign_levels(rois, levels, 224, 4)[0]

    assert [level(side, side) for side in (55, 56, 111, 112, 224, 447, 448, 9000)] == [
        *(2, 2, 2, 3, 4, 4, 5, 5)
    ]
    assert level(448, 112) == 4
    assert level(9000, 9000, levels=(0, 3)) == 3
    assert [level(1, 1, levels=(0, 9)), level(14, 14, levels=(0, 9))] == [0, 0]
    assert level(28, 28, levels=(0, 9)) == 1
    # 2⁻²⁰ of the area is forgiven, 10⁻⁶ and no more.
    assert level(224, 224 - 2**-12) == 3
    assert level(256, 196 - 2**-13) == 4
    assert [level(0, 500), level(-500, 500), level(nan, 500)] == [2, 2, 2]
    assert level(-500, -500) == 5


def test_coordinates_beyond_an_eighth_of_the_largest_number_are_no_region():
    x, y = np.array([[0, 0, 0, 1e38, 1], [0, 0, 0, 1, 1e38]], np.float32)
    known = [reference.is_region(row, 1, (1, 0.01), np.float32) for row in (x, y)]
    assert known == [True, False]
