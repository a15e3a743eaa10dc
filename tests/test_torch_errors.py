"""Errors with tensors: as with arrays, and those that only tensors can make."""

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import roipool
from test_errors import ROWS, row

DATA = torch.zeros(2, 3, 8, 8)
BOX = torch.tensor([[0.0, 0, 0, 1, 1]])
OUT = torch.zeros(1, 3, 2, 2)


@pytest.mark.parametrize(("values", "error", "message"), ROWS, ids=[str(r[0]) for r in ROWS])
def test_rows(values, error, message):
    rois = torch.from_numpy(row(*values))
    for form in (rois, rois.clone().requires_grad_(), row(*values)):
        with pytest.raises(error, match="^" + re.escape(message)):
            roipool.roi_pool(DATA, form, 2)


@pytest.mark.parametrize(
    ("values", "error", "message"), ROWS[:7], ids=[str(r[0]) for r in ROWS[:7]]
)
def test_rows_backward(values, error, message):
    grad = torch.zeros(3, 3, 2, 2)
    with pytest.raises(error, match="^" + re.escape(message)):
        roipool.roi_pool_backward(grad, grad.int(), torch.from_numpy(row(*values)), DATA.shape)


FORMS = r"expected an array \(K, 5\) of rows \[batch_index, x1, y1, x2, y2\], or a sequence"
META = torch.zeros(1, device="meta")
ARGUMENTS = [
    ({"data": DATA[0]}, ValueError, r"data has shape \(3, 8, 8\); expected feature maps \(N, C, H"),
    ({"data": DATA.to(torch.complex64)}, TypeError, "data has dtype torch.complex64; expected one"),
    ({"data": DATA.long()}, TypeError, "data has dtype torch.int64; expected .* convert with to"),
    ({"data": DATA.bool()}, TypeError, "data has dtype torch.bool"),
    ({"data": DATA.to("meta")}, ValueError, r"rois lies on device cpu, the rest on meta; .* to\("),
    ({"data": DATA.to_sparse()}, TypeError, r"data has layout torch.sparse_coo; .* to_dense\(\)"),
    ({"data": DATA.shape}, TypeError, "data is a Size; expected a tensor"),
    ({"rois": BOX.to("meta")}, ValueError, "rois lies on device meta, the rest on cpu"),
    ({"rois": [BOX[:, 1:].to("meta"), BOX[:, 1:]]}, ValueError, r"rois\[0\] lies on device meta"),
    ({"rois": BOX.bool()}, TypeError, "rois has dtype torch.bool; expected real numbers"),
    ({"rois": BOX.to(torch.complex64)}, TypeError, "rois has dtype torch.complex64; expected real"),
    ({"rois": torch.zeros(3, 4)}, ValueError, r"rois has shape \(3, 4\); " + FORMS),
    ({"rois": torch.zeros(5)}, ValueError, r"rois has shape \(5,\); " + FORMS),
    ({"rois": torch.zeros(1, 2, 5)}, ValueError, r"rois has shape \(1, 2, 5\); " + FORMS),
    ({"rois": [BOX[:, 1:]]}, ValueError, "rois holds boxes for 1 images, but data holds 2;"),
    ({"rois": [BOX[:, 1:], BOX]}, ValueError, r"rois\[1\] has shape \(1, 5\); " + FORMS),
    ({"rois": [BOX[:, 1:] > 0] * 2}, TypeError, r"rois\[0\] has dtype torch.bool"),
    ({"rois": None}, TypeError, "rois has dtype object; expected real numbers"),
    ({"pooled_size": 0}, ValueError, "pooled_size is 0; each side must be at least 1"),
    ({"spatial_scale": -1}, ValueError, "spatial_scale is -1; expected a finite positive number"),
    ({"out": OUT.numpy()}, TypeError, "out is a ndarray; expected a contiguous tensor of shape"),
    ({"out": OUT[:, 1:]}, ValueError, r"out has shape \(1, 2, 2, 2\) and dtype torch.float32; exp"),
    ({"out": OUT.double()}, ValueError, "out has shape .* and dtype torch.float64; expected"),
    ({"out": OUT.mT}, ValueError, "out is on device cpu or not contiguous; expected"),
    ({"out": OUT.to("meta")}, ValueError, "out is on device meta or not contiguous; expected"),
    ({"out": DATA.view(-1)[:12].view(OUT.shape)}, ValueError, "out overlaps another tensor of"),
    ({"out": OUT, "return_argmax": True}, TypeError, "out is a Tensor; with return_argmax it is a"),
    ({"out": (OUT, OUT), "return_argmax": True}, ValueError, "out has shape .* dtype torch.float3"),
    (
        {"out": OUT, "data": DATA.clone().requires_grad_()},
        ValueError,
        "out is given, but a derivative is asked for; leave out, or use no_grad",
    ),
]


@pytest.mark.parametrize(("changed", "error", "message"), ARGUMENTS, ids=lambda v: str(v)[:40])
def test_arguments(changed, error, message):
    arguments = {"data": DATA, "rois": BOX, "pooled_size": 2, "spatial_scale": 1.0}
    with pytest.raises(error, match="^" + message):
        roipool.roi_pool(**(arguments | changed))


ARGMAX = torch.zeros(OUT.shape, dtype=torch.int32)
BACKWARD = [
    ({"grad": OUT.int()}, TypeError, "grad has dtype torch.int32; a gradient is one of float16"),
    ({"grad": OUT[0]}, ValueError, r"grad has shape \(3, 2, 2\); expected \(1, 3, h, w\)"),
    ({"grad": OUT[:, :2]}, ValueError, r"grad has shape \(1, 2, 2, 2\); expected \(1, 3, h, w\)"),
    ({"rois": BOX.repeat(2, 1)}, ValueError, r"grad has shape .*; expected \(2, 3, h, w\) for 2 r"),
    ({"argmax": ARGMAX[:, :, :1]}, ValueError, r"argmax has shape \(1, 3, 1, 2\) and dtype torch"),
    ({"argmax": OUT}, ValueError, "argmax has shape .* and dtype torch.float32; expected"),
    ({"argmax": ARGMAX + 64}, IndexError, "argmax holds positions outside the map of 8 x 8 pixels"),
    ({"argmax": ARGMAX - 2}, IndexError, "argmax holds positions outside the map of 8 x 8 pixels"),
    ({"out": OUT}, ValueError, r"out has shape .*; expected .* of shape \(2, 3, 8, 8\) and dtype"),
    ({"data_shape": (2, 3, 8)}, ValueError, r"data_shape is \(2, 3, 8\); expected \(N, C, H, W\)"),
]


@pytest.mark.parametrize(("changed", "error", "message"), BACKWARD, ids=lambda v: str(v)[:40])
def test_arguments_backward(changed, error, message):
    arguments = {"grad": OUT, "argmax": ARGMAX, "rois": BOX, "data_shape": tuple(DATA.shape)}
    with pytest.raises(error, match="^" + message):
        roipool.roi_pool_backward(**(arguments | changed))


def test_argmax_of_an_array():
    given = np.zeros(OUT.shape, np.int32)
    assert not roipool.roi_pool_backward(OUT, given, BOX, DATA.shape).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda():
    with pytest.raises(TypeError, match=r"data is on device cuda:0; .* of the CPU: .* cpu\(\)"):
        roipool.roi_pool(DATA.cuda(), BOX, 2)
