"""roi_pool of MXNet's arrays, outside of autograd."""

import mxnet as mx
import numpy as np
import pytest

import roipool
from mxnet_arrays import (
    DTYPES,
    KINDS,
    SCALE,
    array,
    assert_is,
    expected,
    maps,
    maps_of_every_kind,
    regions,
)
from peers.cases import cases
from roipool import reference


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rois_dtype", ["float16", "float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype, rois_dtype, kind):
    data = maps_of_every_kind(dtype)
    rois = np.nan_to_num(regions()[:20], posinf=9).astype(rois_dtype)
    values, argmax = expected(data, rois)
    x, r = array(data, kind), array(rois, kind)
    out = roipool.roi_pool(x, r, (3, 2), SCALE)
    assert type(out) is type(x)
    assert_is(out, values)
    pair = roipool.roi_pool(x, r, (3, 2), SCALE, return_argmax=True)
    assert isinstance(pair, tuple)
    assert_is(pair[0], values)
    assert_is(pair[1], argmax)


def test_the_definition():
    data, rois = maps_of_every_kind(), regions()
    values, argmax = reference.roi_pool(data, rois, (3, 2), SCALE)
    out = roipool.roi_pool(array(data), array(rois), (3, 2), SCALE, return_argmax=True)
    assert_is(out[0], values)
    assert_is(out[1], argmax)


def test_bit_for_bit_as_mxnet():
    count = 0
    for case in cases(60, seed=2):
        x, r = array(case["data"]), array(case["rois"])
        arguments = case["pooled_size"], case["scale"]
        theirs = mx.nd.ROIPooling(x, r, *arguments)
        assert_is(roipool.roi_pool(x, r, *arguments), theirs.asnumpy())
        count += theirs.size
    assert count > 50_000


@pytest.mark.parametrize("kind", KINDS)
def test_every_form_of_regions(kind):
    data = maps()
    parts = [regions()[:4, 1:], regions()[4:9, 1:]]
    values = roipool.roi_pool(data, parts, 2, SCALE)
    x = array(data, kind)
    assert_is(roipool.roi_pool(x, [array(part, kind) for part in parts], 2, SCALE), values)
    assert_is(roipool.roi_pool(x, parts, 2, SCALE), values)
    assert_is(roipool.roi_pool(x, [part.tolist() for part in parts], 2, SCALE), values)
    rows = np.concatenate([np.repeat([[0], [1]], [4, 5], axis=0), np.concatenate(parts)], axis=1)
    assert_is(roipool.roi_pool(x, np.asfortranarray(rows, np.float32), 2, SCALE), values)


def test_parts_of_arrays():
    data, rois = maps((6, 5, 13, 11)), regions()
    x, r = array(data), array(np.concatenate([rois, rois]))
    assert_is(roipool.roi_pool(x[3:5], r[4:9], 2, SCALE), expected(data[3:5], rois[4:9], 2)[0])
    assert_is(
        roipool.roi_pool(x[5].expand_dims(0), [[0, 1, 1, 9, 9]], 2, 1.0),
        expected(data[5:], [[0, 1, 1, 9, 9]], 2, 1.0)[0],
    )


def test_arrays_that_are_still_computed():
    rng = np.random.default_rng(0)
    weight = mx.nd.array(rng.standard_normal((400, 400)) / 20)
    for _ in range(5):
        x = weight
        for _ in range(10):
            x = mx.nd.dot(x, weight)
        out = roipool.roi_pool(x.reshape((1, 1, 400, 400)), [[0, 0, 0, 399, 399]], 400)
        assert_is(out, x.reshape((1, 1, 400, 400)).asnumpy())


def test_arrays_that_a_convolution_laid_out():
    """MXNet's library for convolutions leaves blocks of channels."""
    conv = mx.gluon.nn.Conv2D(16, 3, in_channels=5)
    conv.initialize()
    x, r = conv(array(maps())), array(regions()[:10])
    out = roipool.roi_pool(conv(array(maps())), r, 3, 1.0)
    assert_is(out, expected(x.asnumpy(), regions()[:10], 3, 1.0)[0])
    memory = conv(array(maps((29, 5, 5, 5))))  # for 29 regions of 3 x 3 bins
    roipool.roi_pool(x, array(regions()[:29]), 3, 1.0, out=memory)
    assert_is(memory, expected(x.asnumpy(), regions()[:29], 3, 1.0)[0])


