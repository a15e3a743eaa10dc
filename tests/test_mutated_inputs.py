"""Arrays that change during a call: what comes out is of either state, and nothing else happens.

They are changed by another process, through memory of both: it needs no GIL, and so changes them
while the core holds that too.
"""

import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

import defined
import family
from concurrent_calls import PATIENCE, SECONDS
from roipool import memory

SHAPE, SIZE, SCALE = (2, 6, 40, 50), (3, 2), 0.7
ROOM = 1 << 12  # bytes on either side that nobody may write to
GUARD = 0x5A
OPERATORS = [defined.ROI_POOL, *defined.ROI_ALIGN[:2], *family.EACH_MEMBER]

# Writes one state after the other, as a whole or in parts, until it is ended.
WRITER = """if True:
    import mmap, random, sys

    room, size = int(sys.argv[2]), int(sys.argv[3])
    whole = open(sys.argv[1] + "/states", "rb").read()
    states = [whole[at : at + size] for at in range(0, len(whole), size)]
    file = open(sys.argv[1] + "/shared", "r+b")
    shared = mmap.mmap(file.fileno(), 0)
    print("begins", flush=True)
    while True:
        for state in states:
            part = random.choice([size, size // 3, 200]) // 8 * 8
            for at in range(0, size, part):
                if part == size or random.random() < 0.7:
                    shared[room + at : room + min(at + part, size)] = state[at : at + part]
"""


@contextmanager
def changing(folder, *states):
    """An array that another process keeps setting to these states."""
    shared = folder / "shared"
    (folder / "states").write_bytes(b"".join(state.tobytes() for state in states))
    shared.write_bytes(b"Z" * ROOM + states[0].tobytes() + b"Z" * ROOM)
    given = str(folder), str(ROOM), str(states[0].nbytes)
    command = [sys.executable, "-S", "-c", WRITER, *given]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout.readline() == b"begins\n"
            yield np.asarray(np.memmap(shared, states[0].dtype, "r+", ROOM, states[0].shape))
            assert writer.poll() is None, "nothing was changed"
        finally:
            writer.kill()
    whole = shared.read_bytes()
    assert whole[:ROOM] == whole[-ROOM:] == b"Z" * ROOM


@pytest.fixture(autouse=True)
def guarded(monkeypatch):
    """Results lie between bytes that stay as they are."""
    rooms = []

    def empty(shape, dtype):
        size = int(np.prod(shape)) * dtype.itemsize
        room = np.full(size + 2 * ROOM, GUARD, np.uint8)
        rooms.append(room)
        return room[ROOM : ROOM + size].view(dtype).reshape(shape)

    def assert_untouched():
        while rooms:
            room = rooms.pop()
            assert (room[:ROOM] == GUARD).all()
            assert (room[-ROOM:] == GUARD).all()

    monkeypatch.setattr(memory, "empty", empty)
    return assert_untouched


def again_and_again(call, assert_untouched, seconds):
    """Yields results, and counts the errors that a wrong row may be told by."""
    end, results, errors = time.monotonic() + min(seconds, PATIENCE), 0, 0
    while time.monotonic() < end or results == 0:
        try:
            found = call()
        except (ValueError, IndexError) as error:
            if not str(error).startswith(("rois[", "boxes[", "argmax ")):
                raise
            errors += 1
        else:
            yield found
            results += 1
        assert_untouched()
        assert errors < 100_000 or results
    print(f"{results} results, {errors} errors in {seconds:g} s")


def rows_of(operator, count=40, seed=0):
    """Regions inside the map, as the operator takes them."""
    rng = np.random.default_rng(seed)
    first = rng.uniform(0, 0.6, (count, 2))
    corners = np.concatenate([first, first + rng.uniform(0.05, 0.35, (count, 2))], axis=1)
    sides = np.tile(np.array([SHAPE[3], SHAPE[2]]) - 1, 2)
    rows = np.concatenate([rng.integers(0, 2, (count, 1)), corners * sides / SCALE], axis=1)
    rows = rows.astype(np.float32)
    return operator.rows(rows, SHAPE, SCALE) if isinstance(operator, family.Member) else rows


def maps_of(operator, value, dtype=np.float32):
    data = np.full(SHAPE, value, dtype)
    return operator.maps(data, SIZE) if isinstance(operator, family.Member) else data


def positions(operator):
    return {"return_argmax": True} if operator in FINDING else {}


FINDING = [op for op in OPERATORS if getattr(op, "finds", False) or getattr(op, "saves", False)]
MOVING = [op for op in OPERATORS if not getattr(op, "finds", False) and getattr(op, "moves", True)]
EACH = SECONDS / 40  # of a test


