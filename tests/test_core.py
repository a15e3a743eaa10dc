"""The native core: every instruction set, number of threads and path of the plan, one answer."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
import threading
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import roipool
from cases import (
    DTYPES,
    FLOATS,
    NAMES,
    assert_same_bits,
    layouts,
    max_bins,
    normal_maps,
    odd_maps,
    random_boxes,
)
from kernel_runs import output_of
from process_memory import lazily_freed, resident
from roipool import _core, geometry, native, reference
from roipool.descriptions import OPERATORS
from roipool.memory import bits

# Height and width of the map, number of regions, and how the plan must pool them: whether packed
# together, and the sides of the windows kept.
PATHS = {
    "alone": (90, 80, 3, (False, [1])),
    "together": (20, 30, 20, (True, [1])),
    "windows of 2": (90, 80, 20, (True, [2])),
    "windows of 8": (90, 80, 200, (True, [8])),
    "windows of 8 and 16": (90, 80, 2000, (True, [8, 16])),
}

WIDTHS = [64, 32, 16]  # bytes of a block's pixel: those of AVX-512 and of all before it


def call(path, dtype, channels=67):  # more than any block holds, and no multiple
    height, width, count, _ = PATHS[path]
    rng = np.random.default_rng(sum(map(ord, path)))
    data = normal_maps(rng, (2, channels, height, width), dtype)
    if path == "alone":
        corners = [[0, 0, 0, 9, 9], [0, 70, 80, 79, 89], [1, 2, 70, 9, 85], [1, 60, 3, 79, 9]]
        return data, np.array([*corners, [-1, 0, 0, 9, 9]], np.float32)
    rois = random_boxes(rng, count, 2, height, width)
    if path.startswith("windows"):  # large regions: most of the map
        rois[:, 1:3] = rng.uniform(-9, 30, (count, 2))
        rois[:, 3:5] = rng.uniform(60, 99, (count, 2))
        rois[:, 0] = 0
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


def planned(rois, height, width, argmax=False):
    """Whether packed together, and the sides of the windows kept."""
    return planned_in(np.inf, rois, height, width, 1, argmax)[:2]


def planned_in(room, rois, height, width, channels, argmax=False, threads=2):
    bins = max_bins(np.asarray(rois, np.float32), (1, 1, height, width), (3, 2), 1.0, np.float32)
    return _core.plan(bins.y_bins, bins.x_bins, channels, argmax, room, WIDTHS, threads)[:4]


@pytest.mark.parametrize("path", PATHS)
def test_the_paths_are_the_ones_named(path):
    height, width, _, expected = PATHS[path]
    _, rois = call(path, np.float32)
    assert planned(rois[rois[:, 0] == 0], height, width) == expected


def test_where_the_plan_switches():
    # Two small regions at opposite corners are packed alone, until enough others cover the rest.
    corners = [[0, 0, 0, 9, 9], [0, 90, 90, 99, 99]]
    assert planned(corners, 100, 100) == (False, [1])
    counts = [count for count in range(100) if planned(corners * (1 + count), 100, 100)[0]]
    assert counts[0] == 33  # 2 x 34 regions of 100 pixels, half as dear again: more than 10,000
    # More regions pay for wider windows, up to what their bins can use.
    sides = [planned([[0, 0, 0, 99, 99]] * count, 100, 100)[1] for count in (1, 4, 99, 999)]
    assert sides == [[1], [2], [8], [32]]
    # The widest window fits into the narrowest of a region's bins, a third of its side.
    for side, widest in ((2, 1), (4, 2), (12, 4), (24, 8), (48, 16), (100, 32)):
        assert planned([[0, 0, 0, side - 1, side - 1]] * 500, 100, 100)[1] == [widest]
    # Only what some bins read best is kept.
    mixed = [[0, 0, 0, side - 1, side - 1] for side in (12, 50) for _ in range(2000)]
    assert planned(mixed, 50, 50) == (True, [4, 16])
    # Positions are made from the map's.
    sides = [planned([[0, 0, 0, 99, 99]] * n, 100, 100, argmax=True)[1] for n in (1, 4, 99, 999)]
    assert sides == [[1], [1], [1, 8], [1, 32]]
    assert planned([[0, 200, 200, 300, 300]], 100, 100) == (False, [1])  # nothing to pack


def test_how_the_plan_saves_memory():
    mixed = [[0, 0, 0, side - 1, side - 1] for side in (12, 200) for _ in range(9000)]
    # First narrower blocks, then blocks shared by the threads, then fewer levels.
    for levels, *expected in (
        (4.00, [4, 32], 64, True),
        (3.99, [4, 32], 32, True),
        (1.99, [4, 32], 32, False),
        (0.99, [4, 32], 16, False),
        (0.49, [4], 16, False),
        (0.00, [4], 16, False),
    ):
        assert planned_in(levels * 200 * 200 * 64, mixed, 200, 200, 64) == (True, *expected)
    # What a core's own cache holds is shared before it is narrower.
    small = [[0, 0, 0, side - 1, side - 1] for side in (12, 50) for _ in range(2000)]
    assert planned_in(4.00 * 50 * 50 * 64, small, 50, 50, 64) == (True, [4, 16], 64, True)
    assert planned_in(3.99 * 50 * 50 * 64, small, 50, 50, 64) == (True, [4, 16], 64, False)
    # No block is wider than its channels need, and there are enough for both threads, or one.
    kinds = [planned_in(1e9, small, 50, 50, channels)[2:] for channels in (3, 5, 9, 17, 64)]
    assert kinds == [(16, False), (32, False), (64, False), (64, True), (64, True)]
    alone = planned_in(2 * 200 * 200 * 64, mixed, 200, 200, 64, threads=1)
    assert alone == (True, [4, 32], 64, True)


@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("height", [50, 131, 290])  # rows are cut among threads
def test_every_choice_of_levels(dtype, height):
    rng = np.random.default_rng(height)
    shape = (1, 3, height, 70)
    ties = rng.integers(0, 3, shape).astype(dtype)
    zeros = np.minimum(normal_maps(rng, shape, dtype), dtype(0))
    zeros[rng.random(shape) < 0.5] *= dtype(0)  # −0 where it was negative
    kinds = [normal_maps(rng, shape, dtype), odd_maps(rng, shape, dtype), ties, zeros]
    seen = set()
    for sides in itertools.product((1, 2, 5, 11, 22, 40), repeat=2):
        size = rng.choice(sides, (1500, 2)) * [2, 3]
        corner = np.floor(rng.random((1500, 2)) * np.maximum([70, height] - size, 1))
        rois = np.concatenate([np.zeros((1500, 1)), corner, corner + size - 1], axis=1)
        seen |= {str(planned(rois, height, 70, argmax)) for argmax in (False, True)}
        maps = kinds[rng.integers(4)]
        values, argmax = roipool.roi_pool(maps, rois, (3, 2), return_argmax=True)
        assert_same_bits(roipool.roi_pool(maps, rois, (3, 2)), values)
        expected, expected_argmax = reference.roi_pool(maps, rois[::150], (3, 2), 1.0)
        assert_same_bits(values[::150], expected)
        assert_same_bits(argmax[::150], expected_argmax)
        wide = np.empty(argmax.shape, np.int64)
        bins = max_bins(rois, shape, (3, 2), 1.0, maps.dtype)
        results = bits(np.empty_like(values)), wide
        _core.run("max", maps.dtype.name, (bits(maps), *bins), results)
        assert_same_bits(wide.astype(argmax.dtype), argmax)
    assert len(seen) > 12


MEMORY = """if True:
    import numpy as np, roipool
    from process_memory import most_resident

    rng = np.random.default_rng(0)
    data = rng.random((1, 64, 400, 400), np.float32)
    corner, side = rng.uniform(0, 300, (2, 1000, 2)) ** [[[1]], [[0.9]]]
    rois = np.concatenate([np.zeros((1000, 1)), corner, corner + side], axis=1)
    roipool.roi_pool(data[:, :, :20, :20], rois[:9], 7)
    before = most_resident()
    values = roipool.roi_pool(data, rois, 7)
    extra = most_resident() - before - values.nbytes
    expected, _ = roipool.roi_pool(data, rois[-20:], 7, return_argmax=True)
    print(extra / (data.nbytes + values.nbytes), np.array_equal(values[-20:], expected))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is resident on Linux alone")
