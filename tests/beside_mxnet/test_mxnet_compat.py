"""roipool.compat.mxnet: the seed's name, and finished networks with roipool in them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

from cases import assert_same_bits
from mxnet_arrays import array, assert_is, expected, maps, regions
from roipool.compat.mxnet import ROIPooling, convert
from roipool.doors.mxnet.graph import OPERATOR

ROOT = Path(__file__).parents[2]
DATA, ROIS = mx.sym.Variable("data"), mx.sym.Variable("rois")


@pytest.mark.parametrize(("scale", "values"), [(1.0, [14, 16, 26, 28]), (0.7, [7, 9, 19, 21])])
def test_the_examples_of_the_documentation(scale, values):
    x = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
    y = np.array([[0, 0, 0, 4, 4]], np.float32)
    wanted = np.array(values, np.float32).reshape(1, 1, 2, 2)
    assert_same_bits(ROIPooling(x, y, (2, 2), scale), wanted)
    assert_is(ROIPooling(array(x), array(y), (2, 2), scale), wanted)
    assert_is(ROIPooling(array(x), array(y), (2, 2), scale, name="ignored"), wanted)
    out = mx.nd.empty((1, 1, 2, 2))
    assert ROIPooling(data=array(x), rois=y, pooled_size=2, spatial_scale=scale, out=out) is out
    assert_is(out, wanted)
    pooled = ROIPooling(DATA, ROIS, (2, 2), scale, name="pool5")
    assert_is(pooled.eval(data=array(x), rois=array(y))[0], wanted)


def fast_rcnn():
    sys.path.append(str(ROOT / "examples"))
    try:
        import from_mxnet
    finally:
        sys.path.pop()
    return from_mxnet.fast_rcnn(8)


def graph_of(symbol):
    return json.loads(symbol.tojson(remove_amp_cast=False))


def without_ours(graph):
    """The graph by its nodes' names, with one ROIPooling in the place of each three nodes."""
    names = [node["name"] for node in graph["nodes"]]

    def named(entries):
        return [(names[i], *output) for i, *output in entries]

    nodes = {}
    for node in graph["nodes"]:
        subgraphs = [without_ours(part) for part in node.get("subgraphs", ())]
        nodes[node["name"]] = node | {"inputs": named(node["inputs"]), "subgraphs": subgraphs}
    assert len(nodes) == len(names)
    for pool in [node for node in nodes.values() if node.get("attrs", {}).get("op_type")]:
        del nodes[pool["name"]]
        name = pool["name"].removesuffix("_pool")
        plain, last = nodes.pop(f"{name}_plain"), nodes[name]
        assert (plain["op"], last["op"]) == ("SwapAxis", "SwapAxis")
        assert last["inputs"] == [(f"{name}_pool", 0, 0)]
        assert pool["attrs"].pop("op_type") == OPERATOR
        inputs = plain["inputs"] + pool["inputs"][1:]
        nodes[name] = pool | {"op": "ROIPooling", "name": name, "inputs": inputs}
    others = {k: v for k, v in graph.items() if k not in ("nodes", "node_row_ptr", "arg_nodes")}
    return others | {"nodes": nodes, "heads": named(graph["heads"])}


def with_much():
    """Groups, auxiliary states, attributes, two ROIPoolings, nodes with several outputs."""
    with mx.AttrScope(ctx_group="first", __mood__="good"):
        body = mx.sym.BatchNorm(mx.sym.Convolution(DATA, kernel=(3, 3), num_filter=8), name="bn")
        first = mx.sym.ROIPooling(body, ROIS, (3, 3), 0.5, name="first", attr={"__note__": "a"})
    cast = mx.sym.amp_cast(body, dtype="float32")
    second = mx.sym.ROIPooling(cast, ROIS, (2, 2), 0.5, name="second")
    parts = mx.sym.split(first, num_outputs=4, axis=1)
    return mx.sym.Group([second, parts[2], mx.sym.BlockGrad(first, name="first_again"), first])


def in_a_loop():
    def body(data, states):
        return mx.sym.ROIPooling(data, ROIS, (2, 2), 0.5), states

    return mx.sym.contrib.foreach(body, DATA, [])[0]


@pytest.mark.parametrize("network", [fast_rcnn, with_much, in_a_loop])
def test_all_else_is_as_it_was(network):
    symbol = network()
    before = symbol.tojson()
    converted = convert(symbol)
    assert symbol.tojson() == before
    assert '"ROIPooling"' in before
    assert '"ROIPooling"' not in converted.tojson()
    assert without_ours(graph_of(converted)) == without_ours(graph_of(symbol))
    for list_ in ("list_arguments", "list_outputs", "list_auxiliary_states"):
        assert getattr(converted, list_)() == getattr(symbol, list_)()
    inside = converted.get_internals().list_outputs()
    assert set(symbol.get_internals().list_outputs()) <= set(inside)
    assert graph_of(convert(converted)) == graph_of(converted)


