"""A fork while another thread's first call still imports: the child is not left waiting."""

import os
import subprocess
import sys
import textwrap

import pytest

if not hasattr(os, "fork"):
    pytest.skip("this system has no fork", allow_module_level=True)

# Each import of the package takes long, so that a fork meets one.
CODE = """
import os, sys, threading, time
import numpy as np, roipool
{imports}

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("roipool."):
            begun.set()
            time.sleep(0.05)

def call():
    {call}

begun = threading.Event()
sys.meta_path.insert(0, Slow())
data, rois = np.ones((1, 1, 4, 4), "f4"), np.zeros((1, 5), "f4")
thread = threading.Thread(target=call)
thread.start()
begun.wait()
time.sleep({later})
child = os.fork()
if not child:
    call()
    os._exit(0)
for _ in range(50):
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        break
    time.sleep(0.1)
else:
    os.kill(child, 9)
thread.join()
sys.exit(0 if ended and status == 0 else 1)
"""
CALLS = {
    "numpy": ("", "roipool.roi_pool(data, rois, 1)"),
    "geometry": ("", "roipool.check_rois(rois, 1)"),
    "levels": ("", "roipool.assign_levels(rois + np.arange(5), 2, 5)"),
    "torch": (
        "import torch",
        "roipool.roi_align(torch.from_numpy(data), torch.from_numpy(rois), 1)",
    ),
    "dask": ("import dask.array as da", "roipool.roi_pool(da.from_array(data), rois, 1)"),
}


@pytest.mark.parametrize("later", [0, 0.04, 0.13])
@pytest.mark.parametrize("name", CALLS)
def test_first_call_in_another_thread(name, later):
    imports, call = CALLS[name]
    if imports:
        pytest.importorskip(name)
    code = textwrap.dedent(CODE).format(imports=imports, call=call, later=later)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
