"""roi_align in graphs that spox builds, and operators that come later."""

import numpy as np
import onnxruntime
import pytest
import spox.opset.ai.onnx.v17 as op

import later_operator
import roipool
from align_cases import assert_close, calls
from cases import NAMES, normal_maps, odd_boxes, random_boxes
from roipool import reference
from roipool.doors import door_of
from test_errors import ROWS
from test_spox import MAPS, boxes, maps, run


def some_rois(dtype=np.float32):
    """All but those whose adaptive grid fills ONNX Runtime's memory, on the map or not."""
    rois = np.concatenate(
        [odd_boxes(13, 11), random_boxes(np.random.default_rng(0), 12, 2, 13, 11)]
    )
    far = np.abs(rois[:, 1:]).max(axis=1) > 1000
    return rois[~far | (rois[:, 0] < 0)].astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_maps_and_regions(dtype):
    found, _ = calls(32, seed=7)
    for case in found:
        data, rois = case["data"].astype(dtype), case["rois"].astype(dtype)
        x, y = maps(dtype), boxes(dtype=dtype)
        value = roipool.roi_align(x, y, case["pooled_size"], case["scale"], **case["how"])
        expected = roipool.roi_align(data, rois, case["pooled_size"], case["scale"], **case["how"])
        assert_close(run(value, {x: data, y: rois}), expected)


@pytest.mark.parametrize("scale", [1.0, 0.7, (0.5, 1 / 3)])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_odd_regions_and_none(scale, aligned, sampling_ratio):
    x, y = maps(), boxes()
    how = {"sampling_ratio": sampling_ratio, "aligned": aligned}
    value = roipool.roi_align(x, y, (3, 2), scale, **how)
    for rows in (some_rois(), some_rois()[:0]):
        expected = roipool.roi_align(MAPS, rows, (3, 2), scale, **how)
        assert_close(run(value, {x: MAPS, y: rows}), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [2.0**-126, 1 / 3, 2.0**127])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_padding(scale, aligned, sampling_ratio, dtype):
    """Also what could not be told apart from a region by ONNX Runtime, which reads by it."""
    x, y = maps(dtype), boxes(dtype=dtype)
    value = roipool.roi_align(x, y, 2, scale, sampling_ratio=sampling_ratio, aligned=aligned)
    most = np.finfo(dtype).max
    rows = [[-1, 0, 0, 0, 0], [-1, np.nan, 0, np.inf, 0], [-np.inf, 0, 0, 0, 0]]
    rows += [[np.nan, 0, 0, 0, 0], [0, np.nan, 0, 0, 0], [0, -np.inf, 0, np.inf, 1]]
    rows += [[0, -most, -most, most, most], [0, 0, 0, np.inf, 1]]
    values = run(value, {x: MAPS.astype(dtype), y: np.array(rows, dtype)})
    assert not values.any()


def test_a_scale_that_float32_does_not_hold():
    x, y = maps(np.float64), boxes(dtype=np.float64)
    rois = np.array([[0, 1, 1, 9, 9]], np.float64)
    value = roipool.roi_align(x, y, 2, 1 / 3)
    expected = reference.roi_align(MAPS.astype(np.float64), rois, (2, 2), 1 / 3, 0, True)
    assert_close(run(value, {x: MAPS.astype(np.float64), y: rois}), expected)


@pytest.mark.parametrize("dtype", NAMES)
def test_every_dtype(dtype):
    x = maps(np.float64)  # not every runtime's door takes bfloat16
    features = op.cast(x, to=np.dtype(dtype))
    if np.dtype(dtype).kind in "iu":
        with pytest.raises(TypeError, match="an ONNX graph pools in float32 or float64, which hol"):
            roipool.roi_align(features, some_rois(), 2)
        return
    data = normal_maps(np.random.default_rng(1), MAPS.shape, dtype)
    rois = some_rois(np.float64 if dtype == "float64" else np.float32)
    value = roipool.roi_align(features, rois, (3, 2), 0.7)
    assert value.unwrap_tensor().dtype == np.dtype(dtype)
    actual = run(op.cast(value, to=np.float64), {x: data.astype(np.float64)})
    expected = roipool.roi_align(data, rois, (3, 2), 0.7)
    assert_close(actual.astype(dtype), expected)


def test_every_form_of_rois():
    rois = random_boxes(np.random.default_rng(2), 10, 2, 13, 11)
    rois = rois[np.argsort(rois[:, 0], kind="stable")]
    parts = [rois[rois[:, 0] == n, 1:] for n in range(2)]
    for dtype in (np.float32, np.float64):
        data = MAPS.astype(dtype)
        x, y, first, second = maps(dtype), boxes(), boxes(4, np.float64), boxes(4)
        expected = roipool.roi_align(data, rois.astype(dtype), 2)
        forms = [
            (y, {y: rois}),
            ([first, second], {first: parts[0].astype(np.float64), second: parts[1]}),
            ((parts[0], second), {second: parts[1]}),
            (rois.tolist(), {}),
            (parts, {}),
        ]
        for form, inputs in forms:
            assert_close(run(roipool.roi_align(x, form, 2), {x: data} | inputs), expected)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("pool", [roipool.roi_align, roipool.roi_pool])