def test_attributes():
    symbol = with_much()
    before, after = symbol.attr_dict(), convert(symbol).attr_dict()
    placed = {"__ctx_group__": "first", "__mood__": "good", "__note__": "a"}
    for name in ("first_plain", "first_pool", "first"):
        assert placed.items() <= after[name].items()
    assert before["first"].items() <= after["first_pool"].items()
    for name in before.keys() - {"first", "second"}:
        assert after[name] == before[name]


def test_a_network_without():
    symbol = mx.sym.Activation(DATA, act_type="relu", name="relu")
    assert convert(symbol).tojson() == symbol.tojson()


def test_a_symbol_of_the_numpy_interface():
    symbol = mx.sym.npx.roi_pooling(DATA.as_np_ndarray(), ROIS.as_np_ndarray(), (2, 2), 0.5)
    converted = convert(symbol)
    assert type(converted) is type(symbol)
    assert "ROIPooling" not in converted.tojson()


def run(symbol, shapes):
    """Outputs of a step and of a prediction, and gradients."""
    rng = np.random.default_rng(0)
    executor = symbol.simple_bind(mx.cpu(), **shapes)
    for name, a in (executor.arg_dict | executor.aux_dict).items():
        a[:] = regions()[: len(a)] if name == "rois" else abs(rng.standard_normal(a.shape))
    for is_train in (True, True, False):
        outputs = [out.asnumpy() for out in executor.forward(is_train)]
        if is_train:
            executor.backward([mx.nd.ones_like(out) for out in executor.outputs])
        yield from outputs
    for name in sorted(executor.grad_dict):
        yield executor.grad_dict[name].asnumpy()


@pytest.mark.parametrize(
    ("network", "shapes"),
    [
        (fast_rcnn, {"data": (2, 3, 64, 96), "rois": (9, 5)}),
        (with_much, {"data": (2, 3, 24, 20), "rois": (9, 5)}),
        (in_a_loop, {"data": (4, 2, 3, 12, 10), "rois": (9, 5)}),
    ],
)
def test_the_same_bits(network, shapes):
    symbol = network()
    pairs = list(zip(run(symbol, shapes), run(convert(symbol), shapes), strict=True))
    assert len(pairs) >= 5
    for theirs, ours in pairs:
        assert_same_bits(ours, theirs)


def test_a_module():
    """The network as users train it."""
    symbol = fast_rcnn()
    module = mx.mod.Module(convert(symbol), ("data", "rois", "bbox_target"), ("label",))
    shapes = [("data", (9, 3, 64, 96)), ("rois", (9, 5)), ("bbox_target", (9, 84))]
    module.bind(shapes, [("label", (9,))])
    module.init_params()
    module.init_optimizer()
    inputs = [mx.nd.ones(shape) for _, shape in shapes]
    inputs[1] = array(regions()[:9])
    for _ in range(2):
        module.forward_backward(mx.io.DataBatch(inputs, [mx.nd.ones(9)]))
        module.update()
    classes = module.get_outputs()[0]
    assert classes.shape == (9, 21)
    np.testing.assert_allclose(classes.asnumpy().sum(axis=1), 1, rtol=1e-5)


def test_the_example():
    command = [sys.executable, "-W", "ignore", str(ROOT / "examples" / "from_mxnet.py")]
    small = ["--size", "96", "128", "--regions", "12", "--channels", "16", "--rounds", "2"]
    done = subprocess.run([*command, *small], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "18 of 18 outputs and gradients: the same bits" in done.stdout
    assert len(re.findall(r"MXNet takes \d+\.\d\d times as long", done.stdout)) == 3


def test_the_readme(tmp_path, monkeypatch):
    """Its lines as they stand there, beside what they name."""
    section = re.search(r"### MXNet\n(.*?)\n### ", (ROOT / "README.md").read_text(), re.DOTALL)
    code = "".join(re.findall(r"```python\n(.*?)```", section.group(1), re.DOTALL))
    monkeypatch.chdir(tmp_path)
    fast_rcnn().save("fast_rcnn-symbol.json")
    names = {"mx": mx, "features": array(maps()), "rois": array(regions())}
    exec(code, names)
    assert_is(names["pooled"], expected(maps(), regions(), (7, 7), 1 / 16)[0])
    assert OPERATOR in names["network"].tojson()
