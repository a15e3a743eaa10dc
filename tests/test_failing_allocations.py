"""Every single allocation of the core fails once: that ends in MemoryError, and nothing is lost."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kernel_runs import output_of

COMPILER = os.environ.get("CXX", "g++")
HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which(COMPILER),
    reason="Linux's way to take the place of a function, and a compiler for those that do",
)

# Each call fails at its first allocation, then at its second, until it ends without.
CODE = """if True:
    import ctypes, sys
    import roipool
    from concurrent_calls import jobs
    from roipool import _core

    hook = ctypes.CDLL(None)
    hook.still_to_fail.restype, hook.pieces_held.restype = ctypes.c_bool, ctypes.c_long
    roipool.set_num_threads(2)
    first, of = map(int, sys.argv[1:])
    told = 0

    def held():
        _core.memory(256 << 20)  # in whose place nothing else is kept
        return hook.pieces_held()

    for job in jobs()[first::of]:
        job.check()
        before, others = held(), 0
        while True:
            hook.fail_after(ctypes.c_long(others))
            try:
                job.check()  # where it was no more than the hope for one thread more
            except MemoryError as error:
                told += 1
                assert "memory" in str(error).lower(), error
            if hook.still_to_fail():
                break
            others += 1
        hook.fail_after(ctypes.c_long(-1))
        job.check()
        assert others > 2, job
        assert held() == before, (job, before, held())
    print(told)
"""


@pytest.fixture(scope="module")
def hook(tmp_path_factory):
    library = tmp_path_factory.mktemp("hook") / "failing_allocations.so"
    source = HERE / "failing_allocations.cpp"
    how = ["-std=c++20", "-shared", "-fPIC", "-O1", "-o", library]
    subprocess.run([COMPILER, *how, source, "-ldl"], check=True)
    return str(library)


@pytest.mark.parametrize("first", range(4))
def test_every_allocation_that_fails_is_told(hook, first):
    told = output_of(["-c", CODE, str(first), "4"], {"LD_PRELOAD": hook})
    assert int(told) > 100
