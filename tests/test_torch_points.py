"""PyTorch: the kernels of points as operators, with derivatives and vmap."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.autograd import gradcheck, gradgradcheck
from torch.func import vmap

from cases import assert_same_bits
from point_cases import KERNELS, Case
from roipool.doors import torch as _door  # noqa: F401  registers them

SMALL = {"channels": 2, "pooled": (2, 1), "count": 4, "most": 4}
ONE, SEVERAL = ((2, 4, 5),), ((1, 4, 5), (2, 3, 4))


def operator(name, case):
    """As a function of tensors, and what it takes: each array of feature maps by itself."""
    several = len(case.maps) > 1
    overload = getattr(getattr(torch.ops.roipool, name), "several" if several else "default")
    maps = list(map(torch.from_numpy, case.maps))
    lists = (case.image, case.points, case.y, case.x)
    pooled, weight, *lists = map(torch.from_numpy, (case.pooled, case.weight, *lists))
    count = len(maps)
    shape = [side for array in maps for side in array.shape]

    def features(tensors):
        return list(tensors) if several else tensors[0]

    functions = {
        "points_read": (lambda *t: overload(features(t[:count]), *t[count:]), [*maps, weight]),
        "points_add": (lambda *t: overload(*t, shape), [pooled, weight]),
        "points_weigh": (
            lambda g, *t: overload(g, features(t[:count]), *t[count:]),
            [pooled, *maps],
        ),
    }
    function, factors = functions[name]
    return function, factors, lists


@pytest.mark.parametrize("sizes", [ONE, SEVERAL], ids=["one", "several"])
@pytest.mark.parametrize("name", KERNELS)
def test_as_the_core(name, sizes):
    case = Case(np.float32, sizes=sizes)
    function, factors, lists = operator(name, case)
    found = function(*factors, *lists)
    found = found if isinstance(found, list) else [found]
    for each, expected in zip(found, case.run(name), strict=True):
        assert_same_bits(each.numpy(), expected)


@pytest.mark.parametrize("sizes", [ONE, SEVERAL], ids=["one", "several"])
@pytest.mark.parametrize("name", KERNELS)
def test_derivatives(name, sizes):
    """For every factor together, of either mode and of second order, against differences."""
    function, factors, lists = operator(name, Case(np.float64, sizes=sizes, **SMALL))
    inputs = [factor.requires_grad_() for factor in factors]

    def of_factors(*factors):
        found = function(*factors, *lists)
        return tuple(found) if isinstance(found, list) else found

    batched = sizes == ONE  # gradcheck's own vmap takes no lists
    assert gradcheck(
        of_factors,
        inputs,
        check_forward_ad=True,
        check_batched_grad=batched,
        check_batched_forward_grad=batched,
    )
    assert gradgradcheck(of_factors, inputs, check_fwd_over_rev=True)


@pytest.mark.parametrize("sizes", [ONE, ((1, 6, 5), (2, 6, 5))], ids=["one", "several"])
@pytest.mark.parametrize("name", KERNELS)
def test_vmap_of_every_tensor(name, sizes):
    """Each by itself, and all: lists of points are then joined, and the bins' ranges with them."""
    function, factors, lists = operator(name, Case(np.float64, 3, sizes=sizes))
    tensors = [*factors, *lists]
    examples = [torch.stack([t, t.flip(0), t]) for t in tensors]
    for at in range(len(tensors) + 1):
        dims = [0 if at in (i, len(tensors)) else None for i in range(len(tensors))]
        some = [e if d == 0 else t for t, e, d in zip(tensors, examples, dims, strict=True)]
        one = [
            function(*(t if d is None else t[i] for t, d in zip(some, dims, strict=True)))
            for i in range(3)
        ]
        found = vmap(function, tuple(dims))(*some)
        if isinstance(found, list):
            expected = [torch.stack(parts) for parts in zip(*one, strict=True)]
        else:
            expected = torch.stack(one)
        torch.testing.assert_close(found, expected)
