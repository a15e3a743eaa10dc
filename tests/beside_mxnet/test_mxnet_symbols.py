"""roi_pool of MXNet's symbols: inference of shapes, execution, files, hybrid blocks."""

import json
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest

import roipool
from cases import assert_same_bits
from mxnet_arrays import (
    DTYPES,
    FLOATS,
    SCALE,
    WRONG_ROWS,
    array,
    assert_is,
    expected,
    maps,
    maps_of_every_kind,
    regions,
)
from peers.cases import cases
from roipool.compat.mxnet import ROIPooling

DATA, ROIS = mx.sym.Variable("data"), mx.sym.Variable("rois")


def bound(symbol, data, rois, grad_req="write"):
    arrays = {"data": array(data), "rois": array(rois)}
    grads = {name: mx.nd.ones(a.shape, dtype=a.dtype) for name, a in arrays.items()}
    return symbol.bind(mx.cpu(), arrays, grads, grad_req)


def wrong_rows_as_padding(rois):
    rois = rois.copy()
    rois[:, 0] = -1
    return rois


def test_shapes():
    symbol = roipool.roi_pool(DATA, ROIS, (3, 2), 0.5)
    assert symbol.infer_shape(data=(2, 5, 13, 11), rois=(7, 5))[1] == [(7, 5, 3, 2)]
    known = symbol.infer_shape_partial(data=(0, 5, 0, 0))
    assert known == ([(0, 5, 0, 0), (0, 5)], [(0, 5, 3, 2)], [])
    known = symbol.infer_shape_partial(data=(2, 5, 13, 11))
    assert known == ([(2, 5, 13, 11), (0, 5)], [(0, 5, 3, 2)], [])
    with mx.util.np_shape(True):
        assert symbol.infer_shape(data=(2, 5, 13, 11), rois=(0, 5))[1] == [(0, 5, 3, 2)]
        assert symbol.infer_shape_partial(data=(2, 5, 13, 11))[1] == [(-1, 5, 3, 2)]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"data": (5, 13, 11), "rois": (7, 5)}, r"Provided = \[5,13,11\], inferred shape=\[-1,-1"),
        ({"data": (2, 5, 13, 11), "rois": (7, 4)}, r"Provided = \[7,4\], inferred shape=\[7,5\]"),
        ({"data": (2, 5, 13, 11), "rois": (5,)}, r"Provided = \[5\], inferred shape=\[-1,5\]"),
    ],
)
def test_shapes_that_do_not_fit(shapes, message):
    symbol = ROIPooling(DATA, ROIS, (3, 2), 0.5, name="pool5")
    with pytest.raises(mx.MXNetError, match=f"(?s)Error in operator pool5_pool: .*{message}"):
        symbol.infer_shape(**shapes)


def test_types():
    symbol = roipool.roi_pool(DATA, ROIS, (3, 2), 0.5)
    assert symbol.infer_type(data="float16")[:2] == ([np.float16, np.float32], [np.float16])
    assert symbol.infer_type(data="float64")[:2] == ([np.float64, np.float64], [np.float64])
    assert symbol.infer_type(data="int8", rois="float64")[1] == [np.int8]
    with pytest.raises(mx.MXNetError, match=r"Provided = int64, inferred type = float32"):
        symbol.infer_type(data="int64", rois="float32")


