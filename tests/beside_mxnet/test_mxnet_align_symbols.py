"""roi_align of MXNet's symbols, finished networks with it, and operators that come later."""

import json

import mxnet as mx
import numpy as np
import pytest
from test_mxnet_align import DATA, HOWS, ROIS, SHAPE, expected, how, leaf

import later_operator
import roipool
from align_cases import assert_close
from mxnet_arrays import FLOATS, SCALE, WRONG_ROWS, array, maps, regions
from roipool.compat.mxnet import ROIAlign, convert
from roipool.doors import door_of
from roipool.doors.mxnet.graph import OPERATOR


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
