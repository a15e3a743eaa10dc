"""The kernels of samples on every path: of threads, instruction sets and memory, the same bits."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cases import FLOATS, assert_same_bits, odd_maps
from roipool import _core
from sample_cases import KERNELS, Case, assert_as_defined

IDS = [np.dtype(t).name for t in FLOATS]

# Regions together on a map and each alone; a map beyond a core's cache; a map too large to pack.
SHAPES = {
    "together": {"sizes": ((1, 30, 40), (1, 20, 50)), "count": 60, "channels": 40},
    "alone": {"sizes": ((2, 200, 300),), "count": 3, "channels": 33},
    "strips": {"sizes": ((1, 150, 120),), "count": 30, "pooled": (5, 4), "channels": 20},
    "no room": {"sizes": ((1, 900, 800),), "count": 12, "channels": 1, "most": 30},
}


def digest(case, kernel, threads):
    results = case.run(kernel, threads)
    results = [np.where(array == array, array, np.zeros_like(array)) for array in results]
    return hashlib.sha256(b"".join(array.tobytes() for array in results)).hexdigest()


def digests():
    found = {}
    for shape, how in SHAPES.items():
        for dtype in FLOATS:
            case = Case(dtype, **how)
            if shape == "together":
                case.maps = [odd_maps(np.random.default_rng(2), a.shape, dtype) for a in case.maps]
            for kernel in KERNELS:
                hashes = {digest(case, kernel, threads) for threads in (1, 2, 5)}
                assert len(hashes) == 1, (shape, dtype, kernel)
                found[f"{shape} {np.dtype(dtype).name} {kernel}"] = hashes.pop()
    return found


@pytest.mark.parametrize("shape", ["together", "alone", "strips"])
def test_paths_as_defined(shape):
    assert_as_defined(Case(np.float32, **SHAPES[shape]))


def test_a_map_too_large_to_pack_as_defined():
    assert_as_defined(Case(np.float32, **SHAPES["no room"]), KERNELS[:1])


@pytest.mark.parametrize("dtype", FLOATS, ids=IDS)
def test_large_results_as_small_ones(dtype):
    """Large ones are written around the caches, in whole lines wherever they begin."""
    case = Case(dtype, 131, sizes=((1, 9, 14),), pooled=(7, 5), count=(17 << 20) // (131 * 70))
    values, argmax = case.run("samples_max")
    for some in (slice(40), slice(-40, None)):
        few = Case(dtype, 131, sizes=((1, 9, 14),), pooled=(7, 5), count=40)
        few.maps, few.image = case.maps, case.image[some]
        few.y, few.x = ((axis[0][some], *axis[1:]) for axis in (case.y, case.x))
        for actual, wanted in zip(few.run("samples_max"), (values, argmax), strict=True):
            assert_same_bits(actual, wanted[some])


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
    assert json.loads(done.stdout) == digests()


MEMORY = """if True:
    import sys

    from process_memory import forget_most_resident, most_resident, resident
    from sample_cases import Case, _core

    case = Case("float32", 64, sizes=((1, 400, 400),), pooled=(7, 7), count=1000)
    Case("float32", 3).run(sys.argv[1], 2)
    run, before = _core.run, []

    def measured(*args):
        forget_most_resident()
        before.append(resident())
        return run(*args)

    _core.run = measured
    case.run(sys.argv[1], 2)
    extra = most_resident() - before[-1]
    print(extra / (case.maps[0].nbytes + case.pooled.nbytes))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is resident on Linux alone")
@pytest.mark.parametrize("kernel", KERNELS)
def test_little_memory(kernel):
    """A quarter of the maps and pooled values, and little beside it."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, kernel],
        # Memory that was freed goes back to the system, else it would be taken unseen.
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"},
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    assert float(done.stdout) < 0.3


if __name__ == "__main__":
    print(json.dumps(digests()))
