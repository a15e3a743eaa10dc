"""roi_align of tensors: values, gradients for maps and regions, transforms, several maps."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

import roipool
from cases import FLOATS, NAMES
from roipool import reference
from roipool.doors.torch.operators import operators
from tensors import some_boxes, some_maps, to_array
from test_roi_align import assert_close

HOW = [
    {"sampling_ratio": 2},
    {"sampling_ratio": 2, "aligned": False},
    {},
    {"aligned": False},
]
each_way = pytest.mark.parametrize("how", HOW, ids=str)
SCALE = 0.83


def some_rois(dtype=torch.float64):
    """Inside, across a border, of below one pixel, padding: nothing near a pixel or a jump."""
    rois = [
        [0, 0.31, 0.72, 4.13, 5.21],
        [1, -1.13, 2.1, 3.3, 8.7],
        [0, 2.17, 2.23, 2.6, 2.71],
        [-1, 0, 0, 3, 3],
    ]
    return torch.tensor(rois, dtype=dtype)


def double_maps(*shape):
    return some_maps(shape, np.float64)


def with_corners(rois, corners):
    return torch.cat([rois[:, :1], corners], dim=1)


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


@each_way
@pytest.mark.parametrize("asked", ["data", "rois", "both"])
def test_numerical_derivatives(asked, how):
    rois = some_rois()
    data, corners = double_maps(2, 2, 7, 6), rois[:, 1:].clone()
    if asked != "rois":
        data.requires_grad_()
    if asked != "data":
        corners.requires_grad_()

    def pooled(maps, sides):
        return roipool.roi_align(maps, with_corners(rois, sides), (2, 3), SCALE, **how)

    assert gradcheck(
        pooled,
        (data, corners),
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
    )
    assert gradgradcheck(pooled, (data, corners), check_fwd_over_rev=True)


@each_way
def test_numerical_derivatives_of_gradients(how):
    rois = some_rois()
    data, grad_values = double_maps(2, 2, 7, 6), double_maps(4, 2, 2, 3)
    inputs = [t.requires_grad_() for t in (grad_values, data, rois[:, 1:].clone())]

    def of_data(weights, corners):
        boxes = with_corners(rois, corners)
        return roipool.roi_align_backward(weights, boxes, data.shape, SCALE, **how)

    def of_rois(weights, maps, corners):
        boxes = with_corners(rois, corners)
        return roipool.roi_align_backward_rois(weights, maps, boxes, SCALE, **how)

    assert gradcheck(of_data, inputs[::2], check_forward_ad=True)
    assert gradcheck(of_rois, inputs, check_forward_ad=True)


def pool(data, rois):
    return roipool.roi_align(data, rois, (2, 3), SCALE, sampling_ratio=2)


@pytest.mark.parametrize("argument", [0, 1])
def test_jacobians_of_both_modes_agree(argument):
    inputs = double_maps(2, 1, 7, 6), some_rois()
    torch.testing.assert_close(
        jacrev(pool, argnums=argument)(*inputs), jacfwd(pool, argnums=argument)(*inputs)
    )


def test_second_derivatives_agree():
    data, rois = double_maps(2, 1, 5, 4), some_rois()[:2]

    def loss(maps, boxes):
        return pool(maps, boxes).pow(2).sum()

    expected = hessian(loss, argnums=(0, 1))(data, rois)
    for outer, inner in ((jacrev, jacrev), (jacrev, jacfwd), (jacfwd, jacfwd)):
        found = outer(inner(loss, argnums=(0, 1)), argnums=(0, 1))(data, rois)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("how", [HOW[0], HOW[2]], ids=str)
@pytest.mark.parametrize("dims", [(0, None), (None, 0), (0, 0), (2, 1)], ids=str)
def test_vmap_is_a_loop(dims, how):
    data = torch.stack([some_maps((2, 3, 9, 8), seed=i) for i in range(3)], dim=dims[0] or 0)
    rois = torch.stack([some_boxes(2, 9, 8, seed=i) for i in range(3)], dim=dims[1] or 0)
    data = data[0] if dims[0] is None else data
    rois = rois[0] if dims[1] is None else rois

    def pooled(maps, boxes):
        return roipool.roi_align(maps, boxes, 2, 0.7, **how)

    def tangents(maps, boxes):
        return jvp(pooled, (maps, boxes), (maps * 2, boxes * 0 + 1))[1]

    def loss(maps, boxes):
        return pooled(maps, boxes).pow(2).sum()

    functions = [pooled, tangents, grad(loss), grad(loss, argnums=1)]
    for function in functions:
        looped = [
            function(*(t if d is None else t.select(d, i) for t, d in zip((data, rois), dims)))  # noqa: B905
            for i in range(3)
        ]
        torch.testing.assert_close(vmap(function, in_dims=dims)(data, rois), torch.stack(looped))


def test_batched_gradients():
    data, rois = double_maps(2, 1, 7, 6).requires_grad_(), some_rois().requires_grad_()
    values = pool(data, rois)
    weights = torch.stack([double_maps(*values.shape), values.detach()])
    batched = torch.autograd.grad(
        values, (data, rois), weights, is_grads_batched=True, retain_graph=True
    )
    for i in range(2):
        single = torch.autograd.grad(values, (data, rois), weights[i], retain_graph=True)
        torch.testing.assert_close([b[i] for b in batched], list(single))


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


# Every operator of the dispatcher.


def arguments_of(name):
    """Differentiable where they can be."""
    data, rois = double_maps(2, 2, 5, 4).requires_grad_(), some_rois().requires_grad_()
    size, scale, more = (2, 2), (SCALE, SCALE), (2, True)
    shape = tuple(data.shape)
    grad_values = double_maps(4, 2, 2, 2).requires_grad_()
    argmax = torch.zeros(grad_values.shape, dtype=torch.int32)
    found = operators.roi_align_structure(
        rois.detach(), shape, size, scale, *more, torch.float64, False
    )
    y, x, *structure = (t.requires_grad_(t.is_floating_point()) for t in found[:7])
    image = structure[0]
    memory = (grad_values.detach().clone(), data.detach().clone())
    return {
        "roi_align": (data, rois, size, scale, *more),
        "roi_align_backward": (grad_values, rois, shape, scale, *more),
        "roi_align_out": (data.detach(), rois.detach(), scale, *more, memory[0]),
        "roi_align_backward_out": (grad_values.detach(), rois.detach(), scale, *more, memory[1]),
        "roi_align_structure": (rois.detach(), shape, size, scale, *more, torch.float64, True),
        "roi_pool": (data, rois, size, scale),
        "roi_pool_argmax": (data, rois, size, scale),
        "roi_pool_gather": (data, argmax, rois),
        "roi_pool_backward": (grad_values, argmax, rois, shape),
        "roi_pool_out": (data.detach(), rois.detach(), scale, memory[0], argmax),
        "roi_pool_backward_out": (grad_values.detach(), argmax, rois.detach(), memory[1]),
        "max_read": (data, image, argmax),
        "max_add": (grad_values, image, argmax, shape),
        "taps_read": (data, y, x, *structure),
        "taps_add": (grad_values, y, x, *structure, shape),
        "taps_weigh_y": (grad_values, data, x, *structure),
        "taps_weigh_x": (grad_values, data, y, *structure),
    }[name]


def registered():
    from roipool.doors.torch.forms import FORMS

    return list(FORMS)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("name", registered())
def test_operators_keep_the_rules_of_the_dispatcher(name):
    name, _, overload = name.partition(".")
    arguments = list(arguments_of(name))
    operator = getattr(getattr(operators, name), overload or "default")
    if overload:
        for i, argument in enumerate(operator._schema.arguments):
            if str(argument.type) == "List[Tensor]":
                arguments[i] = [arguments[i], arguments[i].detach().clone()]
            elif argument.name in ("data_shape", "spatial_scale"):
                arguments[i] = [*arguments[i], *arguments[i]]
    assert set(torch.library.opcheck(operator, tuple(arguments)).values()) == {"SUCCESS"}
