"""roi_align of MXNet's arrays, and MXNet's own ROIAlign."""

import mxnet as mx
import numpy as np
import pytest

import roipool
from align_cases import assert_close, calls, proper
from mxnet_arrays import FLOATS, KINDS, SCALE, array, maps, regions
from roipool import reference
from roipool.compat.mxnet import ROIAlign

DATA, ROIS = mx.sym.Variable("data"), mx.sym.Variable("rois")
HOWS = [(0, True), (2, True), (0, False), (2, False)]
SHAPE = (2, 5, 13, 11)


def how(sampling_ratio, aligned):
    return {"sampling_ratio": sampling_ratio, "aligned": aligned}


def leaf(values, kind="nd", grad_req="write"):
    x = array(values, kind)
    x.attach_grad(grad_req)
    if x.grad is not None:
        x.grad[:] = 1
    return x


def expected(data, rois, call, size=(3, 2), grad=None):
    """Values, and gradients of maps and regions, by the definition."""
    options = SCALE, call["sampling_ratio"], call["aligned"]
    with np.errstate(over="ignore"):
        values = reference.roi_align(data, rois, size, *options)
        grad = np.ones_like(values) if grad is None else grad
        return values, *reference.roi_align_backward(grad, data, rois, *options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", HOWS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_values_and_gradients_of_arrays(dtype, options, kind):
    data, rois, call = maps(dtype=dtype), regions(), how(*options)
    rois = rois.astype("float64") if dtype == "float64" else rois
    grad = maps((len(rois), 5, 3, 2), dtype, seed=1)
    values, of_data, of_rois = expected(data, rois, call, grad=grad)
    x, r = array(data, kind), array(rois, kind)
    out = roipool.roi_align(x, r, (3, 2), SCALE, **call)
    assert type(out) is type(x)
    assert_close(out.asnumpy(), values)
    memory = array(np.ones_like(values), kind)
    assert roipool.roi_align(x, r, (3, 2), SCALE, out=memory, **call) is memory
    assert_close(memory.asnumpy(), values)
    g = array(grad, kind)
    back = roipool.roi_align_backward(g, r, data.shape, SCALE, **call)
    assert type(back) is type(x)
    assert_close(back.asnumpy(), of_data)
    memory = array(np.ones_like(data), kind)
    assert roipool.roi_align_backward(g, r, data.shape, SCALE, out=memory, **call) is memory
    assert_close(memory.asnumpy(), of_data)
    back = roipool.roi_align_backward_rois(g, x, r, SCALE, **call)
    assert type(back) is type(x)
    assert_close(back.asnumpy(), of_rois)


@pytest.mark.parametrize("grad_req", ["write", "add"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", HOWS)
def test_recorded(options, kind, grad_req):
    data, rois, call = maps(), regions(), how(*options)
    grad = maps((len(rois), 5, 3, 2), seed=1)
    values, of_data, of_rois = expected(data, rois, call, grad=grad)
    x, r = leaf(data, kind, grad_req), leaf(rois, kind, grad_req)
    with mx.autograd.record():
        out = roipool.roi_align(x, r, (3, 2), SCALE, **call)
    assert type(out) is type(x)
    assert_close(out.asnumpy(), values)
    out.backward(array(grad, kind), retain_graph=True)
    before = np.float32(grad_req == "add")
    assert_close(x.grad.asnumpy(), of_data + before)
    assert_close(r.grad.asnumpy(), of_rois + before)
    out.backward(array(grad, kind))
    times = 1 + before
    assert_close(x.grad.asnumpy(), times * of_data + before)
    assert_close(r.grad.asnumpy(), times * of_rois + before)


@pytest.mark.parametrize("asked", ["data", "rois"])
@pytest.mark.parametrize("way", ["constant", "null", "grad"])
def test_a_gradient_for_one_of_both(asked, way):
    """MXNet's own functions stop at the first gradient that is not asked for."""
    values = {"data": maps(), "rois": regions()}
    _, *wanted = expected(*values.values(), how(2, True))
    asking = {name: "write" if name == asked or way == "grad" else "null" for name in values}
    leaves = {
        name: array(a) if way == "constant" and name != asked else leaf(a, grad_req=asking[name])
        for name, a in values.items()
    }
    with mx.autograd.record():
        out = roipool.roi_align(*leaves.values(), (3, 2), SCALE, sampling_ratio=2)
    if way == "grad":
        (found,) = mx.autograd.grad(out, [leaves[asked]])
    else:
        out.backward()
        found = leaves[asked].grad
    assert_close(found.asnumpy(), wanted[asked == "rois"])


def test_gradients_of_boxes_of_each_image_and_of_single_rows():
    data, rois = maps(), regions()[:9]
    rois = rois[np.argsort(rois[:, 0], kind="stable")]
    _, of_data, of_rois = expected(data, rois, how(0, True))
    first, second = (rois[rois[:, 0] == n, 1:] for n in range(2))
    for parts, wanted in (
        ([first, second], [of_rois[: len(first), 1:], of_rois[len(first) :, 1:]]),
        (list(rois), list(of_rois)),
    ):
        for left in range(2):  # one part is no array of MXNet's
            x, leaves = leaf(data), [leaf(part) for part in parts]
            leaves[left] = parts[left]
            with mx.autograd.record():
                out = roipool.roi_align(x, leaves, (3, 2), SCALE)
            out.backward()
            assert_close(x.grad.asnumpy(), of_data)
            for i, (part, gradient) in enumerate(zip(leaves, wanted, strict=True)):
                if i != left:
                    assert_close(part.grad.asnumpy(), gradient)


def pyramid(kind="nd"):
    shapes = [(2, 5, 13, 11), (1, 5, 7, 9), (0, 5, 3, 3), (5, 6, 5)]
    data = [maps(shape, seed=i) for i, shape in enumerate(shapes)]
    rois = regions()
    places = np.flatnonzero(rois[:, 0] >= 0)
    rois[places[::3], 0], rois[places[1::7], 0] = 2, 3
    return (
        data,
        [leaf(array, kind) if array.size else mx.nd.empty(array.shape) for array in data],
        rois,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("recording", [False, True])
def test_several_arrays_of_maps(recording, kind):
    data, leaves, rois = pyramid(kind)
    scales = [1.0, 0.5, 0.3, (0.4, 0.2)]
    values = roipool.roi_align(data, rois, 2, scales)
    grad = maps(values.shape, seed=1)
    r, g = leaf(rois, kind), array(grad, kind)
    with mx.autograd._RecordingStateScope(recording, None):
        out = roipool.roi_align(leaves, r, 2, scales)
    np.testing.assert_array_equal(out.asnumpy(), values)
    of_rois = roipool.roi_align_backward_rois(grad, data, rois, scales)
    moved = roipool.roi_align_backward_rois(g, leaves, r, scales)
    np.testing.assert_array_equal(moved.asnumpy(), of_rois)

    shapes = [(1,) * (array.ndim == 3) + array.shape for array in data]
    of_data = roipool.roi_align_backward(grad, rois, shapes, scales)
    memory = [leaf(np.ones(shape), kind).astype("float32") for shape in shapes if 0 not in shape]
    memory.insert(2, mx.nd.empty(shapes[2]))
    assert roipool.roi_align_backward(g, r, shapes, scales, out=memory) is memory
    for found in (memory, roipool.roi_align_backward(g, r, shapes, scales)):
        for one, wanted in zip(found, of_data, strict=True):
            assert one.shape == wanted.shape
            if one.size:
                np.testing.assert_array_equal(one.asnumpy(), wanted)
    if recording:
        out.backward(g)
        for x, wanted in zip(leaves, of_data, strict=True):
            if x.size:
                np.testing.assert_array_equal(x.grad.asnumpy(), wanted.reshape(x.shape))
        np.testing.assert_array_equal(r.grad.asnumpy(), of_rois)


def compared(case, pool, theirs):
    x, r = leaf(case["data"]), array(case["rois"])
    ratio = case["how"]["sampling_ratio"] or -1
    with mx.autograd.record():
        out = pool(x, r, case["pooled_size"], case["scale"], ratio, False, case["how"]["aligned"])
    out.backward(array(case["grad"]))
    return out.asnumpy(), x.grad.asnumpy()


def test_mxnet():
    found, left_out = calls(96, seed=6, kept=proper)
    count = 0
    for case in found:
        pair = [compared(case, pool, pool) for pool in (ROIAlign, mx.nd.contrib.ROIAlign)]
        for ours, theirs in zip(*pair, strict=True):
            assert_close(ours, theirs)
        count += len(case["rois"])
    assert count > 800
    assert left_out < 0.1 * count, f"{left_out} regions lie at a jump"


def test_the_port_takes_any_array():
    x = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
    rois, wanted = [[0, 1, 1, 4, 5]], [[13.75, 15.25], [25.75, 27.25]]
    assert ROIAlign(x, rois, (2, 2), 1.0)[0, 0].tolist() == wanted
    out = mx.nd.empty((1, 1, 2, 2))
    assert ROIAlign(data=array(x), rois=rois, pooled_size=2, spatial_scale=1.0, out=out) is out
    assert out[0, 0].asnumpy().tolist() == wanted


def test_what_is_refused():
    with pytest.raises(
        TypeError, match=r"data is a list of Symbols; expected one Symbol: pool each"
    ):
        roipool.roi_align([DATA, DATA], ROIS, 2)
    with pytest.raises(TypeError, match=r"data\[1\] is a ndarray; expected an MXNet array"):
        roipool.roi_align([array(maps()), maps()], regions(), 2)
    with pytest.raises(TypeError, match=r"rois is a NDArray, but data is a Symbol"):
        roipool.roi_align(DATA, array(regions()), 2)
    with pytest.raises(TypeError, match="data has dtype int32; expected one of float16"):
        roipool.roi_align(array(maps(dtype="int32")), regions(), 2)
    with pytest.raises(TypeError, match="grad is a Symbol; expected an array of pooled values"):
        roipool.roi_align_backward(DATA, regions(), SHAPE)
    x = leaf(maps())
    with mx.autograd.record(), pytest.raises(ValueError, match="out is given, but a derivative"):
        roipool.roi_align(x, regions()[:2], 2, out=mx.nd.empty((2, 5, 2, 2)))