def test_several_arrays_of_maps(pool, known):
    shapes, scales = [(2, 5, 13, 11), (1, 5, 7, 6), (5, 4, 3)], [1.0, 0.5, (0.25, 0.3)]
    data = [normal_maps(np.random.default_rng(i), shape) for i, shape in enumerate(shapes)]
    rois = random_boxes(np.random.default_rng(3), 24, 4, 13, 11)
    rois[::6, 0] = -1
    x = [maps(shape=shape if known else (None,) * len(shape)) for shape in shapes]
    y = boxes()
    # Of its own images each array gives all: the padding of the others is zero.
    places = [(0, 2), (2, 3), (3, 4)]
    expected = np.zeros((24, 5, 2, 2), np.float32)
    for array, scale, (begin, end) in zip(data, scales, places, strict=True):
        own = np.where((rois[:, :1] >= begin) & (rois[:, :1] < end), rois - [begin, 0, 0, 0, 0], -1)
        array = array if array.ndim == 4 else array[None]
        expected += pool(array, own.astype(np.float32), 2, scale)
    inputs = dict(zip(x, data, strict=True))
    assert_close(run(pool(x, y, 2, scales), inputs | {y: rois}), expected)
    assert_close(run(pool(tuple(x), rois, 2, scales), inputs), expected)
    assert_close(run(pool([x[0], *data[1:]], rois, 2, scales), {x[0]: data[0]}), expected)
    wrong = np.concatenate([rois, [[4, 0, 0, 1, 1]]]).astype(np.float32)
    with pytest.raises(Exception, match="batch"):
        run(pool(x, y, 2, scales), inputs | {y: wrong})
    if known:
        with pytest.raises(
            IndexError, match=r"rois\[24\] has batch index 4, but data holds 4 image"
        ):
            pool(x, wrong, 2, scales)


@pytest.mark.parametrize(("values", "error", "message"), ROWS, ids=[str(r[0]) for r in ROWS])
def test_constant_rows(values, error, message):
    rois = np.array([[0, 0, 0, 1, 1], [1, 0, 0, 1, 1], values])
    with pytest.raises(error) as caught:
        roipool.roi_align(maps(shape=(2, 3, "H", "W")), rois, 2)
    assert str(caught.value).startswith(message)


def test_a_batch_index_too_large_is_an_error_of_the_runtime():
    x, y = maps(), boxes()
    with pytest.raises(Exception, match=r"RoiAlign.*batch_indices value 2 .*out of range"):
        run(roipool.roi_align(x, y, 2), {x: MAPS, y: np.array([[2, 0, 0, 3, 3]], np.float32)})


def test_what_is_refused():
    with pytest.raises(TypeError, match=r"data\[1\] has dtype float64, but data has float32; cast"):
        roipool.roi_align([maps(), maps(np.float64)], boxes(), 2)
    with pytest.raises(ValueError, match=r"data\[1\] has shape \(4, 5\); expected feature maps"):
        roipool.roi_align([maps(), np.zeros((4, 5), np.float32)], boxes(), 2)
    with pytest.raises(TypeError, match="out is given, but a value of a graph has no memory"):
        roipool.roi_align(maps(), boxes(), 2, out=MAPS)
    with pytest.raises(TypeError, match="grad is a Var; expected an array of pooled values"):
        roipool.roi_align_backward(maps(), boxes(), (1, 1, 4, 4))
    with pytest.raises(NotImplementedError, match="ONNX has no gradient of RoiAlign; different"):
        roipool.roi_align_backward_rois(MAPS, maps(), boxes())


def test_the_shape_is_known():
    assert roipool.roi_align(maps(), boxes(), (3, 2)).unwrap_tensor().shape == (None, "C", 3, 2)


@pytest.fixture
def centre():
    with later_operator.centre() as operator:
        yield operator


def test_an_operator_that_comes_later(centre):
    x, y = maps(), boxes()
    call = centre.call(2, 0.7, None, aligned=False)
    value = door_of(x).pool(centre, x, y, call, False, None)
    expected = roipool.roi_align(MAPS, some_rois(), 2, 0.7, sampling_ratio=1, aligned=False)
    assert_close(run(value, {x: MAPS, y: some_rois()}), expected)
    without = centre._replace(onnx=None)
    with pytest.raises(NotImplementedError, match="ONNX has no node that computes centre"):
        door_of(x).pool(without, x, y, call, False, None)


def test_onnx_runtime_has_no_later_node():
    """When this fails, `roipool.onnx` may say so."""
    import onnx
    from onnx import TensorProto, helper

    node = helper.make_node("RoiAlign", ["x", "r", "i"], ["y"])
    kinds = {"x": TensorProto.FLOAT, "r": TensorProto.FLOAT, "i": TensorProto.INT64}
    inputs = [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    model = helper.make_model(
        helper.make_graph([node], "g", inputs, [out]),
        opset_imports=[helper.make_opsetid("", 22)],
        ir_version=onnx.IR_VERSION_2021_7_30,
    )
    with pytest.raises(Exception, match="NOT_IMPLEMENTED"):
        onnxruntime.InferenceSession(model.SerializeToString())
