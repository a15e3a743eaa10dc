"""Incumbents beside their names here, each in its own Python; `make test-peers` has them all."""

import inspect
import json
import os
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("rich")  # of the benchmarks
pytest.importorskip("torch")

from benchmarks.environments import link_package

from roipool.compat import torchvision as compat
from test_peers import python_with

SCRIPTS = Path(__file__).parent / "peers"
QUIET = {"PYTHONWARNINGS": "ignore", "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture
def answered(tmp_path):
    """Runs a script in a peer's Python, beside this roipool, and reads what it wrote."""

    def run(peer, script, *arguments):
        python, out = python_with(peer), tmp_path / "answers.json"
        link_package(tmp_path)
        command = [python, SCRIPTS / script, *arguments, out]
        subprocess.run(command, check=True, env=os.environ | QUIET | {"PYTHONPATH": str(tmp_path)})
        return json.loads(out.read_text())

    return run


def test_detectors_of_torchvision(answered):
    counts = {"fasterrcnn": 1, "maskrcnn": 2, "keypointrcnn": 2}
    for name, found in answered("torchvision", "torchvision_detectors.py").items():
        print(name, found)
        expected = counts[name.partition("_")[0]]
        assert (found["replaced"], found["replaced again"]) == (expected, 0)
        assert found["replaced when run"] == expected
        assert (found["detections"], found["not found"]) == (40, 0)
        assert found["pooled"] <= 1e-5
        assert found["parameters"] > 150
        assert max(found[kind] for kind in ("pooled trained", "losses", "gradients")) <= 1e-9


def test_the_names_of_torchvision(answered):
    found = answered("torchvision", "torchvision_names.py")
    for name, expected in found["signatures"].items():
        parameters = inspect.signature(getattr(compat, name)).parameters.values()
        mine = {each.name: repr(each.default) for each in parameters}
        assert mine.pop("scales", "None") == "None", name  # not among theirs
        assert [*mine.items()] == [*expected.items()], name
    assert len(found["apart"]) == 12
    for name, differences in found["apart"].items():
        print(name, differences)
        assert max(differences) <= (1e-12 if "float64" in name else 3e-6), name


def test_the_name_of_tensorflow(answered):
    found = answered("tensorflow", "tensorflow_crops.py", "144")
    print(found)
    assert found["compared"] > 500_000
    assert found["values"] <= 1e-6
    assert max(found["image"], found["boxes"]) <= 3e-5
    assert "use tf.py_function" in found["symbolic"]
