"""Graphs that spox builds give, in ONNX Runtime, what arrays give, up to the sign of a zero."""

import numpy as np
import onnx
import onnxruntime
import pytest
import spox
import spox.opset.ai.onnx.v17 as op
import spox.opset.ai.onnx.v21 as op21

import roipool
from cases import NAMES, assert_same_bits, normal_maps, onnx_boxes, random_boxes
from peers.cases import cases
from roipool.checks import IN_FLOAT32
from test_errors import ROWS

MAPS = normal_maps(np.random.default_rng(0), (2, 5, 13, 11))
ROIS = onnx_boxes(13, 11, 1.0)


def maps(dtype=np.float32, shape=("N", "C", "H", "W")):
    return spox.argument(spox.Tensor(np.dtype(dtype), shape))


def boxes(columns=5, dtype=np.float32):
    return spox.argument(spox.Tensor(np.dtype(dtype), (None, columns)))


def run(value, inputs):
    """What the graph of a value gives for an array of each of its arguments."""
    names = {f"x{i}": argument for i, argument in enumerate(inputs)}
    model = spox.build(names, {"value": value})
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, dict(zip(names, inputs.values(), strict=True)))[0]


def assert_equal(actual, expected):
    """In every bit, but that zeros of both signs are one."""
    zero = expected.dtype.type(0)
    assert_same_bits(actual + zero, expected + zero)


def test_any_maps_and_regions():
    for case in cases(30, seed=2):
        data, rois = case["data"].astype(np.float32), case["rois"]
        x, y = maps(), boxes(dtype=rois.dtype)
        value = roipool.roi_pool(x, y, case["pooled_size"], case["scale"])
        expected = roipool.roi_pool(data, rois, case["pooled_size"], case["scale"])
        assert_equal(run(value, {x: data, y: rois}), expected)


@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_odd_regions_and_none(scale):
    x, y = maps(), boxes()
    value = roipool.roi_pool(x, y, (3, 2), scale)
    rois = onnx_boxes(13, 11, scale)
    for rows in (rois, rois[:0]):
        expected = roipool.roi_pool(MAPS, rows, (3, 2), scale)
        assert_equal(run(value, {x: MAPS, y: rows}), expected)


@pytest.mark.parametrize("scale", [2.0**-126, 1 / 3, 2.0**127])
def test_padding_beside_the_map_at_any_scale(scale):
    x, y = maps(), boxes()
    rois = np.array([[-1, np.nan, 0, np.inf, 0], [0, 0, 0, 0, 0]], np.float32)
    values = run(roipool.roi_pool(x, y, 2, scale), {x: MAPS, y: rois})
    assert_equal(values, roipool.roi_pool(MAPS, rois, 2, scale))


@pytest.mark.parametrize("dtype", NAMES)
def test_every_dtype(dtype):
    if dtype not in IN_FLOAT32:
        with pytest.raises(TypeError, match=f"data has dtype {dtype}; an ONNX graph pools in floa"):
            roipool.roi_pool(maps(dtype), ROIS, 2)
        return
    data = normal_maps(np.random.default_rng(1), MAPS.shape, dtype)
    x = maps()  # not every runtime's door takes bfloat16
    value = roipool.roi_pool(op.cast(x, to=np.dtype(dtype)), ROIS, (3, 2), 0.7)
    assert value.unwrap_tensor().dtype == np.dtype(dtype)
    actual = run(op.cast(value, to=np.float32), {x: data.astype(np.float32)})
    expected = roipool.roi_pool(data, ROIS, (3, 2), 0.7)
    assert_equal(actual, expected.astype(np.float32))


def test_every_form_of_rois():
    rois = random_boxes(np.random.default_rng(2), 10, 2, 13, 11)
    rois = rois[np.argsort(rois[:, 0], kind="stable")]
    parts = [rois[rois[:, 0] == n, 1:] for n in range(2)]
    expected = roipool.roi_pool(MAPS, rois, 2)
    for x in (maps(), maps(shape=MAPS.shape)):
        y, first, second = boxes(), boxes(4, np.float64), boxes(4)
        forms = [
            (y, {y: rois}),
            ([first, second], {first: parts[0].astype(np.float64), second: parts[1]}),
            ((parts[0], second), {second: parts[1]}),
            (rois, {}),
            (rois.tolist(), {}),
            (parts, {}),
        ]
        for form, inputs in forms:
            value = roipool.roi_pool(x, form, 2)
            assert_equal(run(value, {x: MAPS} | inputs), expected)


