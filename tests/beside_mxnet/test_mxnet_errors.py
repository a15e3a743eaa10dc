"""Each error names what came, what was expected and the way out."""

import mxnet as mx
import numpy as np
import pytest

import roipool
from mxnet_arrays import WRONG_ROWS, array, maps, regions
from roipool.doors.mxnet.arrays import refuse_context
from roipool.doors.mxnet.graph import PoolProp

BFLOAT16 = np.dtype([("bfloat16", np.uint16)])


@pytest.mark.parametrize("row", WRONG_ROWS, ids=str)
def test_rows_that_are_no_regions(row):
    error = IndexError if row[0] == 2 else ValueError
    rois = np.concatenate([regions()[:3], row[None]])
    for recording in (False, True):
        with (
            mx.autograd._RecordingStateScope(recording, None),
            pytest.raises(
                error, match=r"rois\[3(, \d)?\].*use a negative|rois\[3, 3\].*clip the boxes"
            ),
        ):
            roipool.roi_pool(array(maps()), array(rois), 2, 2.0)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (mx.nd.zeros((3, 4, 5)), ValueError, r"shape \(3, 4, 5\); expected feature maps \(N, C"),
        (mx.nd.zeros((1, 1, 2, 2), dtype="int64"), TypeError, r"dtype int64; expected one of fl"),
        (mx.nd.zeros((1, 1, 2, 2)).astype("bool"), TypeError, r"dtype bool; expected one of flo"),
        (mx.nd.zeros((1, 1, 2, 2), dtype=BFLOAT16), TypeError, r"bfloat16.*astype\('float32'\)"),
        (mx.nd.zeros((4, 5)).tostype("csr"), TypeError, r"storage csr; expected dense: use tosty"),
    ],
    ids=["3-D", "int64", "bool", "bfloat16", "csr"],
)
def test_data(data, error, message):
    with pytest.raises(error, match=message):
        roipool.roi_pool(data, regions(), 2)


@pytest.mark.parametrize(
    ("rois", "error", "message"),
    [
        (mx.nd.zeros((4, 4)), ValueError, r"rois has shape \(4, 4\); expected an array \(K, 5\)"),
        (mx.nd.zeros(5), ValueError, r"rois has shape \(5,\); expected an array \(K, 5\)"),
        (mx.nd.zeros((4, 5)).astype("bool"), TypeError, "rois has dtype bool; expected real num"),
        (mx.nd.zeros((4, 5)).tostype("csr"), TypeError, "rois has storage csr; expected dense"),
        (mx.sym.Variable("rois"), TypeError, "rois is a Symbol, but data is an array; expected"),
        ([mx.nd.zeros((4, 4))], ValueError, "boxes for 1 images, but data holds 2; give one arr"),
        ([mx.nd.zeros((4, 5))] * 2, ValueError, r"rois\[0\] has shape \(4, 5\); expected"),
    ],
    ids=["(4, 4)", "1-D", "bool", "csr", "symbol", "too few", "rows per image"],
)
@pytest.mark.parametrize("recording", [False, True])
def test_rois(rois, error, message, recording):
    with mx.autograd._RecordingStateScope(recording, None), pytest.raises(error, match=message):
        roipool.roi_pool(array(maps()), rois, 2)


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (np.zeros((3, 5, 2, 2), np.float32), TypeError, "out is a ndarray; expected an MXNet ar"),
        (mx.nd.zeros((3, 5, 2, 3)), ValueError, r"out has shape \(3, 5, 2, 3\).*expected.*\(3, 5"),
        (mx.nd.zeros((3, 5, 2, 2), dtype="float64"), ValueError, "dtype float64.*dtype float32"),
        (mx.nd.zeros((3, 5)).tostype("csr"), TypeError, "out has storage csr; expected dense"),
    ],
    ids=["NumPy's", "shape", "dtype", "csr"],
)
def test_out(out, error, message):
    with pytest.raises(error, match=message):
        roipool.roi_pool(array(maps()), regions()[:3], 2, out=out)


def test_out_is_an_input():
    x = array(maps((3, 5, 2, 2)))
    with pytest.raises(ValueError, match="out may overlap another array of this call"):
        roipool.roi_pool(x, regions()[:3], 2, out=x)


def test_out_is_one_where_two_are_wanted():
    with pytest.raises(TypeError, match=r"with return_argmax it is a pair \(values, argmax\)"):
        roipool.roi_pool(
            array(maps()), regions()[:3], 2, return_argmax=True, out=mx.nd.zeros((3, 5, 2, 2))
        )


def test_backward():
    grad, argmax = mx.nd.zeros((3, 5, 2, 2)), mx.nd.zeros((3, 5, 2, 2), dtype="int32")
    with pytest.raises(TypeError, match="grad has dtype int32; a gradient is one of float16"):
        roipool.roi_pool_backward(argmax, argmax, regions()[:3], (2, 5, 13, 11))
    with pytest.raises(IndexError, match="argmax holds positions outside the map of 13 x 11"):
        roipool.roi_pool_backward(grad, argmax + 143, regions()[:3], (2, 5, 13, 11))
    with pytest.raises(TypeError, match="grad is a Symbol; expected an MXNet array"):
        roipool.roi_pool_backward(mx.sym.Variable("grad"), argmax, regions()[:3], (2, 5, 13, 11))


def test_a_gpu():
    with pytest.raises(TypeError, match=r"data is on gpu\(1\); roipool works on .* cpu, cpu_pinn"):
        refuse_context("data", mx.gpu(1))
    with pytest.raises(TypeError, match=r"the operator is on gpu\(0\).*place nodes with ctx_group"):
        PoolProp(pooled_size="(2, 2)", spatial_scale="1.0").create_operator(mx.gpu(0), [], [])


def test_symbols():
    data, rois = mx.sym.Variable("data"), mx.sym.Variable("rois")
    with pytest.raises(TypeError, match=r"rois is a NDArray, but data is a Symbol.*sym.Variable"):
        roipool.roi_pool(data, array(regions()), 2)
    with pytest.raises(TypeError, match="out is given, but data is a Symbol"):
        roipool.roi_pool(data, rois, 2, out=mx.nd.zeros((3, 5, 2, 2)))
    with pytest.raises(ValueError, match="spatial_scale is -1"):
        roipool.roi_pool(data, rois, 2, -1)


def test_an_error_of_what_came_before_is_told():
    x = mx.nd.random.normal(shape=(1, 1, 4, 4), scale=-1)  # refused when it runs
    with pytest.raises(mx.MXNetError, match="scale parameter in gaussian"):
        roipool.roi_pool(x, regions()[:1], 2)
