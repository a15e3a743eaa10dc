"""Every operator in many threads at once, in pools of other libraries and beside forks.

`make stress` runs these for longer.
"""

import faulthandler
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pytest

from concurrent_calls import (
    PATIENCE,
    SECONDS,
    Threads,
    any_number_of_threads,
    jobs,
    refused_by_the_core,
)

CALLERS = 16


def check_any(known, rng):
    """One of the calls, at random; now and then one that the core refuses."""
    if rng.random() < 0.05:
        refused_by_the_core()
    else:
        known[rng.integers(len(known))].check()


def test_threads_of_every_operator_while_their_number_changes(threads):
    threads(1)
    known, callers = jobs(), Threads()
    for seed in range(CALLERS):
        callers.start(check_any, known, np.random.default_rng(seed))
    callers.start(any_number_of_threads, np.random.default_rng(CALLERS))
    calls = callers.finish(SECONDS)
    print(f"{calls} calls of {CALLERS} threads in {SECONDS:g} s")
    assert len(callers.calls) == CALLERS + 1
    assert min(callers.calls) > 0


def by_futures(check, known):
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(check, known))


def by_multiprocessing(check, known):
    with ThreadPool(6) as pool:
        pool.map(check, known, chunksize=3)


def by_pools_in_a_pool(check, known):
    with ThreadPoolExecutor(3) as pool:
        parts = [known[i::3] for i in range(3)]
        list(pool.map(by_futures, [check] * 3, parts))


def by_dask(check, known):
    dask = pytest.importorskip("dask", reason="Dask is not installed")
    lazy = [dask.delayed(check, traverse=False)(job) for job in known]
    dask.compute(*lazy, scheduler="threads", num_workers=6)


def by_joblib(check, known):
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    each = (joblib.delayed(check)(job) for job in known)
    joblib.Parallel(6, prefer="threads")(each)


def by_callbacks_of_jax(check, known):
    """In threads of XLA's, which runs programs of several callers."""
    jax = pytest.importorskip("jax", reason="JAX is not installed")

    def call(i):
        check(known[int(i)])
        return np.int32(1)

    def program(numbers):
        one = jax.ShapeDtypeStruct((), np.int32)
        return sum(jax.pure_callback(call, one, i) for i in numbers)

    compiled = jax.jit(program)
    parts = [np.arange(i, i + 8, dtype=np.int32) for i in range(0, len(known) - 7, 8)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(compiled, parts)) == [8] * len(parts)


POOLS = {
    "futures": by_futures,
    "multiprocessing": by_multiprocessing,
    "pools in a pool": by_pools_in_a_pool,
    "dask": by_dask,
    "joblib": by_joblib,
    "jax": by_callbacks_of_jax,
}


@pytest.mark.parametrize("pool", POOLS)
def test_in_the_pool_of_another_library(pool, threads):
    threads(3)
    known, called, seen = jobs(), set(), set()

    def check(job):
        seen.add(threading.get_ident())
        job.check()
        called.add(job.name)

    pools = Threads()
    pools.start(POOLS[pool], check, known)
    pools.finish(SECONDS / 20)
    assert called == {job.name for job in known}
    assert len(seen - {threading.get_ident()}) > 0


def pool_in_a_child(known, seed, end):
    """All that a process needs, in one that was forked while others called."""
    faulthandler.enable()  # where it hangs it is told to abort, and says where
    status = 1
    try:
        again, rng = Threads(), np.random.default_rng(seed)
        again.start(check_any, known, rng)
        any_number_of_threads(rng)
        check_any(known, np.random.default_rng(seed + 1))
        again.finish(0)
        status = 0
    finally:
        end(status)


def fork_and_wait(known, seed, end):
    child = os.fork()
    if child == 0:
        pool_in_a_child(known, seed, end)
    last = time.monotonic() + PATIENCE / 2
    while time.monotonic() < last:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert status == 0, f"child {seed} ended with {os.waitstatus_to_exitcode(status)}"
            return
        time.sleep(0.001)
    os.kill(child, signal.SIGABRT)
    os.waitpid(child, 0)
    raise AssertionError(f"child {seed} hangs")


def forks(seconds):
    """As many as there is time for, from the main thread and another, while three threads call."""
    known, callers, rng = jobs(), Threads(), np.random.default_rng(0)
    for seed in range(3):
        callers.start(check_any, known, np.random.default_rng(seed))
    callers.start(any_number_of_threads, np.random.default_rng(3))
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end and not callers.done.is_set():
        time.sleep(rng.uniform(0, 0.02))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(fork_and_wait, known, count, os._exit).result()
        fork_and_wait(known, count + 1, os._exit if count % 10 else sys.exit)  # which takes long
        count += 2
    callers.finish(0)
    print(count)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forks_while_other_threads_call():
    code = f"import test_concurrency as here; here.forks({SECONDS})"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=Path(__file__).parent,
        env=os.environ | {"ROIPOOL_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        timeout=SECONDS + 2 * PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    print(f"{done.stdout.strip()} forks in {SECONDS:g} s")
    assert int(done.stdout) > 1
