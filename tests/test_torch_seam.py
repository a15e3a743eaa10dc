"""PyTorch's dispatcher is open to all: whatever its operators are given, they run or say why not.

So on the CPU, on devices, and where results are only looked at.
"""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from roipool.descriptions import OPERATORS
from roipool.doors.torch import devices, kernels
from roipool.doors.torch.forms import FORMS, OVERLOADS
from test_torch_operators import OF_KERNELS, is_looked_at, known, structure

REFUSED = ValueError, TypeError, IndexError
NAMES = [name for name in FORMS if is_looked_at(name)]


def values_of(form):
    """What it may be given, by name, none of it differentiable; and memory for what it fills."""
    operator = form.operator or OPERATORS[OF_KERNELS[form.name.partition("_")[0]]]
    given = known(operator)
    if form.operator is None:
        given |= structure(operator)
    given = {k: v.detach() if isinstance(v, torch.Tensor) else v for k, v in given.items()}
    given["data"] = [given["data"]] * 2 if form.several else given["data"]
    if form.several and not form.structure:
        given["data_shape"], given["spatial_scale"] = 2 * given["data_shape"], [0.5] * 4
    values = {name: given[name] for name in form.names}
    for arg in form.results if form.out else ():
        like = given[arg.name]
        if arg.axes == "NCHW":
            like = given["data"]
            values["out"] = list(map(torch.zeros_like, like)) if form.several else like * 0
        else:
            values[arg.name] = torch.zeros_like(like)
    return values


def ways(form):
    """Where it runs: on the CPU, where values are only looked at, and on any device."""
    return OVERLOADS[form.name], kernels.fake(form), devices.on_device(form)


def replaced(value, broken):
    """A tensor, or the last of several, by another."""
    return [*value[:-1], broken(value[-1])] if isinstance(value, list) else broken(value)


def changes(tensor):
    """What may be done to a tensor, and whether no call takes what comes of it."""
    yield lambda t: t.flatten()[0], True
    yield lambda t: t[None], True
    for axis in range(tensor.ndim):
        yield lambda t, axis=axis: t.narrow(axis, 0, t.shape[axis] - 1), False
        yield lambda t, axis=axis: torch.cat([t, t.narrow(axis, 0, 1)], axis), False
    for dtype in (torch.int8, torch.int16, torch.float16):
        yield lambda t, dtype=dtype: t.to(dtype), False
    yield lambda t: t.to(torch.bool), True
    yield lambda t: t.to(torch.complex64), True


def looks(found):
    """Of a form's results."""
    if isinstance(found, torch.Tensor):
        return tuple(found.shape), found.dtype
    return found and [*map(looks, found)]


def outcome(run, values):
    """What its results look like; None where it says why it has none."""
    try:
        return (looks(run(*values)),)
    except REFUSED:
        return None


def agree(form, change, never):
    """What is looked at, and on devices, is refused alike; on the CPU numbers are seen too."""
    eager, looked_at, device = (
        outcome(run, change(values_of(form)).values()) for run in ways(form)
    )
    if never or looked_at is None:
        assert eager is looked_at is device is None
    elif not form.structure:  # lists are as long as there are values, or as there may be
        assert eager in (None, looked_at)
        assert device in (None, looked_at)


@pytest.mark.parametrize("name", NAMES)
def test_right_calls_run(name):
    values = values_of(FORMS[name])
    assert all(outcome(run, values.values()) for run in ways(FORMS[name]))


@pytest.mark.parametrize("name", NAMES)
def test_tensors(name):
    form = FORMS[name]
    for wrong, value in values_of(form).items():
        tensor = value[-1] if isinstance(value, list) else value
        if not isinstance(tensor, torch.Tensor):
            continue
        for broken, never in changes(tensor):
            agree(form, lambda v, n=wrong, b=broken: v | {n: replaced(v[n], b)}, never)


STATIC = {
    "pooled_size": ([-1, 2], [2, -1], [0, 2], [2], [2, 2, 2], []),
    "data_shape": ([-2, 2, 5, 4], [2, 2, 5], [2, 2, 5, 4, 1], [], [2, 3, 5, -4]),
    "spatial_scale": ([0.5], [0.5] * 6, [], [0.0, 0.5], [float("nan"), 1.0], [-1.0, 1.0]),
    "sampling_ratio": (2**40,),
    "convention": ("none",),
    "method": ("none",),
}


@pytest.mark.parametrize("name", NAMES)
def test_numbers_and_words(name):
    form = FORMS[name]
    for wrong in form.static.keys() & STATIC.keys():
        for value in STATIC[wrong]:
            agree(form, lambda v, n=wrong, to=value: v | {n: to}, never=True)


@pytest.mark.parametrize("name", [name for name in NAMES if FORMS[name].out])
def test_memory_that_cannot_be_filled(name):
    form = FORMS[name]
    kinds = {
        "expanded": lambda t: t.narrow(0, 0, 1).expand_as(t),
        "with gaps": lambda t: torch.zeros(*t.shape, 2, dtype=t.dtype)[..., 0],
        "overlapping": lambda t: torch.zeros(t.numel() + 9, dtype=t.dtype).as_strided(
            t.shape, (1, 1, 1, 1)
        ),
    }
    expected = values_of(form)
    OVERLOADS[name](*expected.values())
    for out in expected.keys() - {*form.names}:
        for kind, broken in kinds.items():
            values = values_of(form)
            values[out] = replaced(values[out], broken)
            if outcome(OVERLOADS[name], values.values()) is not None:
                assert kind == "with gaps"
                torch.testing.assert_close(values[out], expected[out], rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_tensors_that_lie_oddly(name):
    """Strides are no fault of what is read: the same results come."""
    form = FORMS[name]
    if form.out:
        return
    values = values_of(form)
    expected = OVERLOADS[name](*values.values())
    for odd, value in values.items():
        tensors = value if isinstance(value, list) else [value]
        if isinstance(tensors[0], torch.Tensor):
            lying = [torch.stack([t, t], -1)[..., 1] for t in tensors]
            given = values | {odd: lying if isinstance(value, list) else lying[0]}
            found = OVERLOADS[name](*given.values())
            torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", [name for name in NAMES if FORMS[name].operator is None])
def test_numbers_of_a_structure_that_lie_nowhere(name):
    """Refused where they can be looked at; elsewhere such a row is padding, and a bin ends."""
    form = FORMS[name]
    for arg in form.kernel.inputs:
        for number in (2**31 - 1, -(2**31)) if arg.along else ():
            values = values_of(form)
            wrong = values[arg.name].clone()
            wrong[0] = number if arg.along == "N" else torch.tensor([0, 2**31 - 1])
            values[arg.name] = wrong
            eager, _, device = (outcome(run, values.values()) for run in ways(form))
            assert device is not None
            assert (eager is None) == (arg.along != "N" or number > 0)
