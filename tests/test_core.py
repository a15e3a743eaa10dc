"""The native core: every instruction set, number of threads and path of the plan, one answer."""

import hashlib
import json
import os
import resource
import subprocess
import sys
import threading
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import roipool
from cases import DTYPES, FLOATS, NAMES, assert_same_bits, normal_maps, odd_maps, random_boxes
from roipool import _core, reference

# Height, width, scale of the boxes: few small regions on a large map are packed one by one, many
# together; wide bins are read from windows of 4 and of 16 pixels.
PATHS = {
    "alone": (90, 80, 3, 0.08),
    "together": (20, 30, 60, 1.0),
    "windows of 4": (60, 70, 60, 1.0),
    "windows of 16": (150, 140, 60, 1.0),
}


def call(path, dtype, channels=19):
    height, width, count, extent = PATHS[path]
    rng = np.random.default_rng(sum(map(ord, path)))
    data = normal_maps(rng, (2, channels, height, width), dtype)
    rois = random_boxes(rng, count, 2, height * extent, width * extent)
    rois[0] = [0, 0, 0, width * extent, height * extent]
    rois[1::9, 0] = -1
    return data, rois


def answer(path, dtype):
    """All that the core computes on one path."""
    data, rois = call(path, dtype)
    values = roipool.roi_pool(data, rois, (3, 2))
    with_argmax, argmax = roipool.roi_pool(data, rois, (3, 2), return_argmax=True)
    assert_same_bits(with_argmax, values)
    arrays = [values, argmax]
    if np.dtype(dtype).kind not in "iu":
        arrays.append(roipool.roi_pool_backward(values, argmax, rois, data.shape))
    return arrays


def digest(arrays):
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def all_digests():
    return {f"{p} {n}": digest(answer(p, t)) for p in PATHS for n, t in zip(NAMES, DTYPES)}  # noqa: B905


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float32, np.float64])
def test_every_path_as_the_reference(path, dtype):
    data, rois = call(path, dtype, channels=2)
    keep = rois[:12]
    expected, expected_argmax = reference.roi_pool(data, keep, (3, 2), 1.0)
    values, argmax = roipool.roi_pool(data, rois, (3, 2), return_argmax=True)
    assert_same_bits(values[:12], expected)
    assert_same_bits(argmax[:12], expected_argmax)
    assert_same_bits(roipool.roi_pool(data, rois, (3, 2))[:12], expected)


@pytest.mark.parametrize("path", PATHS)
def test_every_path_with_odd_numbers(path):
    data, rois = call(path, np.float32)
    data = odd_maps(np.random.default_rng(1), data.shape)
    for rows in np.array_split(rois, 4):
        values, argmax = roipool.roi_pool(data, rows, (2, 3), return_argmax=True)
        assert_same_bits(roipool.roi_pool(data, rows, (2, 3)), values)
    expected, expected_argmax = reference.roi_pool(data, rows[-3:], (2, 3), 1.0)
    assert_same_bits(values[-3:], expected)
    assert_same_bits(argmax[-3:], expected_argmax)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)
def test_every_number_of_threads(path, dtype, threads):
    threads(1)
    expected = answer(path, dtype)
    for count in (2, 4, 16):
        threads(count)
        for actual, one in zip(answer(path, dtype), expected, strict=True):
            assert_same_bits(actual, one)


@pytest.mark.parametrize("isa", _core.isas())
def test_every_instruction_set(isa):
    done = subprocess.run(
        [sys.executable, __file__],
        env=os.environ | {"ROIPOOL_ISA": isa},
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    assert json.loads(done.stdout) == {"isa": isa, "digests": all_digests()}


def test_an_unknown_instruction_set():
    done = subprocess.run(
        [sys.executable, "-c", "import roipool"],
        env=os.environ | {"ROIPOOL_ISA": "sse9"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "ROIPOOL_ISA is 'sse9', but this machine runs baseline" in done.stderr


def test_threads_from_the_environment():
    done = subprocess.run(
        [sys.executable, "-c", "import roipool; print(roipool.get_num_threads())"],
        env=os.environ | {"ROIPOOL_NUM_THREADS": "3"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "3\n"


def test_many_callers_at_once(threads):
    threads(4)
    jobs = [(path, dtype) for path in PATHS for dtype in (np.float32, np.int8)]
    expected = {job: digest(answer(*job)) for job in jobs}
    seen = []

    def work(job):
        seen.extend((job, digest(answer(*job))) for _ in range(5))

    workers = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert len(seen) == 5 * len(jobs)
    assert all(expected[job] == found for job, found in seen)


def _in_child(send):
    send.send(digest(answer("together", np.float32)))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_fork(threads):
    threads(4)
    expected = digest(answer("together", np.float32))
    receive, send = get_context("fork").Pipe(duplex=False)
    child = get_context("fork").Process(target=_in_child, args=(send,))
    child.start()
    assert receive.poll(60), "the child hangs"
    assert receive.recv() == expected
    child.join(60)
    assert child.exitcode == 0


def test_the_gil_is_released(threads):
    threads(1)
    data = np.zeros((1, 64, 400, 400), np.float32)
    rois = np.tile(np.array([[0, 0, 0, 399, 399]], np.float32), (300, 1))
    calls = 0
    done = threading.Event()

    def pool():
        roipool.roi_pool(data, rois, 40, return_argmax=True)
        done.set()

    worker = threading.Thread(target=pool)
    worker.start()
    while not done.wait(0.001):
        calls += 1
    worker.join()
    assert calls > 5  # the loop ran while the core did


def test_memory_of_results_is_kept_but_never_shared():
    size = 5 << 20
    first = _core.memory(size)
    second = _core.memory(size)
    assert not np.may_share_memory(first, second)
    assert first.ctypes.data % 64 == 0
    address, view = first.ctypes.data, first[10:].reshape(2, -1)
    del first
    assert _core.memory(size).ctypes.data != address  # a view still holds it
    del view
    again = [_core.memory(size) for _ in range(3)]
    assert address in [array.ctypes.data for array in again]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is resident on Linux alone")
def test_little_memory_is_kept():
    held = [_core.memory(40 << 20) for _ in range(5)]
    for array in held:
        array.fill(1)
    before = resident()
    del array, held
    assert before - resident() > 100 << 20  # of 200 MiB, 64 may stay


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
def test_backward_is_the_same_on_every_run(dtype):
    data, rois = call("together", dtype)
    values, argmax = roipool.roi_pool(data, rois, 7, return_argmax=True)
    first = roipool.roi_pool_backward(values, argmax, rois, data.shape)
    for _ in range(5):
        assert_same_bits(roipool.roi_pool_backward(values, argmax, rois, data.shape), first)


if __name__ == "__main__":
    json.dump({"isa": _core.isa(), "digests": all_digests()}, sys.stdout)
