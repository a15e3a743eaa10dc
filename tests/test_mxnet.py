"""Bit for bit with the real MXNet 1.9.1, in a virtual environment of its own."""

import os
import platform
import re
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
from roipool.compat.mxnet import ROIPooling, convert

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peers"
ANSWERS = Path(__file__).parent / "data" / "mxnet_1_9_1.npz"
PINS = ["numpy==1.23.5", "mxnet==1.9.1"]  # the last pair that works together
TOOLS = ["ml_dtypes", "pytest"]
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
    installed, wanted = venv / "installed", " ".join(PINS + TOOLS)
    if not installed.exists() or installed.read_text() != wanted:
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([base, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "pip", "install", "--quiet", *PINS, *TOOLS], check=True)
        installed.write_text(wanted)
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


@pytest.fixture
def beside_mxnet(mxnet_python, tmp_path):
    """Runs MXNet's Python with this checkout's roipool and the core that is built for this one."""
    if python_311() != sys.executable:
        pytest.skip("the core is built for another Python than MXNet's")
    (tmp_path / "roipool").mkdir()
    for path in {*(ROOT / "src" / "roipool").iterdir(), Path(_core.__file__)}:
        (tmp_path / "roipool" / path.name).symlink_to(path)

    def run(*arguments):
        command = [mxnet_python, "-W", "ignore", *arguments]
        env = os.environ | {"PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_roipool_works_with_the_oldest_numpy(beside_mxnet):
    """Beside MXNet, under NumPy 1.23.5."""
    script = """
import numpy as np, mxnet, roipool
assert np.__version__ == "1.23.5"
x = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
out, argmax = roipool.roi_pool(x, [[0, 0, 0, 4, 4]], (2, 2), 0.7, return_argmax=True)
assert out.tolist() == [[[[7, 9], [19, 21]]]], out
grad = roipool.roi_pool_backward(out, argmax, [[0, 0, 0, 4, 4]], x.shape)
assert grad.sum() == 56
"""
    beside_mxnet("-c", script)


def test_the_door(beside_mxnet):
    """The tests of tests/beside_mxnet/, which need the real one."""
    output = beside_mxnet("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/beside_mxnet")
    passed = re.search(r"(\d+) passed in", output)
    assert passed, output
    assert int(passed.group(1)) > 200


def test_the_text_of_all_doors(beside_mxnet):
    """At MXNet's door."""
    files = [f"tests/test_doors{part}.py" for part in ("", "_gradients", "_errors", "_family")]
    output = beside_mxnet("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "mxnet", *files)
    passed = re.search(r"(\d+) passed", output)
    assert passed, output
    assert int(passed.group(1)) > 200


def test_the_port_needs_no_mxnet():
    script = "import sys, roipool.compat.mxnet; sys.exit('mxnet' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
    data = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
    wanted = np.array([[[[7, 9], [19, 21]]]], np.float32)
    assert_same_bits(ROIPooling(data, [[0, 0, 0, 4, 4]], (2, 2), 0.7), wanted)
    out = np.empty_like(wanted)
    assert ROIPooling(data, [[0, 0, 0, 4, 4]], (2, 2), 0.7, out=out, name="pool5") is out
    assert_same_bits(out, wanted)
    with pytest.raises(ImportError, match="mxnet"):
        convert(object())
