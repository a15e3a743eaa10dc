"""Every error of the specification what came, what was expected, a way out."""

import numpy as np
import pytest

import roipool

DATA = np.zeros((2, 3, 8, 8), np.float32)
nan, inf = np.nan, np.inf


def row(*values):
    return np.array([[0, 0, 0, 1, 1], [1, 0, 0, 1, 1], values], np.float64)


ROWS = [
    ((2, 0, 0, 4, 4), IndexError, "rois[2] has batch index 2, but data holds 2 images (0 to 1); "
     "use a negative index for a padding row"),
    ((1e9, 0, 0, 4, 4), IndexError, "rois[2] has batch index 1000000000, but data holds 2 images"),
    ((0.5, 0, 0, 4, 4), ValueError, "rois[2] has batch index 0.5, which is no whole number"),
    ((-0.5, 0, 0, 4, 4), ValueError, "rois[2] has batch index -0.5, which is no whole number"),
    ((nan, 0, 0, 4, 4), ValueError, "rois[2] has batch index nan, which is no whole number"),
    ((inf, 0, 0, 4, 4), ValueError, "rois[2] has batch index inf, which is no whole number"),
    ((-inf, 0, 0, 4, 4), ValueError, "rois[2] has batch index -inf, which is no whole number"),
    ((0, nan, 0, 4, 4), ValueError, "rois[2, 1] (x1) is nan; expected a finite coordinate"),
    ((0, 0, inf, 4, 4), ValueError, "rois[2, 2] (y1) is inf; expected a finite coordinate"),
    ((1, 0, 0, -inf, nan), ValueError, "rois[2, 3] (x2) is -inf; expected a finite coordinate"),
    ((1, 0, 0, 0, nan), ValueError, "rois[2, 4] (y2) is nan; expected a finite coordinate"),
    ((0, 0, 0, 4, 1e300), ValueError, "rois[2, 4] (y2) is 1e+300, which overflows when multiplied "
     "by spatial_scale 1.0; clip the boxes to the image"),
]  # fmt: skip


def test_one_image():
    with pytest.raises(IndexError, match=r"batch index 1, but data holds one image \(index 0\);"):
        roipool.roi_pool(DATA[:1], [[1, 0, 0, 1, 1]], 2)


def test_no_image_at_all():
    with pytest.raises(IndexError, match=r"rois\[0\] has batch index 0, but data holds no image"):
        roipool.roi_pool(DATA[:0], [[0, 0, 0, 1, 1]], 2)