def test_the_result_lives_as_long_as_it_is_used():
    """Its memory is not MXNet's, and is taken for the next result as soon as it is free."""
    data, rois = maps((1, 64, 30, 30)), np.tile([[0, 3, 3, 20, 25]], (64, 1))
    values = expected(data, rois, 7, 1.0)[0]
    x, other = array(data), array(-data)
    for _ in range(10):
        out = roipool.roi_pool(x, rois, 7)
        uses = [(out + 1, 1), (out.copy(), 0), (mx.nd.concat(out, out, dim=0)[:64], 0)]
        part = out[3:5]
        del out
        roipool.roi_pool(other, rois, 7)
        assert_is(part, values[3:5])
        for use, more in uses:
            assert_is(use, values + np.float32(more))


def test_the_result_can_be_written_to():
    data, rois = maps(), regions()[:5]
    out = roipool.roi_pool(array(data), array(rois), 2, SCALE)
    out *= 2
    out[0] = 7
    values = expected(data, rois, 2)[0] * 2
    values[0] = 7
    assert_is(out, values)


@pytest.mark.parametrize("context", [mx.cpu(0), mx.cpu(1), mx.Context("cpu_shared", 0)], ids=str)
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_the_result_is_where_data_is(context, dtype):
    x = array(maps(dtype=dtype)).as_in_context(context)
    out = roipool.roi_pool(x, regions()[:5], 2, SCALE)
    assert out.context == context
    assert_is(out, expected(maps(dtype=dtype), regions()[:5], 2)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_out(kind):
    data, rois = maps(), regions()
    values, argmax = expected(data, rois)
    x, r = array(data, kind), array(rois, kind)
    out, positions = array(np.ones_like(values), kind), array(np.ones_like(argmax), kind)
    before = [out + 1 for _ in range(5)]  # perhaps not read yet
    assert roipool.roi_pool(x, r, (3, 2), SCALE, out=out) is out
    assert_is(out * 2, values * 2)
    for sum_ in before:
        assert (sum_.asnumpy() == 2).all()
    pair = roipool.roi_pool(x, r, (3, 2), SCALE, return_argmax=True, out=(out, positions))
    assert pair == (out, positions)
    assert_is(positions, argmax)
    room = array(np.zeros((3 * len(values), *values.shape[1:]), np.float32), kind)
    roipool.roi_pool(x, r, (3, 2), SCALE, out=room[len(values) : 2 * len(values)])
    assert_is(room[len(values) : 2 * len(values)], values)
    assert not room[: len(values)].asnumpy().any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_backward(dtype, kind):
    data, rois = maps_of_every_kind(dtype), regions()
    grad = maps((len(rois), 5, 3, 2), dtype, seed=1)
    _, argmax, grad_data = expected(data, rois, grad=grad)
    arguments = [array(part, kind) for part in (grad, argmax, rois)]
    out = roipool.roi_pool_backward(*arguments, data.shape)
    assert type(out) is type(arguments[0])
    assert_is(out, grad_data)
    memory = array(np.ones_like(data), kind)
    assert roipool.roi_pool_backward(*arguments, data.shape, out=memory) is memory
    assert_is(memory, grad_data)


@pytest.mark.parametrize(
    "rois", [mx.nd.empty((0, 5)), np.zeros((0, 5)), []], ids=["nd", "np", "list"]
)
def test_no_regions(rois):
    x = array(maps())
    assert roipool.roi_pool(x, rois, (3, 2)).shape == (0, 5, 3, 2)
    values, argmax = roipool.roi_pool(x, rois, (3, 2), return_argmax=True)
    grad = roipool.roi_pool_backward(values, argmax, rois, x.shape)
    assert_is(grad, np.zeros(x.shape, np.float32))


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (1, 0, 4, 5), (1, 3, 0, 5)])
def test_empty_maps(shape):
    out = roipool.roi_pool(mx.nd.empty(shape), np.full((2, 5), -1), 2)
    assert_is(out, np.zeros((2, shape[1], 2, 2), np.float32))
