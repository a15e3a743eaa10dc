"""Workers that are killed in the middle of a computation, and schedulers: answers, or errors.

Each cluster has a process of its own around it, with an end to its time: what hangs fails.
`make stress` kills for longer.
"""

import concurrent.futures
import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

dask = pytest.importorskip("dask", reason="Dask is not installed")
da = pytest.importorskip("dask.array", reason="Dask's arrays need dask[array]")
distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")

from distributed.core import Status

import roipool
from cases import assert_same_bits, normal_maps, random_boxes
from concurrent_calls import PATIENCE, SECONDS

SHAPE, TILE = (2, 4, 192, 256), (1, 4, 64, 64)
KILLS = max(5, round(SECONDS))
TILES = [range(0, whole, side) for whole, side in zip(SHAPE, TILE, strict=True)]


def tile(block_info, log, seconds):
    """A part of the maps, and a line for having made it."""
    place = block_info[None]["chunk-location"]
    with Path(log).open("a") as file:  # lines of several processes, each whole
        file.write(f"{place}\n")
    time.sleep(seconds)
    return normal_maps(np.random.default_rng(place), TILE)


def lazy_maps(log, seconds=0.2):
    """So slow to make that there is a middle."""
    chunks = tuple((side,) * (whole // side) for side, whole in zip(TILE, SHAPE, strict=True))
    empty = np.empty((0,) * 4, np.float32)
    given = {"meta": empty, "log": str(log), "seconds": seconds}
    return da.map_blocks(tile, chunks=chunks, dtype=np.float32, **given)


def made(log):
    """How often a tile was."""
    return len(log.read_text().splitlines()) if log.exists() else 0


def results_of(maps, rows):
    """Values and gradients of both operators, of any kind of array."""
    values, argmax = roipool.roi_pool(maps, rows, (3, 2), return_argmax=True)
    averages = roipool.roi_align(maps, rows, 2, 0.5)
    return [
        values,
        argmax,
        averages,
        roipool.roi_pool_backward(values, argmax, rows, SHAPE),
        roipool.roi_align_backward(averages, rows, SHAPE, 0.5),
    ]


def some_rows():
    rows = random_boxes(np.random.default_rng(0), 200, SHAPE[0], *SHAPE[2:])
    rows[::9, 0] = -1
    return rows


def assert_right(computed, folder):
    """The bits of the same computation in one process."""
    lazy = results_of(lazy_maps(folder / "alone", 0), some_rows())
    for actual, wanted in zip(computed, dask.compute(*lazy, scheduler="sync"), strict=True):
        assert_same_bits(actual, wanted)


def kill_workers(folder):
    """Kill one worker after the other, whether or not the one before has come again."""
    log, done, killed = folder / "tiles", threading.Event(), set()
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 10**6}),
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address=None, memory_limit=0
        ) as cluster,
        distributed.Client(cluster),
    ):
        killer = threading.Thread(target=kill, args=(cluster, log, killed, done))
        killer.start()
        rounds = 0
        try:
            while len(killed) < KILLS or rounds == 0:
                assert_right(dask.compute(*results_of(lazy_maps(log), some_rows())), folder)
                rounds += 1
        finally:
            done.set()
            killer.join()
    again = made(log) - rounds * math.prod(map(len, TILES))
    print(f"{len(killed)} kills in {rounds} computations; {again} tiles were made again")
    assert len(killed) >= KILLS
    assert again > 0


def kill(cluster, log, killed, done):
    rng = np.random.default_rng(0)
    while made(log) == 0 and not done.wait(0.01):
        pass
    while len(killed) < KILLS and not done.wait(rng.uniform(0.2, 1)):
        running = [each for each in cluster.workers.values() if each.status == Status.running]
        pids = {each.pid for each in running} - {None} - killed
        if pids:  # one that only begins would not be started again
            killed.add(pid := rng.choice(sorted(pids)))
            os.kill(pid, signal.SIGKILL)


def process(command, kind, **options):
    """A scheduler, or a worker of the one at an address, in a process of its own."""
    spec = json.dumps({"cls": f"distributed.{kind}", "opts": options})
    return subprocess.Popen([sys.executable, "-m", "dask", "spec", *command, "--spec", spec])


def lose_scheduler(folder):
    """Kill the scheduler in the middle, and start it again where it was."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, log = f"tcp://127.0.0.1:{port}", folder / "tiles"
    where = {"host": "127.0.0.1", "port": port, "dashboard": False}
    started = [process([], "Scheduler", **where), process([address], "Worker", nthreads=1)]
    try:
        with distributed.Client(address, timeout=PATIENCE):
            killer = threading.Thread(target=kill_when_made, args=(started[0], log))
            killer.start()
            try:
                dask.compute(*results_of(lazy_maps(log), some_rows()))
            except (concurrent.futures.CancelledError, OSError) as error:
                print(f"{type(error).__name__}: {error}")
            else:
                raise AssertionError("results came of a computation that was lost")
            killer.join()
            started += [process([], "Scheduler", **where), process([address], "Worker")]
        with distributed.Client(address, timeout=PATIENCE):
            assert_right(dask.compute(*results_of(lazy_maps(log, 0), some_rows())), folder)
    finally:
        for each in started:
            each.kill()
            each.wait()


def kill_when_made(scheduler, log):
    while made(log) < 3:
        time.sleep(0.01)
    scheduler.kill()


def run(function, *given):
    """A function of this file in a process of its own, whose workers start fast; what it prints."""
    code = "import sys, pathlib, test_dask_failures as here\n"
    code += f"here.{function}(pathlib.Path(sys.argv[1]), *sys.argv[2:])"
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, given)],
        cwd=Path(__file__).parent,
        env=os.environ | {"DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "forkserver"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, errors = process.communicate(timeout=PATIENCE + 10 * KILLS)
        finally:  # what it began ends with it
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    print(said)
    assert process.returncode == 0, errors
    return said


def test_workers_that_are_killed(tmp_path):
    run("kill_workers", tmp_path)


def test_a_scheduler_that_is_lost(tmp_path):
    assert "Error: " in run("lose_scheduler", tmp_path)
