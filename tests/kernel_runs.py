"""Kernels of the core run as tests need it: on memory of NaN, on every path, in other processes."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from cases import FLOATS


def unset(like, last=False):
    """Memory of NaN for a result, which may lie with channels last."""
    if last:
        n, c, h, w = like.shape
        return np.full((n, h, w, c), np.nan, like.dtype).transpose(0, 3, 1, 2)
    return np.full(like.shape, np.nan, like.dtype)


def digests(case_of, shapes, kernels):
    """Of every result, which no number of threads may change."""
    found = {}
    for shape, given in shapes.items():
        for dtype in FLOATS:
            case = case_of(dtype, **given)
            for kernel in kernels:
                hashes = {
                    hashlib.sha256(
                        b"".join(a.tobytes() for a in case.run(kernel, threads))
                    ).hexdigest()
                    for threads in (1, 2, 5)
                }
                assert len(hashes) == 1, (shape, dtype, kernel)
                found[f"{shape} {np.dtype(dtype).name} {kernel}"] = hashes.pop()
    return found


def printed_by(isa, file):
    """What a file of tests prints where it is run with that instruction set."""
    return json.loads(output_of([file], {"ROIPOOL_ISA": isa}))


MEMORY = """if True:
    import sys
    from importlib import import_module

    from process_memory import forget_most_resident, most_resident, resident

    module, kernel = import_module(sys.argv[1]), sys.argv[2]
    case = module.Case("float32", 64, sizes=((1, 400, 400),), pooled=(7, 7), count=1000)
    module.Case("float32", 3).run(kernel, 2)
    run, before = module._core.run, []

    def measured(*args):
        forget_most_resident()
        before.append(resident())
        return run(*args)

    module._core.run = measured
    case.run(kernel, 2)
    extra = most_resident() - before[-1]
    print(extra / (case.maps[0].nbytes + case.pooled.nbytes))
"""


def memory_taken(module, kernel):
    """By a call of a test module's large case, in sizes of its maps and pooled values."""
    # Memory that was freed goes back to the system, else it would be taken unseen.
    return float(output_of(["-c", MEMORY, module, kernel], {"MALLOC_MMAP_THRESHOLD_": "65536"}))


def output_of(arguments, environment=None):
    """What Python prints that is given these, in the folder of the tests."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | (environment or {}),
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    return done.stdout
