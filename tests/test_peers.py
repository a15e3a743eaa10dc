"""roi_align beside its peers, each in its own Python, to rounding; `make test-peers` has them all.

What this Python can import is compared here; the others where `make peers` made an environment.
"""

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rich")  # of the benchmarks
pytest.importorskip("typer")

from benchmarks import runs
from benchmarks.contenders import PEERS
from benchmarks.environments import python_of
from benchmarks.processes import Contender

import roipool
from peers.align_cases import align_cases
from test_benchmarks import EVERY_ALIGN, ROIPOOL

SCRIPT = Path(__file__).parent / "peers" / "align_answers.py"
ANSWERING = [*(name for name in PEERS if name != "tensorflow"), "onnxruntime10"]
COUNT = 180
CLOSE = {"float32": 3e-5, "float64": 1e-12}  # of the largest value, or of 1


def python_with(name):
    name = name.rstrip("10")
    python = python_of(name) or (sys.executable if find_spec(name) else None)
    if python is None:
        pytest.skip(f"no environment of {name}: make peers")
    return str(python)


@pytest.mark.parametrize("name", ANSWERING)
def test_roi_align(name, tmp_path):
    command = [python_with(name), SCRIPT, name, str(COUNT), "0", tmp_path / "answers.npz"]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})
    compared, left_out, near, largest = {"out": 0, "grad": 0}, 0, 0, {}
    with np.load(tmp_path / "answers.npz") as answers:
        for i, case in enumerate(align_cases(name, COUNT, 0)):
            left_out, near = left_out + case["left_out"], near + case["near"]
            for kind in ("out", "grad"):
                if f"{kind}_{i}" not in answers:
                    continue
                expected = answers[f"{kind}_{i}"]
                apart = np.abs(ours(kind, case) - expected).max() / max(1, np.abs(expected).max())
                assert apart <= CLOSE[expected.dtype.name], (i, kind)
                key = f"{kind} {expected.dtype.name}"
                largest[key] = max(largest.get(key, 0.0), float(apart))
                compared[kind] += expected.size
    print(f"{name}: {compared} compared, {left_out} rows left out, {near} near a jump; {largest}")
    assert compared["out"] > 100_000


def ours(kind, case):
    how = {"sampling_ratio": case["sampling_ratio"], "aligned": case["aligned"]}
    if kind == "out":
        return roipool.roi_align(
            case["data"], case["rois"], case["pooled_size"], case["scale"], **how
        )
    shape = case["data"].shape
    return roipool.roi_align_backward(case["grad"], case["rois"], shape, case["scale"], **how)


@pytest.mark.parametrize("tiny", EVERY_ALIGN.values(), ids=EVERY_ALIGN)
@pytest.mark.parametrize("name", PEERS)
def test_benchmarks_compare_what_agrees(tiny, name):
    peer = Contender(name, f"benchmarks.contenders.{name}", 1, python_with(name))
    outcome = runs.measure(tiny, [ROIPOOL, peer], rounds=1, limit=60)[1]
    learns = name in ("mxnet", "torchvision") and tiny.mode in ("train", "backward")
    several = tiny.levels > 1 and name != "torchvision"
    if several or name == "tensorflow" or not (tiny.mode == "forward" or learns):
        assert outcome.unsupported
    else:
        assert "within" in outcome.agreement or outcome.agreement == "bit for bit"


def test_a_peer_that_disagrees_is_told(tmp_path, monkeypatch):
    (tmp_path / "wrong.py").write_text(
        "from benchmarks.contenders.roipool import *\n"
        "def to_numpy(result): return tuple(array * 1.001 for array in result)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    wrong = Contender("wrong", "wrong", 1)
    tiny = replace(EVERY_ALIGN["forward"], regions=3)
    with pytest.raises(runs.DisagreementError, match=r"values differ, by up to 1.0e-03 of the lar"):
        runs.measure(tiny, [ROIPOOL, wrong], rounds=1, limit=60)
