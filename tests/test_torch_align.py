"""roi_align of tensors: values, gradients, forms of regions, several maps, compilers."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import roipool
from aligned_tensors import HOW, SCALE, double_maps, each_way, pool, some_rois, with_corners
from cases import FLOATS, NAMES
from roipool import reference
from tensors import some_boxes, some_maps, to_array
from test_roi_align import assert_close


def expected_of(data, rois, size, scale, sampling_ratio=0, aligned=True):
    with np.errstate(over="ignore"):
        return reference.roi_align(
            to_array(data), rois.numpy(), size, scale, sampling_ratio, aligned
        )


@pytest.mark.parametrize("last", [False, True])
@each_way
@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
def test_values_and_gradients(dtype, how, last):
    of_boxes = np.float64 if dtype == np.float64 else np.float32
    data, rois = some_maps(dtype=dtype), some_boxes(dtype=of_boxes)
    if last:
        data = data.contiguous(memory_format=torch.channels_last)
    values = roipool.roi_align(data, rois, (3, 2), SCALE, **how)
    assert_close(to_array(values), expected_of(data, rois, (3, 2), SCALE, **how), dtype)
    assert values.is_contiguous(memory_format=[torch.contiguous_format, torch.channels_last][last])
    inputs = data.clone().requires_grad_(), rois.clone().requires_grad_()
    assert torch.equal(roipool.roi_align(*inputs, (3, 2), SCALE, **how), values)
    weights = some_maps(values.shape, dtype, seed=1)
    with np.errstate(over="ignore"):
        of_data, of_rois = reference.roi_align_backward(
            *map(to_array, (weights, data, rois)),
            SCALE,
            how.get("sampling_ratio", 0),
            how.get("aligned", True),
        )
    for asked in ([0], [1], [0, 1]):
        given = [t if i in asked else t.detach() for i, t in enumerate(inputs)]
        pooled = roipool.roi_align(*given, (3, 2), SCALE, **how)
        found = torch.autograd.grad(pooled, [inputs[i] for i in asked], weights)
        for i, gradient in zip(asked, found, strict=True):
            assert_close(to_array(gradient), (of_data, of_rois)[i], (dtype, of_boxes)[i])
    again = roipool.roi_align_backward(weights, rois, data.shape, SCALE, **how)
    assert_close(to_array(again), of_data, dtype)
    again = roipool.roi_align_backward_rois(weights, data, rois, SCALE, **how)
    assert_close(to_array(again), of_rois, of_boxes)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32])
def test_every_dtype_of_rois(dtype):
    data, rois = some_maps(), torch.tensor([[0, 1, 2, 5, 6], [1, 0, 3, 8, 8]], dtype=dtype)
    expected = roipool.roi_align(data, rois.float(), 2)
    assert torch.equal(roipool.roi_align(data, rois, 2), expected)
    if dtype.is_floating_point:
        values = roipool.roi_align(data, rois.requires_grad_(), 2)
        assert torch.equal(values, expected)
        (gradient,) = torch.autograd.grad(values.sum(), rois)
        assert gradient.dtype == dtype
        assert gradient[:, 1:].any()


def test_regions_of_images_have_gradients():
    data, rois = double_maps(2, 2, 7, 6), some_rois()[[0, 2, 1]]
    boxes = [rois[:2, 1:].clone().requires_grad_(), rois[2:, 1:].float().requires_grad_()]
    found = torch.autograd.grad(pool(data, boxes).sum(), boxes)
    joined = with_corners(rois, torch.cat([boxes[0], boxes[1].double()])).detach().requires_grad_()
    (expected,) = torch.autograd.grad(pool(data, joined).sum(), joined)
    torch.testing.assert_close(found[0], expected[:2, 1:])
    torch.testing.assert_close(found[1], expected[2:, 1:].float())


def test_same_bits_on_every_number_of_threads(threads):
    data, rois = some_maps((2, 33, 40, 30)), some_boxes(2, 40, 30, count=60)
    weights = some_maps((len(rois), 33, 3, 3), seed=1)
    results = []
    for count in (1, 2, 2):
        threads(count)
        inputs = data.clone().requires_grad_(), rois.clone().requires_grad_()
        values = roipool.roi_align(*inputs, 3)
        results.append((values.detach(), *torch.autograd.grad(values, inputs, weights)))
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
@each_way
def test_nothing_to_pool(shape, how):
    data = torch.zeros(shape, requires_grad=True)
    rois = torch.tensor([[0.0 if shape[0] else -1.0, 0, 0, 3, 3]])
    for rows in (rois, rois[:0]):
        values = roipool.roi_align(data, rows.requires_grad_(), (2, 3), **how)
        assert torch.equal(values, torch.zeros(len(rows), shape[1], 2, 3))
        found = torch.autograd.grad(values.sum(), (data, rows), create_graph=True)
        assert torch.equal(found[0], torch.zeros(shape))
        assert torch.equal(found[1], torch.zeros(rows.shape))


def test_memory_of_the_caller():
    data, rois = some_maps(), some_boxes()
    expected = roipool.roi_align(data, rois, 2)
    values = torch.zeros_like(expected)
    assert roipool.roi_align(data, rois, 2, out=values) is values
    assert torch.equal(values, expected)
    grad_data = torch.ones_like(data)
    back = roipool.roi_align_backward(values, rois, data.shape, out=grad_data)
    assert back is grad_data
    assert torch.equal(back, roipool.roi_align_backward(values, rois, data.shape))
    with pytest.raises(ValueError, match="out is given, but a derivative is asked for"):
        roipool.roi_align(data, rois.requires_grad_(), 2, out=values)


REFUSED = [
    (
        {"data": torch.zeros(1, 1, 2, 2).int()},
        TypeError,
        "data has dtype torch.int32; expected one",
    ),
    ({"rois": torch.tensor([[1.0, 0, 0, 1, 1]])}, IndexError, r"rois\[0\] has batch index 1, but"),
    ({"rois": torch.tensor([[0.5, 0, 0, 1, 1]])}, ValueError, r"rois\[0\] has batch index 0.5, w"),
    ({"rois": torch.tensor([[0, torch.nan, 0, 1, 1]])}, ValueError, r"rois\[0, 1\] \(x1\) is nan"),
    ({"sampling_ratio": 2000}, ValueError, "sampling_ratio is 2000; expected at most 1024"),
    ({"spatial_scale": (1, 2, 3)}, ValueError, "spatial_scale is .* or two"),
]


@pytest.mark.parametrize(("changed", "error", "message"), REFUSED, ids=lambda v: str(v)[:40])
def test_refused(changed, error, message):
    arguments = {
        "data": torch.zeros(1, 1, 2, 2),
        "rois": torch.zeros(1, 5),
        "pooled_size": 2,
    } | changed
    with pytest.raises(error, match="^" + message):
        roipool.roi_align(**arguments)
    if arguments["data"].is_floating_point():
        arguments["rois"] = arguments["rois"].clone().requires_grad_()
        with pytest.raises(error, match="^" + message):
            roipool.roi_align(**arguments)


# Several tensors of maps, compilers, and operators that come later.


def several_maps():
    return [some_maps((2, 3, 9, 8)), some_maps((3, 5, 6), seed=1), some_maps((1, 3, 12, 4))]


@pytest.mark.parametrize("how", [HOW[0], HOW[2]], ids=str)
def test_several_maps_are_pooled_as_each(how):
    maps, rois = several_maps(), some_boxes(1, 9, 8)
    scales = [1.0, 0.5, 0.7]
    images = [(maps[0][:1], 1.0), (maps[0][1:], 1.0), (maps[1][None], 0.5), (maps[2], 0.7)]
    rows = torch.cat([rois + torch.eye(5)[0] * (i * (rois[:, :1] >= 0)) for i in range(4)])
    rows.requires_grad_()
    given = [each.clone().requires_grad_() for each in maps]
    values = roipool.roi_align(given, rows, 2, scales, **how)
    weights = some_maps(values.shape, seed=3)
    *found, of_rois = torch.autograd.grad(values, [*given, rows], weights)
    shapes = [(1, *each.shape)[-4:] for each in maps]
    back = roipool.roi_align_backward(weights, rows.detach(), shapes, scales, **how)
    for i, (data, scale) in enumerate(images):
        here = slice(i * len(rois), (i + 1) * len(rois))
        one, boxes = data.clone().requires_grad_(), rois.clone().requires_grad_()
        expected = roipool.roi_align(one, boxes, 2, scale, **how)
        torch.testing.assert_close(values[here], expected)
        of_data, of_boxes = torch.autograd.grad(expected, (one, boxes), weights[here])
        torch.testing.assert_close(of_rois[here], of_boxes)
        part = [found[0][:1], found[0][1:], found[1][None], found[2]][i]
        torch.testing.assert_close(part, of_data)
        torch.testing.assert_close([back[0][:1], back[0][1:], back[1], back[2]][i], of_data)


@pytest.mark.parametrize("how", [HOW[0], HOW[2]], ids=str)
def test_compiled_whole_with_gradients(how):
    def step(data, other, rois):
        one = roipool.roi_align(data, rois, (2, 3), SCALE, **how).pow(2).sum()
        return one + roipool.roi_align([data, other], rois, 2, [1.0, 0.5], **how).pow(2).sum()

    fast = torch.compile(step, fullgraph=True, backend="aot_eager")
    for count in (3, 7):
        inputs = [some_maps(), some_maps((1, 5, 7, 9)), some_boxes()[:count].clone()]
        inputs = [t.requires_grad_() for t in inputs]
        expected = torch.autograd.grad(step(*inputs), inputs)
        torch.testing.assert_close(torch.autograd.grad(fast(*inputs), inputs), expected)
    torch._dynamo.reset()


def test_exported_for_any_number_of_regions():
    from roipool.nn import RoIAlign

    model = RoIAlign((3, 2), 0.5)
    shapes = {"data": None, "rois": {0: torch.export.Dim("K")}}
    program = torch.export.export(model, (some_maps(), some_boxes()), dynamic_shapes=shapes)
    assert "roipool.roi_align.default" in program.graph_module.code
    rois = some_boxes()[:5]
    assert torch.equal(program.module()(some_maps(), rois), model(some_maps(), rois))


def test_an_operator_described_later():
    from roipool import descriptions
    from roipool.doors import torch as door
    from roipool.operators.roi_align import ROI_ALIGN

    made_up = descriptions.described(ROI_ALIGN._replace(name="made_up"))
    try:
        call = made_up.call((2, 3), SCALE, None, sampling_ratio=2, aligned=True)
        data, rois = double_maps(2, 2, 7, 6).requires_grad_(), some_rois().requires_grad_()
        values = door.pool(made_up, data, rois, call, False, None)
        assert torch.equal(values, pool(data, rois))
        found = torch.autograd.grad(values.sum(), (data, rois))
        torch.testing.assert_close(found, torch.autograd.grad(pool(data, rois).sum(), (data, rois)))
        assert hasattr(torch.ops.roipool, "made_up_backward")
    finally:
        del descriptions.OPERATORS["made_up"]


def test_module():
    from roipool.nn import RoIAlign

    module = RoIAlign((3, 2), 0.5, sampling_ratio=2)
    assert repr(module) == (
        "RoIAlign(pooled_size=(3, 2), spatial_scale=0.5, sampling_ratio=2, aligned=True, "
        "mode='avg')"
    )
    data, rois = some_maps(), some_boxes()
    expected = roipool.roi_align(data, rois, (3, 2), 0.5, sampling_ratio=2)
    assert torch.equal(module(data, rois), expected)
    with pytest.raises(ValueError, match="sampling_ratio is 5000"):
        RoIAlign(2, sampling_ratio=5000)