def test_few_channels_of_a_large_map_take_little_memory():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    share, right = done.stdout.split()
    assert right == "True"
    assert float(share) < 0.25 + 0.05  # and what threads take


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


@pytest.mark.parametrize("pooled_size", [(1, 1), (5, 3), (7, 7), (28, 28)])
@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float32, np.float64])
def test_large_results_as_small_ones(dtype, pooled_size):
    """Large ones are written around the caches, in whole lines wherever they begin."""
    rng = np.random.default_rng(7)
    data = normal_maps(rng, (1, 131, 9, 14), dtype)  # odd, so that few stretches are aligned
    row = 131 * pooled_size[0] * pooled_size[1] * data.itemsize
    rois = random_boxes(rng, (17 << 20) // row, 1, 9, 14)
    values, argmax = roipool.roi_pool(data, rois, pooled_size, return_argmax=True)
    assert_same_bits(roipool.roi_pool(data, rois, pooled_size), values)
    assert values.nbytes > 16 << 20
    for few in (slice(40), slice(-40, None)):
        small, small_argmax = roipool.roi_pool(data, rois[few], pooled_size, return_argmax=True)
        assert_same_bits(values[few], small)
        assert_same_bits(argmax[few], small_argmax)


@pytest.mark.parametrize("pooled_size", [(1, 256), (3, 257), (2, 700), (300, 1)])
@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_more_bins_than_are_reduced_at_once(dtype, pooled_size):
    rng = np.random.default_rng(9)
    data = normal_maps(rng, (1, 9, 9, 14), dtype)
    rois = random_boxes(rng, 3, 1, 9, 14)
    expected, expected_argmax = reference.roi_pool(data, rois, pooled_size, 1.0)
    values, argmax = roipool.roi_pool(data, rois, pooled_size, return_argmax=True)
    assert_same_bits(values, expected)
    assert_same_bits(argmax, expected_argmax)
    assert_same_bits(roipool.roi_pool(data, rois, pooled_size), values)


@pytest.mark.parametrize("channels", [1, 64, 67])
@pytest.mark.parametrize("pooled_size", [(3, 2), (20, 20), (2, 300)])
@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("large", [False, True])
def test_channels_last(dtype, pooled_size, channels, large):
    """Values and gradients that lie so in memory; large ones are written around the caches."""
    rng = np.random.default_rng(8)
    data = normal_maps(rng, (2, channels, 9, 14), dtype)
    row = channels * pooled_size[0] * pooled_size[1] * data.itemsize
    rois = random_boxes(rng, min((17 << 20) // row, 30_000) if large else 20, 2, 9, 14)
    rois[::7, 0] = -1
    expected, argmax = roipool.roi_pool(data, rois, pooled_size, return_argmax=True)
    bins = max_bins(rois, data.shape, pooled_size, 1.0, data.dtype)
    values = np.empty((len(rois), *pooled_size, channels), dtype).transpose(0, 3, 1, 2)
    positions = np.zeros_like(argmax)
    for given in (None, positions):
        _core.run("max", data.dtype.name, (bits(data), *bins), (bits(values), given))
        assert_same_bits(values, expected)
    assert_same_bits(positions, argmax)
    if dtype in FLOATS:
        grad_data = np.empty_like(data)
        inputs = bits(values), bins.image, argmax
        assert _core.run("max_add", data.dtype.name, inputs, (bits(grad_data),))
        assert_same_bits(grad_data, roipool.roi_pool_backward(expected, argmax, rois, data.shape))


@pytest.mark.parametrize("position", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
def test_reading_at_argmax(dtype, position):
    """From maps of several sizes and any layout; what was not pooled is zero."""
    rng = np.random.default_rng(3)
    maps = [odd_maps(rng, (1, 67, 5, 9), dtype), odd_maps(rng, (2, 67, 8, 3), dtype)]
    image = np.array([1, -1, 0, 2, 0], np.int32)
    argmax = rng.integers(-1, 24, (5, 67, 2, 3), position)
    expected = np.zeros(argmax.shape, dtype)
    planes = [m.reshape(67, -1) for several in maps for m in several]
    for k, at in np.ndenumerate(argmax):
        if image[k[0]] >= 0 and at >= 0:
            expected[k] = planes[image[k[0]]][k[1], at]
    for name, first in layouts(maps[0]).items():
        if name.startswith(("unaligned", "byte", "one channel")):
            continue
        data = [bits(first), bits(maps[1])]
        pooled = np.full_like(expected, np.nan)
        last = np.full((5, 2, 3, 67), np.nan, dtype).transpose(0, 3, 1, 2)
        for out in (pooled, last):
            assert _core.run("max_read", pooled.dtype.name, (data, image, argmax), (bits(out),))
            assert_same_bits(out, expected)
    argmax[4, 66, 0, 1] = 45
    assert not _core.run("max_read", pooled.dtype.name, (data, image, argmax), (bits(out),))


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


@pytest.mark.parametrize("text", ["abc", "-3", "4x", "0", "99999999999"])
def test_a_wrong_number_of_threads_in_the_environment(text):
    done = subprocess.run(
        [sys.executable, "-c", "import roipool"],
        env=os.environ | {"ROIPOOL_NUM_THREADS": text},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert f"ROIPOOL_NUM_THREADS is '{text}'; expected a whole number from 1" in done.stderr


DAEMONS = """
import threading, time, numpy as np, roipool
data, rois = np.zeros((1, 64, 200, 200), np.float32), np.zeros((500, 5), np.float32)
rois[:, 3:] = 199
def pool():
    while True:
        roipool.roi_pool(data, rois, 7, return_argmax=True)
for _ in range(3):
    threading.Thread(target=pool, daemon=True).start()
time.sleep(0.3)
"""


def test_the_end_of_a_process_with_threads_in_the_core():
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", DAEMONS], capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")


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


def long_pooling():
    data = np.zeros((1, 64, 400, 400), np.float32)
    rois = np.tile(np.array([[0, 0, 0, 399, 399]], np.float32), (300, 1))
    return partial(roipool.roi_pool, data, rois, 40, return_argmax=True)


def long_listing():
    rois = np.tile(np.array([[0, 200, 200, 300, 300, 0.3]], np.float32), (100, 1))
    maps = geometry.maps_of([(1, 1, 400, 400)], ((1.0, 1.0),))
    operator = OPERATORS["roi_align_rotated"]
    options = {"sampling_ratio": 0, "aligned": True, "clockwise": False}
    call = operator.call(7, 1.0, None, **options)
    return partial(native.structure, operator, rois, maps, "float32", call)


@pytest.mark.parametrize("call", [long_pooling(), long_listing()], ids=["pooling", "listing"])
def test_the_gil_is_released(threads, call):
    threads(1)
    calls = 0
    done = threading.Event()

    def pool():
        call()
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
def test_no_more_than_a_limit_is_kept_and_the_system_may_take_it():
    held = [_core.memory(40 << 20) for _ in range(10)]
    for array in held:
        array.fill(1)
    before = resident()
    del array, held
    assert before - resident() > 120 << 20  # of 400 MiB, 256 may stay
    held = [_core.memory(40 << 20) for _ in range(6)]
    for array in held:
        array.fill(1)
    before = resident() - lazily_freed()
    del array, held
    assert before - (resident() - lazily_freed()) >= 240 << 20


KEPT = """if True:
    import sys, numpy as np
    from process_memory import resident
    from roipool import _core

    rng, held, before = np.random.default_rng(0), [], resident()
    for _ in range(1500):
        held.append(_core.memory(int(np.exp(rng.uniform(np.log(1e4), np.log(25e6))))))
        held[-1].fill(1)
        if len(held) > int(sys.argv[1]):
            held.pop(rng.integers(len(held)))
    del held
    print((resident() - before) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is resident on Linux alone")
@pytest.mark.parametrize("held", [2, 60])
def test_no_more_is_kept_of_any_sizes(held):
    """Nor in what the C library keeps of what it was given back."""
    assert int(output_of(["-c", KEPT, str(held)])) < 256 + 16


@pytest.mark.parametrize("size", [2**17 + by for by in range(-130, 130)])
def test_memory_of_sizes_where_its_kind_changes(size):
    for _ in range(3):
        memory = _core.memory(size)
        assert memory.size == size
        assert memory.ctypes.data % 64 == 0
        memory.fill(1)


@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
def test_backward_is_the_same_on_every_run(dtype):
    data, rois = call("together", dtype)
    values, argmax = roipool.roi_pool(data, rois, 7, return_argmax=True)
    first = roipool.roi_pool_backward(values, argmax, rois, data.shape)
    for _ in range(5):
        assert_same_bits(roipool.roi_pool_backward(values, argmax, rois, data.shape), first)


if __name__ == "__main__":
    json.dump({"isa": _core.isa(), "digests": all_digests()}, sys.stdout)
