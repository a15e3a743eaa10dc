"""The kernels of samples as forms of PyTorch's dispatcher: derivatives of both modes, and vmap."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.autograd import gradcheck, gradgradcheck
from torch.func import jvp, vmap

from cases import assert_same_bits
from roipool.doors.torch.forms import FORMS
from roipool.doors.torch.operators import operators
from roipool.kernels import KERNELS
from sample_cases import KERNELS as NAMED
from sample_cases import Case, expected

LINEAR = [name for name in NAMED if KERNELS[name].linear]


def some(several=False, **how):
    """A case on one array of maps, or two, and all that it has by name."""
    sizes = ((2, 5, 4), (1, 3, 6)) if several else ((2, 5, 4),)
    case = Case(np.float64, **({"channels": 2, "count": 4, "sizes": sizes} | how))
    known = {"image": case.image, "argmax": case.argmax, "pooled": case.pooled}
    for axis, (taps, pixel, weight) in (("y", case.y), ("x", case.x)):
        known |= {f"{axis}_taps": taps, f"{axis}_pixel": pixel, f"{axis}_weight": weight}
    known = {name: torch.from_numpy(value.copy()) for name, value in known.items()}
    known["data"] = [torch.from_numpy(maps.copy()) for maps in case.maps]
    known["data_shape"] = [side for maps in case.maps for side in maps.shape]
    return case, known


def called(name, known, several=False):
    form = FORMS[name + ".several" * several]
    operator = getattr(getattr(operators, name), form.overload[1:] or "default")
    return operator(*form.arguments(known))


def function_of_factors(name, several):
    """The form as a function of what it is linear in, and values of these."""
    _, known = some(several)
    factors = [arg.name for arg in KERNELS[name].inputs if arg.name in KERNELS[name].linear]

    def function(*tensors):
        left = list(tensors)
        given = dict(known)
        for factor in factors:
            count = len(known["data"]) if factor == "data" else 1
            some, left = left[:count], left[count:]
            given[factor] = some if factor == "data" else some[0]
        return called(name, given, several)

    values = [known[f] if f == "data" else [known[f]] for f in factors]
    return function, [tensor for each in values for tensor in each]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("name", LINEAR)
def test_as_defined(name, several):
    case, known = some(several)
    found = called(name, known, several)
    found = found if isinstance(found, (list, tuple)) else [found]
    for actual, wanted in zip(found, expected(case, name), strict=True):
        assert_same_bits(actual.numpy(), wanted)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("name", LINEAR)
def test_numerical_derivatives(name, several):
    function, values = function_of_factors(name, several)
    inputs = [value.requires_grad_() for value in values]
    batched = not several  # autograd's vmap takes no lists
    assert gradcheck(
        function,
        inputs,
        check_forward_ad=True,
        check_batched_grad=batched,
        check_batched_forward_grad=batched,
    )
    assert gradgradcheck(function, inputs, check_fwd_over_rev=True)


@pytest.mark.parametrize("name", LINEAR)
def test_vmap_is_a_loop(name):
    function, values = function_of_factors(name, False)
    examples = [torch.stack([value, value * 2, 1 - value]) for value in values]

    def tangents(*factors):
        return jvp(function, factors, tuple(2 * factor for factor in factors))[1]

    for each in (function, tangents):
        looped = torch.stack([each(*(e[i] for e in examples)) for i in range(3)])
        torch.testing.assert_close(vmap(each)(*examples), looped)
        some = [
            value if i % 2 else e for i, (value, e) in enumerate(zip(values, examples, strict=True))
        ]
        dims = tuple(None if i % 2 else 0 for i in range(len(values)))
        looped = torch.stack(
            [
                each(*(v if d is None else v[i] for v, d in zip(some, dims, strict=True)))
                for i in range(3)
            ]
        )
        torch.testing.assert_close(vmap(each, in_dims=dims)(*some), looped)


@pytest.mark.parametrize("name", LINEAR)
def test_an_argmax_that_is_no_sample_is_told(name):
    case, known = some(seed=1)
    k, i, j = np.argwhere((case.samples() > 0) & (case.image >= 0)[:, None, None])[0]
    known["argmax"][k, 0, i, j] = int(case.samples()[k, i, j])
    known["y_weight"], known["x_weight"] = known["y_weight"] * 0 + 1, known["x_weight"] * 0 + 1
    with pytest.raises(IndexError, match="argmax holds positions outside"):
        called(name, known)
