"""roi_align of MXNet's arrays and symbols, and MXNet's own ROIAlign."""

import json

import mxnet as mx
import numpy as np
import pytest

import later_operator
import roipool
from align_cases import assert_close, calls, proper
from mxnet_arrays import FLOATS, KINDS, SCALE, WRONG_ROWS, array, maps, regions
from roipool import reference
from roipool.compat.mxnet import ROIAlign, convert
from roipool.doors import door_of
from roipool.doors.mxnet.graph import OPERATOR

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


@pytest.mark.parametrize("recording", [False, True])
@pytest.mark.parametrize("pool", [roipool.roi_pool, roipool.roi_align])
def test_several_arrays_of_maps(pool, recording):
    data, leaves, rois = pyramid()
    scales = [1.0, 0.5, 0.3, (0.4, 0.2)]
    grad = maps((len(rois), 5, 2, 2), seed=1)
    values = pool(data, rois, 2, scales)
    r = leaf(rois)
    with mx.autograd._RecordingStateScope(recording, None):
        out = pool(leaves, r, 2, scales)
    np.testing.assert_array_equal(out.asnumpy(), values)
    shapes = [(1,) * (array.ndim == 3) + array.shape for array in data]
    if pool is roipool.roi_align:
        gradients = roipool.roi_align_backward(grad, rois, shapes, scales)
        of_rois = roipool.roi_align_backward_rois(grad, data, rois, scales)
        g = array(grad)
        theirs = roipool.roi_align_backward(g, r, shapes, scales)
        memory = [mx.nd.ones(shape) for shape in shapes if 0 not in shape]
        for one, other in zip(theirs, gradients, strict=True):
            np.testing.assert_array_equal(one.asnumpy(), other)
        some = [shape for shape in shapes if 0 not in shape]
        scale = [each for each, shape in zip(scales, shapes, strict=True) if 0 not in shape]
        given = roipool.roi_align_backward(g, rois, some, scale, out=memory)
        assert given is memory
        assert memory[0].asnumpy().any()
        moved = roipool.roi_align_backward_rois(g, leaves, r, scales)
        np.testing.assert_array_equal(moved.asnumpy(), of_rois)
    else:
        argmax = pool(data, rois, 2, scales, return_argmax=True)[1]
        gradients = roipool.roi_pool_backward(grad, argmax, rois, shapes)
        of_rois = np.zeros_like(rois)
    if recording:
        out.backward(array(grad))
        for x, gradient in zip(leaves, gradients, strict=True):
            if x.size:
                np.testing.assert_array_equal(x.grad.asnumpy(), gradient.reshape(x.shape))
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


def bound(symbol, data, rois, grad_req="write"):
    arrays = {"data": array(data), "rois": array(rois)}
    grads = {name: mx.nd.ones(a.shape, dtype=a.dtype) for name, a in arrays.items()}
    return symbol.bind(mx.cpu(), arrays, grads, grad_req)


