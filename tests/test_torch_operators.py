"""Every operator of the dispatcher, however it was derived, keeps its rules."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from aligned_tensors import SCALE, double_maps, some_rois
from roipool.doors.torch.forms import FORMS
from roipool.doors.torch.operators import operators


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
        "roi_align_backward_rois": (grad_values, data, rois, scale, *more),
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


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("name", list(FORMS))
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
