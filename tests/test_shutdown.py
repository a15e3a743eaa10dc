"""Processes that end while threads call, and calls that are interrupted."""

import signal
import subprocess
import sys
import time

import pytest

from concurrent_calls import PATIENCE, SECONDS

# Three kinds of calls: those that only read, those that list, those that add.
PROGRAM = """if True:
    import atexit, os, signal, sys, threading, time
    import numpy as np
    import roipool

    roipool.set_num_threads(3)
    delay = float(sys.argv[1])
    data = np.arange(16 * 80 * 80, dtype=np.float32).reshape(1, 16, 80, 80)
    rois = np.zeros((200, 5), np.float32)
    rois[:, 3:] = np.linspace(10, 79, 400).reshape(200, 2)
    turned = np.insert(rois + [0, 40, 40, 0, 0], 5, 0.3, axis=1)

    def pool():
        values, argmax = roipool.roi_pool(data, rois, 7, return_argmax=True)
        roipool.roi_pool_backward(values, argmax, rois, data.shape)
        roipool.roi_align_backward_rois(values, data, rois)
        roipool.roi_align_rotated(data[:, :4], turned, 7)
        return values.tobytes()

    def again_and_again():
        while True:
            pool()

    def check():
        assert pool() == expected
        os.write(1, b"right\\n")  # whole, whoever else writes

    def later():
        time.sleep(delay)
        check()

    def start(function, daemon):
        threading.Thread(target=function, daemon=daemon).start()

    expected = pool()
    for _ in range(3):
        start(again_and_again, daemon=True)
"""
# How the main thread ends; the status and what was printed then.
ENDS = {
    "returns": ("time.sleep(delay)", 0, ""),
    "exits": ("time.sleep(delay); sys.exit(3)", 3, ""),
    "exits at once": ("time.sleep(delay); os._exit(4)", 4, ""),
    "is told to end": ("time.sleep(delay); os.kill(os.getpid(), signal.SIGTERM)", -15, ""),
    "calls at exit": ("atexit.register(check); time.sleep(delay)", 0, "right\n"),
    "starts a thread at exit": (
        "atexit.register(start, again_and_again, True); time.sleep(delay)",
        0,
        "",
    ),
    "leaves a thread that calls": ("start(later, daemon=False)", 0, "right\n"),
    "leaves a pool": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "each = ThreadPoolExecutor(2); [each.submit(later) for _ in range(4)]; sys.exit(5)",
        5,
        "right\n" * 4,
    ),
}
DELAYS = [0, 0.05]


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_a_process_whose_threads_call(end):
    code, status, printed = ENDS[end]
    code = PROGRAM + "".join(f"\n    {line}" for line in code.splitlines())
    for delay in DELAYS * max(1, round(SECONDS / 10)):
        done = subprocess.run(
            [sys.executable, "-c", code, str(delay)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert (done.returncode, done.stdout, done.stderr) == (status, printed, "")


# A call of several seconds; its regions are as many as this machine needs for that.
LONG = """if True:
    import signal, time
    import numpy as np
    import roipool

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it

    data = np.arange(64 * 200 * 200, dtype=np.float32).reshape(1, 64, 200, 200)
    rows = np.zeros((200, 5), np.float32)
    rows[:, 3:] = np.linspace(90, 199, 400).reshape(200, 2)

    def call(rows):
        return roipool.roi_pool(data, rows, 2, return_argmax=True)[1]

    expected, many, took = call(rows), rows, 0
    while took < 0.5:
        many, began = np.tile(many, (2, 1)), time.perf_counter()
        call(many)
        took = time.perf_counter() - began
    many = np.tile(many, (8, 1))
    print("begins", flush=True)
    try:
        call(many)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    assert call(rows).tobytes() == expected.tobytes()
    print("right", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="such signals are POSIX's")
def test_a_long_call_is_interrupted_within_a_second():
    command = [sys.executable, "-c", LONG]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begins\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        said = process.stdout.readline()
        took = time.monotonic() - sent
        assert (said, process.stdout.readline()) == ("interrupted\n", "right\n")
        assert process.wait(PATIENCE) == 0
        print(f"interrupted after {took:.2f} s")
        assert took < 1


# The handler of a signal that makes calls itself, while one is under way.
HANDLER = (
    LONG.partition("print(")[0]
    + """
    import os, threading

    found = []
    signal.signal(signal.SIGALRM, lambda *_: found.append(call(rows)))
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    call(many)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(found) > 2, found
    assert all(each.tobytes() == expected.tobytes() for each in found)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        call(many)
    except KeyboardInterrupt:
        print("interrupted")
"""
)


@pytest.mark.skipif(sys.platform == "win32", reason="such signals are POSIX's")
def test_handlers_of_signals_may_call():
    done = subprocess.run(
        [sys.executable, "-c", HANDLER], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
