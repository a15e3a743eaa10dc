"""Bit for bit with the real MXNet 1.9.1, in a virtual environment of its own."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import roipool
from cases import assert_same_bits
from peers.cases import cases
from roipool import _core

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peers"
ANSWERS = Path(__file__).parent / "data" / "mxnet_1_9_1.npz"
PINS = ["numpy==1.23.5", "mxnet==1.9.1"]  # the last pair that works together
STORED = {"count": 24, "seed": 1}
LIVE = {"count": 300, "seed": 0}


def assert_same_answers(answers, count, seed):
    values = 0
    for i, case in enumerate(cases(count, seed)):
        out, argmax = roipool.roi_pool(
            case["data"], case["rois"], case["pooled_size"], case["scale"], return_argmax=True
        )
        assert_same_bits(out, answers[f"out_{i}"])
        grad = roipool.roi_pool_backward(case["grad"], argmax, case["rois"], case["data"].shape)
        assert_same_bits(grad, answers[f"grad_{i}"])
        values += out.size + grad.size
    return values


def python_311():
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    return shutil.which("python3.11")


@pytest.fixture(scope="module")
def mxnet_python():
    """The Python of a venv with MXNet, made once and kept in the checkout's .cache."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        pytest.skip("MXNet 1.9.1 exists for x86-64 Linux only")
    base = python_311()
    if base is None:
        pytest.skip("MXNet 1.9.1 needs NumPy 1.23.5, which needs Python 3.11: none found")
    venv = ROOT / ".cache" / "mxnet-1.9.1"
    if not (venv / "installed").exists():
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([base, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "pip", "install", "--quiet", *PINS], check=True)
        (venv / "installed").touch()
    return venv / "bin" / "python"


def run_answers(python, out, count, seed):
    command = [python, PEERS / "mxnet_answers.py", str(count), str(seed), out]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})


def test_the_stored_answers():
    with np.load(ANSWERS) as answers:
        assert assert_same_answers(answers, **STORED) > 20_000


def test_live(mxnet_python, tmp_path):
    run_answers(mxnet_python, tmp_path / "answers.npz", **LIVE)
    with np.load(tmp_path / "answers.npz") as answers:
        assert assert_same_answers(answers, **LIVE) > 500_000


def test_the_stored_answers_are_what_mxnet_says(mxnet_python, tmp_path):
    run_answers(mxnet_python, tmp_path / "answers.npz", **STORED)
    with np.load(tmp_path / "answers.npz") as live, np.load(ANSWERS) as stored:
        assert set(live) == set(stored)
        for name in live:
            assert_same_bits(stored[name], live[name])


def test_roipool_works_with_the_oldest_numpy(mxnet_python):
    """Beside MXNet, under NumPy 1.23.5; the core is the one built for this Python."""
    if python_311() != sys.executable:
        pytest.skip("the core is built for another Python than MXNet's")
    script = f"""
import importlib.util, sys
sys.path.insert(0, {str(ROOT / "src")!r})
spec = importlib.util.spec_from_file_location("roipool._core", {_core.__file__!r})
sys.modules["roipool._core"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["roipool._core"])
import numpy as np, mxnet, roipool
assert np.__version__ == "1.23.5"
x = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
out, argmax = roipool.roi_pool(x, [[0, 0, 0, 4, 4]], (2, 2), 0.7, return_argmax=True)
assert out.tolist() == [[[[7, 9], [19, 21]]]], out
grad = roipool.roi_pool_backward(out, argmax, [[0, 0, 0, 4, 4]], x.shape)
assert grad.sum() == 56
"""
    subprocess.run([mxnet_python, "-W", "ignore", "-c", script], check=True)