FORMS = r"expected an array \(K, 5\) of rows \[batch_index, x1, y1, x2, y2\], or a sequence"
BOX = [[0, 0, 0, 1, 1]]
OUT = np.zeros((1, 3, 2, 2), np.float32)
ARGUMENTS = [
    ({"data": DATA[0]}, ValueError, r"data has shape \(3, 8, 8\); expected feature maps \(N, C, H"),
    ({"data": DATA.astype(complex)}, TypeError, "data has dtype complex128; expected one of floa"),
    ({"data": DATA.astype(object)}, TypeError, "data has dtype object; .* convert with astype"),
    ({"data": DATA.astype(np.int64)}, TypeError, "data has dtype int64; expected one of float16"),
    ({"data": DATA.astype(bool)}, TypeError, "data has dtype bool"),
    ({"data": np.ma.masked_less(DATA, 1)}, TypeError, "data is a masked array; its mask would be"),
    ({"data": {1: 2}}, TypeError, "data has dtype object"),
    ({"data": object()}, TypeError, "no door for builtins.object; roipool takes NumPy arrays"),
    ({"rois": np.zeros((3, 4))}, ValueError, r"rois has shape \(3, 4\); " + FORMS),
    ({"rois": np.zeros(5)}, ValueError, r"rois has shape \(5,\); " + FORMS),
    ({"rois": np.zeros((1, 2, 5))}, ValueError, r"rois has shape \(1, 2, 5\); " + FORMS),
    ({"rois": 3}, ValueError, r"rois has shape \(\); " + FORMS),
    ({"rois": None}, TypeError, "rois has dtype object; expected real numbers"),
    ({"rois": [[0, 0, 0, 1, 1], [0, 0, 0]]}, ValueError, "rois is ragged; " + FORMS),
    ({"rois": [["0", 0, 0, 1, 1]]}, TypeError, "rois has dtype <U.*; expected real numbers"),
    ({"rois": np.zeros((1, 5), complex)}, TypeError, "rois has dtype complex128"),
    ({"rois": [np.zeros((1, 4))]}, ValueError, "rois holds boxes for 1 images, but data holds 2;"),
    ({"rois": [np.zeros((1, 4)), np.zeros((1, 5))]}, ValueError, r"rois\[1\] has shape \(1, 5\)"),
    ({"rois": [[[0, 1, 2, 3], [0]], []]}, ValueError, r"rois\[0\] is ragged"),
    ({"pooled_size": 0}, ValueError, "pooled_size is 0; each side must be at least 1"),
    ({"pooled_size": (3, -1)}, ValueError, r"pooled_size is \(3, -1\); each side must be at least"),
    (
        {"pooled_size": (1, 2**31)},
        ValueError,
        r"pooled_size is .*; each side must be below 2\*\*31",
    ),
    ({"pooled_size": 2**200}, ValueError, r"pooled_size is .*; each side must be below 2\*\*31"),
    ({"pooled_size": (3,)}, TypeError, r"pooled_size is \(3,\); expected two whole numbers"),
    ({"pooled_size": (1, 2, 3)}, TypeError, r"pooled_size is \(1, 2, 3\); expected two whole"),
    ({"pooled_size": 2.5}, TypeError, "pooled_size is 2.5; expected two whole numbers"),
    ({"pooled_size": None}, TypeError, "pooled_size is None; expected two whole numbers"),
    ({"pooled_size": "77"}, TypeError, "pooled_size is '77'; expected two whole numbers"),
    ({"out": [0]}, TypeError, r"out is a list; expected a writeable C-contiguous array of shape"),
    (
        {"out": OUT[:, 1:]},
        ValueError,
        r"out has shape \(1, 2, 2, 2\) and dtype float32; expected a",
    ),
    ({"out": OUT.astype(float)}, ValueError, "out has shape .* and dtype float64; expected"),
    ({"out": OUT.astype(">f4")}, ValueError, "out has shape .* and dtype >f4; expected"),
    ({"out": OUT.swapaxes(2, 3)}, ValueError, "out is read-only, unaligned or not contiguous"),
    ({"out": np.broadcast_to(OUT[:, :1], OUT.shape)}, ValueError, "out is read-only"),
    ({"out": DATA.ravel()[:12].reshape(OUT.shape)}, ValueError, "out may overlap another array"),
    ({"out": OUT, "return_argmax": True}, TypeError, "out is a ndarray; with return_argmax it is"),
    ({"out": (OUT, OUT), "return_argmax": True}, ValueError, "out has shape .* dtype float32; ex"),
    ({"spatial_scale": 0}, ValueError, "spatial_scale is 0; expected a finite positive number"),
    ({"spatial_scale": -1}, ValueError, "spatial_scale is -1; expected a finite positive number"),
    ({"spatial_scale": nan}, ValueError, "spatial_scale is nan; expected a finite positive"),
    ({"spatial_scale": inf}, ValueError, "spatial_scale is inf; expected a finite positive"),
    ({"spatial_scale": 1e-300}, ValueError, "spatial_scale is 1e-300; expected a finite positive"),
    ({"spatial_scale": 1e300}, ValueError, r"spatial_scale is 1e\+300; expected a finite"),
    ({"spatial_scale": "1/16x"}, TypeError, "spatial_scale is '1/16x'; expected one number"),
    ({"spatial_scale": None}, TypeError, "spatial_scale is None; expected one number"),
    ({"spatial_scale": 1j}, TypeError, "spatial_scale is 1j; expected one number"),
]


