"""Every operator of the dispatcher, however it was derived, keeps its rules."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from aligned_tensors import SCALE, double_maps, some_rois
from roipool.descriptions import OPERATORS
from roipool.doors.torch.forms import FORMS, called
from roipool.doors.torch.operators import operators

RULE_OF_SHAPES = "test_aot_dispatch_dynamic"
SHAPE, SIZE = (2, 2, 5, 4), (2, 2)
OPTIONS = {
    "sampling_ratio": 2,
    "aligned": True,
    "clockwise": True,
    "convention": "rfcn",
    "method": "bilinear",
    "extrapolation_value": 0.5,
    "tensorflow": False,
}
# An operator whose structure a family of kernels reduces over.
OF_KERNELS = {
    "max": "roi_align",
    "taps": "roi_align",
    "samples": "roi_align_max",
    "points": "roi_align_rotated",
}


def regions(operator):
    rois = some_rois()
    if operator.rows.width == 6:
        return torch.cat([rois, torch.full((len(rois), 1), 0.3, dtype=rois.dtype)], 1).abs()
    return rois


def known(operator):
    """All that its forms take, differentiable where it can be."""
    bins = SIZE[0] * SIZE[1] if operator.position_sensitive else 1
    shape = (SHAPE[0], SHAPE[1] * bins, *SHAPE[2:])
    grad = double_maps(4, SHAPE[1], *SIZE).requires_grad_()
    return {
        "data": double_maps(*shape).requires_grad_(),
        "pooled": grad,
        "argmax": torch.zeros(grad.shape, dtype=torch.int32),
        "rois": regions(operator).requires_grad_(),
        "data_shape": list(shape),
        "pooled_size": list(SIZE),
        "spatial_scale": [SCALE, SCALE],
        "dtype": torch.float64,
        "traced": True,
        **OPTIONS,
    }


def structure(operator):
    """What its kernels take, weights differentiable."""
    given = known(operator)
    given |= {"rois": given["rois"].detach(), "traced": False}
    name = f"{operator.name}_structure"
    results = called(name, given)
    found = dict(zip((arg.name for arg in FORMS[name].results), results, strict=True))
    return {k: v.requires_grad_(v.is_floating_point()) for k, v in found.items()}


def is_looked_at(name):
    """Several arrays of maps are one way for all operators: those of two stand for them."""
    operator = FORMS[name].operator
    one = not name.endswith(".several")
    return one or operator is None or operator.name in ("roi_pool", "roi_align")


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("name", [name for name in FORMS if is_looked_at(name)])
def test_operators_keep_the_rules_of_the_dispatcher(name):
    form = FORMS[name]
    operator = form.operator or OPERATORS[OF_KERNELS[name.partition("_")[0]]]
    given = known(operator)
    if form.operator is None:
        given |= structure(operator)
    if form.out or form.structure:
        given = {k: v.detach() if isinstance(v, torch.Tensor) else v for k, v in given.items()}
    arguments = [given[each] for each in form.names]
    if form.out:
        results = [given[arg.name].detach().clone() for arg in form.results]
        arguments += results
    base, _, overload = name.partition(".")
    function = getattr(getattr(operators, base), overload or "default")
    if overload:
        for i, argument in enumerate(function._schema.arguments):
            if str(argument.type) == "List[Tensor]":
                arguments[i] = [arguments[i], arguments[i].detach().clone()]
            elif argument.name in ("data_shape", "spatial_scale"):
                arguments[i] = [*arguments[i], *arguments[i]]
    rules = ["test_schema", "test_autograd_registration", "test_faketensor", RULE_OF_SHAPES]
    if operator.name == "prroi_pool" and form.of_rois:
        rules.remove("test_faketensor")  # eager lists are as long as values say
    found = torch.library.opcheck(function, tuple(arguments), test_utils=rules)
    assert set(found.values()) == {"SUCCESS"}