@pytest.mark.parametrize("high", [2.0, np.nan])
@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_data(operator, high, guarded, tmp_path):
    rows, more = rows_of(operator), positions(operator)
    low, top = maps_of(operator, 1.0), maps_of(operator, high)
    least, most = (operator(data, rows, SIZE, SCALE) for data in (low, top))
    with changing(tmp_path, low, top) as data:
        for found in again_and_again(
            lambda: operator(data, rows, SIZE, SCALE, **more), guarded, EACH
        ):
            values = found[0] if more else found
            if np.isnan(high):  # of pixels that are not NaN some mean less
                assert (between(0, values, least) | np.isnan(values) & np.isnan(most)).all()
            else:
                assert between(least, values, most).all()
            if operator == defined.ROI_POOL:  # one of the numbers, in one of the places
                assert np.isin(values[~np.isnan(values)], [0, 1, 2]).all()
                assert ((found[1] >= -1) & (found[1] < SHAPE[2] * SHAPE[3])).all()


def between(least, values, most):
    """To rounding; NaN is not."""
    return (values >= least - 1e-4) & (values <= most + 1e-4)


WRONG = [np.nan, np.inf, 1e30, -1e30, 1e4, -5, 7]


def wrong_rows(rows):
    """States with other regions, of another image, and with numbers that no row can have."""
    other = rows[::-1].copy()
    other[:, 0] = 1
    states = [rows, other, rows]
    for wrong in WRONG:
        state = rows.copy()
        each = np.arange(0, len(rows), 7)
        state[each, each % rows.shape[1]] = wrong
        states += [state, rows]
    return states


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_rois(operator, guarded, tmp_path):
    data, more = maps_of(operator, 1.0), positions(operator)
    with changing(tmp_path, *wrong_rows(rows_of(operator))) as rows:
        for found in again_and_again(
            lambda: operator(data, rows, SIZE, SCALE, **more), guarded, 2 * EACH
        ):
            values = found[0] if more else found
            outside = values == dict(operator.options).get("extrapolation_value", 0)
            assert (between(0, values, 1) | outside).all()


@pytest.mark.parametrize("operator", MOVING, ids=str)
def test_rois_of_gradients(operator, guarded, tmp_path):
    rows = rows_of(operator)
    data, more = maps_of(operator, 1.0), positions(operator)
    found = operator(data, rows, SIZE, SCALE, **more)
    values, argmax = found if more else (found, None)
    with changing(tmp_path, *wrong_rows(rows)) as changed:

        def call():
            of_data = backward(operator, np.ones_like(values), argmax, changed)
            if more:
                return of_data, operator.backward_rois(values, data, changed, SCALE, argmax)
            return of_data, operator.backward_rois(values, data, changed, SCALE)

        for of_data, of_rois in again_and_again(call, guarded, EACH):
            assert between(0, of_data, values.size).all()
            assert of_rois.shape == rows.shape


def backward(operator, grad, argmax, rows):
    shape = maps_of(operator, 0.0).shape
    if isinstance(operator, defined.Defined):
        return operator.backward(grad, argmax, rows, shape, SCALE)
    return operator.backward(grad, rows, shape, SCALE, argmax)


@pytest.mark.parametrize("operator", FINDING, ids=str)
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_argmax(operator, dtype, guarded, tmp_path):
    rows = rows_of(operator)
    data = np.random.default_rng(0).random(SHAPE, np.float32)
    argmax = operator(data, rows, SIZE, SCALE, return_argmax=True)[1].astype(dtype)
    states, some = [argmax], np.random.default_rng(1).random(argmax.shape) < 1e-3
    for wrong in (-1, -7, 0, SHAPE[2] * SHAPE[3], np.iinfo(dtype).max, np.iinfo(dtype).min):
        states += [np.where(some, dtype(wrong), argmax), argmax]
    grad = np.ones(argmax.shape, np.float32)
    with changing(tmp_path, *states) as changed:
        for of_data in again_and_again(
            lambda: backward(operator, grad, changed, rows), guarded, EACH
        ):
            assert between(0, of_data, grad.size).all()
            assert of_data.sum() <= grad.size + 1


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_grad(operator, guarded, tmp_path):
    rows, data = rows_of(operator), maps_of(operator, 1.0)
    found = operator(data, rows, SIZE, SCALE, **positions(operator))
    values, argmax = found if operator in FINDING else (found, None)
    states = [np.full_like(values, value) for value in (1, 2)]
    least, most = (backward(operator, grad, argmax, rows) for grad in states)
    with changing(tmp_path, *states) as grad:
        for of_data in again_and_again(
            lambda: backward(operator, grad, argmax, rows), guarded, EACH
        ):
            assert between(least, of_data, most).all()