@pytest.mark.parametrize(
    ("changed", "error", "message"), ARGUMENTS, ids=[row[2][:40] for row in ARGUMENTS]
)
def test_arguments(changed, error, message):
    arguments = {"data": DATA, "rois": BOX, "pooled_size": 2, "spatial_scale": 1.0}
    with pytest.raises(error, match="^" + message):
        roipool.roi_pool(**(arguments | changed))


GRAD = np.zeros((1, 3, 2, 2), np.float32)
ARGMAX = np.zeros(GRAD.shape, np.int32)
BACKWARD = [
    ({"grad": GRAD.astype(np.int32)}, TypeError, "grad has dtype int32; a gradient is one of floa"),
    ({"grad": GRAD[0]}, ValueError, r"grad has shape \(3, 2, 2\); expected \(1, 3, h, w\)"),
    ({"grad": GRAD[:, :2]}, ValueError, r"grad has shape \(1, 2, 2, 2\); expected \(1, 3, h, w\)"),
    ({"rois": BOX * 2}, ValueError, r"grad has shape .*; expected \(2, 3, h, w\) for 2 rois"),
    ({"argmax": ARGMAX[:, :, :1]}, ValueError, r"argmax has shape \(1, 3, 1, 2\) and dtype int32"),
    ({"argmax": GRAD}, ValueError, "argmax has shape .* and dtype float32; expected"),
    ({"out": GRAD}, ValueError, r"out has shape .*; expected .* of shape \(2, 3, 8, 8\) and dtype"),
    ({"data_shape": (2, 3, 8)}, ValueError, r"data_shape is \(2, 3, 8\); expected \(N, C, H, W\)"),
    ({"data_shape": (2, 3, 8, -1)}, ValueError, r"data_shape is \(2, 3, 8, -1\); expected"),
    ({"data_shape": (2, 3, 8, 1.5)}, TypeError, r"data_shape is \(2, 3, 8, 1.5\); expected"),
    ({"data_shape": 8}, TypeError, r"data_shape is 8; expected \(N, C, H, W\)"),
]


@pytest.mark.parametrize(
    ("changed", "error", "message"), BACKWARD, ids=[row[2][:40] for row in BACKWARD]
)
def test_arguments_backward(changed, error, message):
    arguments = {"grad": GRAD, "argmax": ARGMAX, "rois": BOX, "data_shape": DATA.shape}
    with pytest.raises(error, match="^" + message):
        roipool.roi_pool_backward(**(arguments | changed))


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", True, None, 1025, 2**40])
def test_number_of_threads(count):
    with pytest.raises(ValueError, match=r"threads is .*; expected a whole number from 1 to 1024"):
        roipool.set_num_threads(count)


@pytest.mark.parametrize("side", [2**31 - 1, 2**29])
def test_a_map_too_large_to_pack(side):
    # Broadcast: no memory is behind it, and sizes in bytes pass 2**63.
    data = np.broadcast_to(np.zeros((1, 1, 1, 1), np.int8), (1, 1, side, side))
    with pytest.raises(MemoryError):
        roipool.roi_pool(data, [[0, 0, 0, side - 1, side - 1]], 1)


def test_a_result_too_large_to_hold():
    with pytest.raises(MemoryError):
        roipool.roi_pool(DATA, BOX * 2, 2**24)  # more than any address


@pytest.mark.parametrize("regions", [0, 1])
def test_results_that_no_machine_has_room_for(regions):
    """Before anything is written, by the shape and what it would take."""
    grad, rois = np.ones((regions, 1, 1, 1), np.float32), np.zeros((regions, 5), np.float32)
    shape = (1, 1, 2**31 - 1, 2**31 - 1)
    message = r"^no memory for a result of shape \(1, 1, 2147483647, 2147483647\) and dtype float32"
    with pytest.raises(MemoryError, match=message):
        roipool.roi_align_backward(grad, rois, shape)
    with pytest.raises(MemoryError, match="16,777,216 TiB were asked for"):
        roipool.roi_pool_backward(grad, grad.astype(np.int32), rois, shape)
    with pytest.raises(MemoryError, match="no memory for a result of shape"):
        roipool.roi_pool(np.ones((1, 1, 2, 2), np.float32), rois, 2**31 - 1)