@pytest.mark.parametrize("is_train", [False, True])
@pytest.mark.parametrize("grad_req", ["write", "add", "null"])
@pytest.mark.parametrize("options", HOWS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_symbols(dtype, options, grad_req, is_train):
    call = how(*options)
    data, rois = maps(dtype=dtype), np.concatenate([regions(), WRONG_ROWS])
    rois = rois.astype("float64") if dtype == "float64" else rois
    grad = maps((len(rois), 5, 3, 2), dtype, seed=1)
    values, *gradients = expected(data, rois, call, grad=grad)
    symbol = roipool.roi_align(DATA, ROIS, (3, 2), SCALE, **call)
    executor = bound(symbol, data, rois, grad_req)
    (out,) = executor.forward(is_train)
    assert_close(out.asnumpy(), values)
    executor.backward([array(grad)])
    for name, gradient in zip(("data", "rois"), gradients, strict=True):
        one = np.ones_like(gradient)
        wanted = {"write": gradient, "add": gradient + one, "null": one}[grad_req]
        assert_close(executor.grad_dict[name].asnumpy(), wanted)


@pytest.mark.parametrize("scale", [0.5, (0.5, 0.25)])
@pytest.mark.parametrize("options", HOWS)
def test_files(scale, options):
    symbol = roipool.roi_align(DATA, ROIS, (3, 2), scale, **how(*options))
    loaded = mx.sym.load_json(symbol.tojson())
    assert loaded.tojson() == symbol.tojson()
    out = bound(loaded, maps(), regions()).forward()[0]
    values = roipool.roi_align(maps(), regions(), (3, 2), scale, **how(*options))
    np.testing.assert_array_equal(out.asnumpy(), values)


def test_a_file_of_an_operator_that_is_not_known(capfd):
    symbol = roipool.roi_align(DATA, ROIS, (3, 2), 0.5)
    text = symbol.tojson().replace('"operator": "roi_align"', '"operator": "later"')
    with pytest.raises(mx.MXNetError):
        mx.sym.load_json(text).infer_shape(data=SHAPE, rois=(7, 5))
    assert "a node has the operator later; roipool has " in capfd.readouterr().out


def test_shapes_and_types():
    symbol = roipool.roi_align(DATA, ROIS, (3, 2), 0.5)
    assert symbol.infer_shape(data=SHAPE, rois=(7, 5))[1] == [(7, 5, 3, 2)]
    assert symbol.infer_type(data="float16")[:2] == ([np.float16, np.float32], [np.float16])
    with pytest.raises(mx.MXNetError, match=r"Provided = int32, inferred type = float32"):
        symbol.infer_type(data="int32", rois="float32")


class Net(mx.gluon.HybridBlock):
    def __init__(self, pool):
        super().__init__()
        self.pool = pool
        self.conv = mx.gluon.nn.Conv2D(8, 3, padding=1, in_channels=5)
        self.dense = mx.gluon.nn.Dense(4, in_units=8 * 6)

    def hybrid_forward(self, F, data, rois):
        pool = self.pool or F.contrib.ROIAlign
        return self.dense(pool(self.conv(data), rois, (3, 2), 0.5, 2))


def step(net):
    with mx.autograd.record():
        out = net(array(maps()), array(regions()[:9]))
        loss = (out * out).sum()
    loss.backward()
    return [out.asnumpy(), *(p.grad().asnumpy() for p in net.collect_params().values())]


@pytest.mark.parametrize("mode", [None, {}, {"static_alloc": True, "static_shape": True}])
@pytest.mark.filterwarnings("ignore:Cannot decide type")  # of what the file doesn't tell
def test_hybrid_blocks(mode, tmp_path):
    ours, theirs = Net(ROIAlign), Net(None)
    theirs.initialize()
    theirs.save_parameters(str(tmp_path / "weights"))
    ours.load_parameters(str(tmp_path / "weights"))
    if mode is not None:
        ours.hybridize(**mode)
    for _ in range(2):
        for mine, its in zip(step(ours), step(theirs), strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-3, atol=1e-4)
    if mode is not None:
        ours.export(str(tmp_path / "net"))
        files = str(tmp_path / "net-symbol.json"), str(tmp_path / "net-0000.params")
        loaded = mx.gluon.SymbolBlock.imports(files[0], ["data0", "data1"], files[1])
        inputs = array(maps()), array(regions()[:9])
        np.testing.assert_allclose(loaded(*inputs).asnumpy(), theirs(*inputs).asnumpy(), rtol=1e-4)


def network(position_sensitive=False):
    body = mx.sym.Convolution(DATA, kernel=(3, 3), num_filter=8, pad=(1, 1), name="conv")
    aligned = mx.sym.contrib.ROIAlign(body, ROIS, (3, 2), 0.5, 2, aligned=True, name="first")
    plain = mx.sym.contrib.ROIAlign(body, ROIS, (3, 2), 0.25, name="second", attr={"__mood__": "a"})
    pooled = mx.sym.ROIPooling(body, ROIS, (3, 2), 0.5, name="third")
    outputs = [aligned, plain, pooled]
    if position_sensitive:
        outputs.append(
            mx.sym.contrib.ROIAlign(body, ROIS, (2, 2), 0.5, position_sensitive=True, name="fourth")
        )
    return mx.sym.Group(outputs)


def ran(symbol):
    rng = np.random.default_rng(0)
    executor = symbol.simple_bind(mx.cpu(), data=(2, 5, 13, 11), rois=(9, 5))
    for name, a in executor.arg_dict.items():
        a[:] = regions()[:9] if name == "rois" else rng.standard_normal(a.shape)
    executor.arg_dict["rois"][:, 3:] = executor.arg_dict["rois"][:, 1:3] + 7
    outputs = executor.forward(is_train=True)
    executor.backward([mx.nd.ones_like(out) for out in outputs])
    gradients = (executor.grad_dict[name] for name in sorted(executor.grad_dict) if name != "rois")
    return [a.asnumpy() for a in (*outputs, *gradients)]


def test_a_converted_network():
    symbol = network()
    converted = convert(symbol)
    for name in ("list_arguments", "list_outputs"):
        assert getattr(converted, name)() == getattr(symbol, name)()
    operators = {node["op"] for node in json.loads(converted.tojson())["nodes"]}
    assert operators == {"null", "Convolution", "SwapAxis", "Custom"}
    attributes = converted.attr_dict()
    assert attributes["second"] == {"dim1": "0", "dim2": "0", "__mood__": "a"}
    assert attributes["second_pool"] == {
        "op_type": OPERATOR,
        "operator": "roi_align",
        "pooled_size": "(3, 2)",
        "spatial_scale": "0.25",
        "sampling_ratio": "-1",
        "aligned": "False",
        "__mood__": "a",
    }
    loaded = mx.sym.load_json(converted.tojson())
    for ours, theirs in zip(ran(loaded), ran(symbol), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_what_is_position_sensitive_is_left_as_it_is():
    converted = convert(network(position_sensitive=True))
    left = [node for node in json.loads(converted.tojson())["nodes"] if "ROI" in node["op"]]
    assert [node["name"] for node in left] == ["fourth"]
    with pytest.raises(
        NotImplementedError, match="position_sensitive is true; roipool has no such"
    ):
        ROIAlign(DATA, ROIS, (2, 2), 0.5, position_sensitive=True)


def test_names():
    pooled = ROIAlign(DATA, ROIS, (3, 2), 0.5, name="align5")
    assert pooled.list_outputs() == ["align5_output"]
    assert pooled.list_arguments() == ["data", "rois"]
    assert ROIAlign(DATA, ROIS, (3, 2), 0.5).infer_shape(data=SHAPE, rois=(7, 5))[1]


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


@pytest.fixture
def centre():
    with later_operator.centre() as operator:
        yield operator


def test_an_operator_that_comes_later(centre):
    data, rois = maps(), regions()
    values, of_data, of_rois = expected(data, rois, how(1, False))
    call = centre.call((3, 2), SCALE, None, aligned=False)
    x, r = leaf(data), leaf(rois)
    with mx.autograd.record():
        out = door_of(x).pool(centre, x, r, call, False, None)
    out.backward()
    symbol = door_of(DATA).pool(centre, DATA, ROIS, call, False, None)
    executor = bound(mx.sym.load_json(symbol.tojson()), data, rois)
    executor.forward(is_train=True)
    executor.backward([mx.nd.ones(values.shape)])
    grads = executor.grad_dict
    for found in ((out, x.grad, r.grad), (*executor.outputs, grads["data"], grads["rois"])):
        for ours, wanted in zip(found, (values, of_data, of_rois), strict=True):
            assert_close(ours.asnumpy(), wanted)
