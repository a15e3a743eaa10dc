"""Any call of any public operator at any door: as its definition says, whatever the regions are."""

from dataclasses import dataclass

import numpy as np
import pytest

import defined
import family
from cases import FLOATS, normal_maps, odd_maps
from defined import TOLERANCE, assert_close
from generated.guarded import guarded_copy, laid

SCALES = [1.0, 0.5, 0.7, 1 / 16, 2.0]
FAR = [1e30, -1e30, 2.0**31, -(2.0**31), 2.0**24 + 2, 1e5, -1e5]
WRONG = [(0, 1.5), (0, 2.0**31), (0, "images"), (0, np.nan), (1, np.nan), (3, np.inf), (2, -np.inf)]
COMPILED_SHAPES = [(2, 3, 7, 9), (1, 5, 12, 4)]  # each costs a compiler's time


@dataclass
class Case:
    """What a call is given, as NumPy's arrays; `wrong` is the place of a row that is no region."""

    data: np.ndarray
    rois: np.ndarray
    size: tuple
    scale: float
    wrong: int | None = None


def any_case(choices, door, member):
    dtypes = getattr(member, "dtypes", [np.dtype(dtype).name for dtype in FLOATS])
    dtype = np.dtype(choices.of([name for name in dtypes if name in door.dtypes]))
    size = choices.number(1, 4), choices.number(1, 4)
    shape = choices.number(1, 3), choices.number(1, 20), *(choices.number(1, 14) for _ in "HW")
    count, scale = choices.number(0, 6), choices.of(SCALES)
    if door.compiles:
        dtype, size, shape = np.dtype("float32"), (3, 2), choices.of(COMPILED_SHAPES)
        count, scale = 4, 0.5
    scale = scale if getattr(member, "scaled", True) else 1.0
    rng = np.random.default_rng(choices.number(0, 65535))
    odd = choices.seldom()
    data = (odd_maps if odd else normal_maps)(rng, shape, dtype)
    rows = np.array(
        [_row(choices, shape, scale, far=not odd and _bounded(member)) for _ in range(count)]
    ).reshape(count, 5)
    F = np.float64 if dtype == np.float64 else np.float32
    rois = rows.astype(F)
    if isinstance(member, family.Member):
        data, rois = member.maps(data, size), member.rows(rois, shape, scale)
    case = Case(data, np.ascontiguousarray(rois), size, scale)
    if count and choices.seldom():
        _spoil(choices, case)
    return case


def _bounded(member):
    """Whether the definition takes no longer of larger regions."""
    return not isinstance(member, (family.Maximum, family.Turned))


def _row(choices, shape, scale, far):
    corners = [_coordinate(choices, shape[axis], scale, far) for axis in (3, 2, 3, 2)]
    return [choices.number(-1, shape[0] - 1), *corners]


def _coordinate(choices, side, scale, far):
    kind = choices.number(0, 3)
    if kind == 3 and far and choices.seldom():
        return choices.of(FAR)
    if kind == 2:
        return (choices.number(0, 65535) / 65535 * 2 - 0.5) * side / scale
    return choices.number(-8, 4 * side + 8) / 4 / scale


def _spoil(choices, case):
    """One number of one region is made such that there is none."""
    case.wrong = choices.number(0, len(case.rois) - 1)
    column, value = choices.of(WRONG)
    case.rois[case.wrong, 0] = abs(case.rois[case.wrong, 0])  # of padding nobody looks at corners
    case.rois[case.wrong, column] = len(case.data) if value == "images" else value


def check(choices, door, member):
    """Run any call: equal to its definition, inputs and all memory around them as before."""
    case = any_case(choices, door, member)
    kind = choices.of(_kinds(door, member, case))
    data = _given(choices, door, case.data)
    rois = door.rois(case.rois)
    if case.wrong is not None:
        if door.looks:
            assert_refused(door, member, data, rois, case)
            return
        case.rois = case.rois.copy()
        case.rois[case.wrong, 0] = -1
    if kind == "values":
        _check_values(choices, door, member, data, rois, case)
    else:
        _check_gradient(kind, choices, door, member, data, rois, case)


def _kinds(door, member, case):
    if door.compiles or case.data.dtype.kind in "iu" or not np.isfinite(case.data).all():
        return ["values"]
    if isinstance(member, family.Maximum):
        return ["values"]  # of samples that differ by less than rounding either may win
    moves = getattr(member, "moves", member.name == "roi_align")
    return ["values", "for data", "for rois"] if moves else ["values", "for data"]


def _given(choices, door, values):
    """An array of the door, on memory between closed pages where that can be."""
    if not door.kinds:
        return door.array(values)
    kinds = [*door.kinds, "reversed"] if door.name == "numpy" else list(door.kinds)
    return door.laid(laid(values, choices.of(kinds), choices.number(0, 1)))


def assert_refused(door, member, data, rois, case):
    name = "boxes" if member.name == "crop_and_resize" else "rois"
    with pytest.raises((ValueError, IndexError), match=rf"^{name}\[{case.wrong}"):
        door.numpy(door.call(member, data, rois, case.size, case.scale))


def _check_values(choices, door, member, data, rois, case):
    maps = door.numpy(data)
    before = maps.copy()
    expected = family.values_of(member, maps, case.rois, case.size, case.scale)
    more = {}
    if door.writes and door.kinds and choices.number(0, 1):
        more["out"] = door.laid(guarded_copy(np.zeros_like(expected), choices.number(0, 1)))
    rows = case.rois.copy()
    found = door.numpy(door.call(member, data, rois, case.size, case.scale, **more))
    getattr(member, "assert_same", assert_close)(found, expected)
    assert door.numpy(data).tobytes() == before.tobytes()
    assert case.rois.tobytes() == rows.tobytes()


def _check_gradient(kind, choices, door, member, data, rois, case):
    maps = door.numpy(data)
    saves = member.name == "roi_pool" and not member.options
    pooled = member.defined(maps, case.rois, case.size, case.scale)
    values, argmax = pooled if saves else (pooled[0] if isinstance(pooled, tuple) else pooled, None)
    rng = np.random.default_rng(choices.number(0, 65535))
    grad = normal_maps(rng, values.shape, values.dtype)
    if isinstance(member, defined.Defined):
        wanted = member.defined_backward(grad, argmax, maps, case.rois, case.scale)
    else:
        wanted = member.defined_backward(grad, maps, case.rois, case.scale)
    given = door.array(guarded_copy(grad))
    if kind == "for rois":
        found = door.numpy(door.call(member.backward_rois, given, data, rois, case.scale))
        tolerance = 8 * TOLERANCE["float64" if maps.itemsize == 8 else "float32"]
        assert_close(found, wanted[1], tolerance * max(1, *maps.shape[2:]))
        return
    argmax = None if argmax is None else door.array(argmax)
    if isinstance(member, defined.Defined):
        called = member.backward, given, argmax, rois, maps.shape, case.scale
    else:
        called = member.backward, given, rois, maps.shape, case.scale
    assert_close(door.numpy(door.call(*called)), wanted[0])
