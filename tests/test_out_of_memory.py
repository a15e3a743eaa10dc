"""Every limit on memory ends in the right result or in a MemoryError, and the next call works."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="limits on memory are tested as Linux has them"
)

# In a child for each limit: one that crashes takes no other with it, and none has memory kept.
CODE = """if True:
    import os, resource, sys
    import numpy as np
    import roipool

    roipool.set_num_threads(2)
    data = np.full((1, 64, 400, 400), -0.0, np.float32)
    data[..., ::7, ::5] = 1
    rois = np.array([[0, i % 50, i % 50, 350 + i % 49, 350] for i in range(300)], np.float32)
    grad, argmax = np.ones((300, 64, 7, 7), np.float32), np.zeros((300, 64, 7, 7), np.int32)
    call = {
        "roi_pool": lambda: roipool.roi_pool(data, rois, 7),
        "return_argmax": lambda: roipool.roi_pool(data, rois, 7, return_argmax=True)[1],
        "roi_pool_backward": lambda: roipool.roi_pool_backward(grad, argmax, rois, data.shape),
        "roi_align": lambda: roipool.roi_align(data, rois, 7, sampling_ratio=2),
        "roi_align_backward": lambda: roipool.roi_align_backward(grad, rois, data.shape),
        "roi_align_backward_rois": lambda: roipool.roi_align_backward_rois(grad, data, rois),
    }[sys.argv[1]]
    roipool.roi_pool(data[:, :, :9, :9], rois[:1] / 50, 1)  # what is imported late
    roipool.roi_align_backward_rois(grad[:1], data[:, :, :9, :9], rois[:1] / 50)

    def limit(bytes):
        resource.setrlimit(resource.RLIMIT_AS, (bytes, -1))

    def outcome(more):
        pages = int(open("/proc/self/statm").read().split()[0])
        limit(pages * resource.getpagesize() + more)
        try:
            found = call()
        except MemoryError as error:
            found, said = None, str(error)
        limit(-1)
        again = call()
        if found is None:
            return "told" if "iB" in said else said  # or NumPy, of its arrays
        return "right" if found.tobytes() == again.tobytes() else "wrong"

    for mib in range(0, 60, 4):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writing, outcome(mib << 20).encode())
            os._exit(0)
        os.close(writing)
        said = os.read(reading, 1000).decode()
        os.close(reading)
        print(said or f"ended by {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}", flush=True)
"""


@pytest.mark.parametrize(
    ("name", "fails"),
    [
        ("roi_pool", False),  # with less memory it packs less
        ("return_argmax", False),
        ("roi_pool_backward", True),
        ("roi_align", False),
        ("roi_align_backward", True),
        ("roi_align_backward_rois", True),
    ],
)
def test_limits(name, fails):
    done = subprocess.run(
        [sys.executable, "-c", CODE, name], check=True, capture_output=True, text=True, timeout=300
    )
    outcomes = done.stdout.splitlines()
    assert len(outcomes) == 15
    assert set(outcomes) <= {"right", "told"}, done.stdout + done.stderr
    assert done.stderr == ""
    assert not fails or "told" in outcomes