def test_among_other_nodes_of_a_later_opset():
    x, y = maps(), boxes()
    value = op21.identity(op21.cast(roipool.roi_pool(op.relu(x), y, 2), to=np.float64))
    expected = roipool.roi_pool(np.maximum(MAPS, 0), ROIS, 2).astype(np.float64)
    assert_equal(run(value, {x: MAPS, y: ROIS}), expected)


def test_constants_of_a_graph():
    value = roipool.roi_pool(op.const(MAPS), op.const(ROIS), 2)
    assert_equal(run(value, {}), roipool.roi_pool(MAPS, ROIS, 2))


def test_the_shape_is_known():
    assert roipool.roi_pool(maps(), boxes(), (3, 2)).unwrap_tensor().shape == (None, "C", 3, 2)


@pytest.mark.filterwarnings("ignore:Output type for variable")  # spox prefers known shapes
def test_even_the_number_of_axes_may_be_unknown():
    x, y = maps(), boxes()
    shapes = [spox.argument(spox.Tensor(np.int64, (None,))) for _ in range(2)]
    value = roipool.roi_pool(*map(op.reshape, (x, y), shapes), 2)
    value = op.reshape(value, op.const([-1, 5, 2, 2]))
    inputs = {x: MAPS, y: ROIS, shapes[0]: np.array(MAPS.shape), shapes[1]: np.array(ROIS.shape)}
    assert_equal(run(value, inputs), roipool.roi_pool(MAPS, ROIS, 2))


FORMS = r"expected an array \(K, 5\) of rows \[batch_index, x1, y1, x2, y2\], or a sequence"
TEXT = spox.argument(spox.Tensor(np.str_, ("K", 5)))
ARGUMENTS = [
    ({"data": maps(shape=("C", "H", "W"))}, ValueError, r"data has shape .*; expected .* \(N, C"),
    ({"data": maps(np.complex64)}, TypeError, "data has dtype complex64; .* cast data to one of"),
    ({"data": spox.argument(spox.Sequence(spox.Tensor(np.float32)))}, TypeError,
     "data is .*; expected a value that is a tensor"),
    ({"rois": boxes(4)}, ValueError, r"rois has shape \(None, 4\); " + FORMS),
    ({"rois": boxes(dtype=np.bool_)}, TypeError, "rois has dtype bool; expected real numbers"),
    ({"rois": TEXT}, TypeError, "rois has dtype <U.*; expected real numbers"),
    ({"rois": [boxes(4)]}, ValueError, "rois holds boxes for 1 images, but data holds 2;"),
    ({"rois": [boxes(4), boxes(5)]}, ValueError, r"rois\[1\] has shape \(None, 5\); " + FORMS),
    ({"rois": [boxes(4), [[0, 0, 1]]]}, ValueError, r"rois\[1\] has shape \(1, 3\); " + FORMS),
    ({"rois": 3}, ValueError, r"rois has shape \(\); " + FORMS),
    ({"pooled_size": 0}, ValueError, "pooled_size is 0; each side must be at least 1"),
    ({"return_argmax": True}, NotImplementedError, "ONNX's MaxRoiPool gives no positions"),
    ({"out": MAPS}, TypeError, "out is given, but a value of a graph has no memory"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "error", "message"), ARGUMENTS, ids=lambda v: str(v)[:40])
def test_arguments(changed, error, message):
    arguments = {"data": maps(shape=(2, 3, "H", "W")), "rois": boxes(), "pooled_size": 2}
    with pytest.raises(error, match="^" + message):
        roipool.roi_pool(**(arguments | changed))


@pytest.mark.parametrize(("values", "error", "message"), ROWS, ids=[str(r[0]) for r in ROWS])
def test_constant_rows(values, error, message):
    rois = np.array([[0, 0, 0, 1, 1], [1, 0, 0, 1, 1], values])
    with pytest.raises(error) as caught:
        roipool.roi_pool(maps(shape=(2, 3, "H", "W")), rois, 2)
    assert str(caught.value).startswith(message)


def test_no_gradient():
    with pytest.raises(NotImplementedError, match="ONNX has no gradient of MaxRoiPool"):
        roipool.roi_pool_backward(maps(), maps(np.int32), boxes(), (1, 1, 4, 4))