@pytest.mark.parametrize("is_train", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_of_every_dtype(dtype, is_train):
    data, rois = maps_of_every_kind(dtype), np.concatenate([regions(), WRONG_ROWS])
    values, argmax = expected(data, np.concatenate([regions(), wrong_rows_as_padding(WRONG_ROWS)]))
    outputs = bound(roipool.roi_pool(DATA, ROIS, (3, 2), SCALE), data, rois).forward(is_train)
    assert len(outputs) == 1
    assert_is(outputs[0], values)
    pair = roipool.roi_pool(DATA, ROIS, (3, 2), SCALE, return_argmax=True)
    outputs = bound(mx.sym.Group(pair), data, rois).forward(is_train)
    assert_is(outputs[0], values)
    assert_is(outputs[1], argmax)


@pytest.mark.parametrize("is_train", [False, True])
@pytest.mark.parametrize("grad_req", ["write", "add", "null"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients_of_every_dtype(dtype, grad_req, is_train):
    data, rois = maps_of_every_kind(dtype), np.concatenate([regions(), WRONG_ROWS])
    padded = np.concatenate([regions(), wrong_rows_as_padding(WRONG_ROWS)])
    grad = maps((len(rois), 5, 3, 2), dtype, seed=1)
    _, _, grad_data = expected(data, padded, grad=grad)
    executor = bound(roipool.roi_pool(DATA, ROIS, (3, 2), SCALE), data, rois, grad_req)
    executor.forward(is_train)
    executor.backward([array(grad)])
    one = np.ones_like(grad_data)
    wanted = {"write": grad_data, "add": grad_data + one, "null": one}[grad_req]
    assert_is(executor.grad_dict["data"], wanted)
    assert_is(executor.grad_dict["rois"], np.full_like(rois, 0 if grad_req == "write" else 1))


def test_a_gradient_for_one_of_both():
    data, rois = maps(), regions()
    grad = maps((len(rois), 5, 3, 2), seed=1)
    symbol = roipool.roi_pool(DATA, ROIS, (3, 2), SCALE)
    for grad_req in ({"data": "add", "rois": "null"}, {"data": "null", "rois": "write"}):
        executor = bound(symbol, data, rois, grad_req)
        executor.forward(True)
        executor.backward([array(grad)])
        wanted = 1 + expected(data, rois, grad=grad)[2] * (grad_req["data"] == "add")
        assert_is(executor.grad_dict["data"], wanted)
        assert_is(executor.grad_dict["rois"], np.full_like(rois, grad_req["data"] == "add"))


def test_bit_for_bit_as_mxnet():
    count = 0
    for case in cases(40, seed=4):
        results = []
        for pool in (mx.sym.ROIPooling, ROIPooling):
            symbol = pool(DATA, ROIS, case["pooled_size"], case["scale"])
            executor = bound(symbol, case["data"], case["rois"])
            executor.forward(True)
            executor.backward([array(case["grad"])])
            results.append((executor.outputs[0].asnumpy(), executor.grad_dict["data"].asnumpy()))
        for ours, theirs in zip(*results, strict=True):
            assert_same_bits(ours, theirs)
            count += ours.size
    assert count > 50_000


def test_other_data_in_a_bound_graph():
    symbol = roipool.roi_pool(DATA, ROIS, (3, 2), SCALE)
    executor = bound(symbol, maps(), regions())
    for seed, is_train in enumerate((True, False, True, True)):
        data, rois = maps(seed=seed), np.roll(regions(), seed, axis=0)
        grad = maps((len(rois), 5, 3, 2), seed=9)
        values, _, grad_data = expected(data, rois, grad=grad)
        executor.forward(is_train, data=array(data), rois=array(rois))
        executor.backward([array(grad)])
        assert_is(executor.outputs[0], values)
        assert_is(executor.grad_dict["data"], grad_data)


def test_no_regions():
    symbol = roipool.roi_pool(DATA, ROIS, (3, 2), SCALE)
    with mx.util.np_shape(True):
        executor = symbol.bind(
            mx.cpu(),
            {"data": array(maps()), "rois": mx.nd.empty((0, 5))},
            {"data": array(maps())},
        )
        (out,) = executor.forward(is_train=True)
        executor.backward([out])
        assert_is(out, np.zeros((0, 5, 3, 2), np.float32))
        assert_is(executor.grad_dict["data"], np.zeros((2, 5, 13, 11), np.float32))


def test_integers_have_no_gradient(capfd):
    """MXNet prints what the operator raises, and raises an error of its own: never a crash."""
    data, rois = maps(dtype="int32"), regions()
    executor = bound(roipool.roi_pool(DATA, ROIS, 2, SCALE), data, rois)
    (out,) = executor.forward(is_train=True)
    executor.backward([out])
    with pytest.raises(mx.MXNetError, match="CustomOpBackward"):
        executor.grad_dict["data"].wait_to_read()
    assert "data has dtype int32; a gradient is one of float16" in capfd.readouterr().out
    assert_is(out, expected(data, rois, 2)[0])
    assert_is(roipool.roi_pool(array(data), rois, 2, SCALE), expected(data, rois, 2)[0])


def test_files(tmp_path):
    """A process that loads the graph must have imported the door: MXNet's error names it."""
    symbol = roipool.roi_pool(DATA, ROIS, (3, 2), SCALE)
    symbol.save(str(tmp_path / "graph.json"))
    loaded = mx.sym.load(str(tmp_path / "graph.json"))
    assert loaded.tojson() == symbol.tojson()
    mx.nd.save(str(tmp_path / "inputs"), {"data": array(maps()), "rois": array(regions())})
    script = (
        "import sys, mxnet as mx; graph, inputs, out = sys.argv[1:]; "
        "pooled = mx.sym.load(graph).eval(**mx.nd.load(inputs)); mx.nd.save(out, pooled)"
    )
    command = [str(tmp_path / name) for name in ("graph.json", "inputs", "out")]
    done = run(script, *command)
    assert done.returncode != 0
    assert "Cannot find custom operator roipool.doors.mxnet" in done.stderr
    done = run(f"import roipool.doors.mxnet; {script}", *command)
    assert done.returncode == 0, done.stderr
    assert_is(mx.nd.load(command[2])[0], expected(maps(), regions())[0])


def run(script, *arguments):
    command = [sys.executable, "-W", "ignore", "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def test_graphs_of_other_hands():
    """Texts as MXNet writes them from Python 2, and attributes that are not the operator's."""
    symbol = roipool.roi_pool(DATA, ROIS, (3, 2), 0.5)
    graph = json.loads(symbol.tojson())
    graph["nodes"][-2]["attrs"] |= {"pooled_size": "(3L, 2L)", "__mood__": "good"}
    loaded = mx.sym.load_json(json.dumps(graph))
    assert_is(
        bound(loaded, maps(), regions()).forward()[0], expected(maps(), regions(), scale=0.5)[0]
    )


def test_names():
    pooled = ROIPooling(DATA, ROIS, (3, 2), 0.5, name="pool5")
    assert pooled.list_outputs() == ["pool5_output"]
    assert pooled.list_arguments() == ["data", "rois"]
    with mx.name.Prefix("net_"):
        assert ROIPooling(DATA, ROIS, (3, 2), 0.5, name="pool5").name == "net_pool5"
    values, argmax = roipool.roi_pool(DATA, ROIS, 2, 0.5, return_argmax=True)
    (output,) = values.list_outputs()
    assert argmax.list_outputs() == [output.replace("_output", "_pool_argmax")]
    assert ROIPooling(DATA, ROIS, 3, 0.5, name="one").infer_shape(data=(2, 5, 13, 11), rois=(7, 5))[
        1
    ] == [(7, 5, 3, 3)]
    with pytest.raises(ValueError, match="pooled_size is 0"):
        ROIPooling(DATA, ROIS, 0, 0.5, name="none")


class Net(mx.gluon.HybridBlock):
    def __init__(self, pool):
        super().__init__()
        self.pool = pool
        self.conv = mx.gluon.nn.Conv2D(8, 3, padding=1, in_channels=5)
        self.dense = mx.gluon.nn.Dense(4, in_units=8 * 6)

    def hybrid_forward(self, F, data, rois):
        pool = F.ROIPooling if self.pool is None else self.pool
        return self.dense(pool(self.conv(data), rois, (3, 2), 0.5))


def step(net):
    with mx.autograd.record():
        out = net(array(maps()), array(regions()[:9]))
        loss = (out * out).sum()
    loss.backward()
    return [out.asnumpy(), *(p.grad().asnumpy() for p in net.collect_params().values())]


@pytest.mark.parametrize(
    "mode",
    [None, {}, {"static_alloc": True}, {"static_alloc": True, "static_shape": True}],
    ids=["imperative", "hybrid", "static memory", "static shapes"],
)
@pytest.mark.parametrize("pool", [roipool.roi_pool, ROIPooling])
@pytest.mark.filterwarnings("ignore:Cannot decide type")  # of what the file doesn't tell
def test_hybrid_blocks(pool, mode, tmp_path):
    ours, theirs = Net(pool), Net(None)
    theirs.initialize()
    theirs.save_parameters(str(tmp_path / "weights"))
    ours.load_parameters(str(tmp_path / "weights"))
    for net in (ours, theirs):
        if mode is not None:
            net.hybridize(**mode)
    for _ in range(2):
        for mine, its in zip(step(ours), step(theirs), strict=True):
            assert_same_bits(mine, its)
    if mode is not None:
        ours.export(str(tmp_path / "net"))
        files = (
            str(tmp_path / "net-symbol.json"),
            ["data0", "data1"],
            str(tmp_path / "net-0000.params"),
        )
        loaded = mx.gluon.SymbolBlock.imports(*files)
        inputs = array(maps()), array(regions()[:9])
        assert_same_bits(loaded(*inputs).asnumpy(), theirs(*inputs).asnumpy())


def test_hybrid_blocks_of_the_numpy_interface():
    script = """
import mxnet as mx, numpy as np, roipool
mx.npx.set_np()
class Net(mx.gluon.HybridBlock):
    def hybrid_forward(self, F, data, rois):
        return roipool.roi_pool(F.np.abs(data), rois, 2, 0.7)
data = mx.np.arange(48).reshape(1, 1, 8, 6)
rois = mx.np.array([[0, 0, 0, 4, 4]])
data.attach_grad()
for hybrid in (False, True):
    net = Net()
    net.hybridize(hybrid)
    with mx.autograd.record():
        out = net(data, rois)
    out.backward()
    assert type(out) is mx.np.ndarray and out.tolist() == [[[[7, 9], [19, 21]]]], out
    assert data.grad.sum() == 4 and data.grad[0, 0, 3, 3] == 1
    assert net(data, mx.np.zeros((0, 5))).shape == (0, 1, 2, 2)
"""
    done = run(script)
    assert done.returncode == 0, done.stderr
