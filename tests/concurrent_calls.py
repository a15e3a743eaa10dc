"""Calls of every operator with results known from before, and threads that make them at once."""

import os
import threading
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

import defined
import family
import roipool
from cases import assert_same_bits, max_bins, normal_maps, random_boxes
from roipool import _core

SECONDS = float(os.environ.get("ROIPOOL_STRESS_SECONDS", "4"))
PATIENCE = 60  # seconds for what takes one, before it is said to hang

# Small, many regions (in blocks that threads share), several images, many channels.
SHAPES = [((2, 4, 13, 11), 12), ((1, 32, 60, 70), 150), ((3, 6, 33, 20), 40), ((1, 68, 24, 24), 30)]
SIZES = [(3, 2), (7, 7), (2, 5), (4, 4)]


@dataclass(frozen=True)
class Job:
    """Calls without inputs, by name, and what each gave when it was made alone."""

    name: str
    call: partial
    expected: tuple

    def check(self):
        for actual, wanted in zip(self.call(), self.expected, strict=True):
            assert_same_bits(actual, wanted)


def jobs():
    """Of every operator, at changing shapes and dtypes: forward and its derivatives."""
    found = []
    for i, operator in enumerate(family.EVERY):
        shape, count = SHAPES[i % len(SHAPES)]
        for dtype in operator.dtypes if operator == defined.ROI_POOL else ["float32", "float64"]:
            call = partial(results_of, *inputs_of(operator, shape, count, dtype, SIZES[i % 4]))
            found.append(Job(f"{operator} {dtype}", call, call()))
    return found


def inputs_of(operator, shape, count, dtype, size):
    rng = np.random.default_rng(count)
    data = normal_maps(rng, shape, np.dtype(dtype))
    rows = random_boxes(rng, count, shape[0], *shape[2:], defined.SCALE)
    rows[::9, 0] = -1
    if isinstance(operator, family.Member):
        data = data[:, :3] if operator.per_bin else data
        data, rows = operator.maps(data, size), operator.rows(rows, shape, defined.SCALE)
    return operator, data, rows, size


def results_of(operator, data, rows, size):
    """Values, positions where there are some, and the gradients of both inputs."""
    if isinstance(operator, defined.Defined):
        return _of_defined(operator, data, rows, size)
    more = {"return_argmax": True} if operator.saves else {}
    found = operator(data, rows, size, defined.SCALE, **more)
    values, argmax = found if operator.saves else (found, None)
    results = [values, *([argmax] if operator.saves else [])]
    results.append(operator.backward(values, rows, data.shape, defined.SCALE, argmax))
    if operator.moves:
        results.append(operator.backward_rois(values, data, rows, defined.SCALE, argmax))
    return tuple(results)


def _of_defined(operator, data, rows, size):
    if not operator.finds:
        values = operator(data, rows, size, defined.SCALE)
        of_data = operator.backward(values, None, rows, data.shape, defined.SCALE)
        return values, of_data, operator.backward_rois(values, data, rows, defined.SCALE)
    values, argmax = operator(data, rows, size, defined.SCALE, return_argmax=True)
    if data.dtype.kind in "iu":
        return values, argmax
    return values, argmax, operator.backward(values, argmax, rows, data.shape, defined.SCALE)


def refused_by_the_core():
    """A call that ends in an error of the core's own, which C++ throws."""
    data = np.zeros((1, 1, 4, 4), np.float32)
    bins = max_bins(np.zeros((1, 5), np.float32), data.shape, (1, 1), 1.0, data.dtype)
    bins.image[0] = 7
    with pytest.raises(ValueError, match=r"image\[0\] is 7"):
        _core.run("max", "float32", (data, *bins), (np.zeros((1, 1, 1, 1), np.float32), None))


class Threads:
    """Threads that repeat what they are given, once at least, until told to stop or one fails."""

    def __init__(self):
        self.done = threading.Event()
        self.errors, self.calls, self.threads = [], [], []

    def start(self, function, *given):
        """Let a thread of its own call `function(*given)` again and again."""
        thread = threading.Thread(target=self._repeat, args=(function, given), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _repeat(self, function, given):
        calls = 0
        try:
            while calls == 0 or not self.done.is_set():
                function(*given)
                calls += 1
        except BaseException as error:
            self.errors.append(error)
            self.done.set()
        self.calls.append(calls)

    def finish(self, seconds):
        """The number of calls in so long; raises what a thread raised, and where one hangs."""
        self.done.wait(seconds)
        self.done.set()
        end = time.monotonic() + PATIENCE
        for thread in self.threads:
            thread.join(max(0, end - time.monotonic()))
        if self.errors:
            raise self.errors[0]
        assert not any(thread.is_alive() for thread in self.threads), "a thread hangs"
        return sum(self.calls)


def any_number_of_threads(rng):
    """Another number than before, while others call."""
    roipool.set_num_threads(int(rng.integers(1, 9)))
    time.sleep(rng.uniform(0, 0.002))
