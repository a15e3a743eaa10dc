"""The whole loop of `make bench` on a workload of a few milliseconds."""

import importlib.util
import json
import sys

import numpy as np
import pytest

pytest.importorskip("rich")
pytest.importorskip("typer")

from benchmarks import __main__ as command
from benchmarks import check, report, runs
from benchmarks.agreement import DisagreementError, compare
from benchmarks.processes import ROOT, Contender
from benchmarks.workloads import WORKLOADS, Workload, chosen

TINY = Workload("tiny", (2, 3, 20, 30), 5, (320, 480), smallest=20)
ROIPOOL = Contender.parse("roipool", threads=1)


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch):
    monkeypatch.setattr(runs, "TURN", 0.01)


@pytest.fixture
def contender(tmp_path, monkeypatch):
    """Write a contender of a few lines, put beside roipool's."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(body: str, **changes) -> Contender:
        head = "from benchmarks.contenders.roipool import *\n"
        (tmp_path / "written_contender.py").write_text(head + body)
        return Contender("written", "written_contender", threads=1, **changes)

    return write


def measure(*contenders: Contender, workload: Workload = TINY, limit: float = 30):
    return runs.measure(workload, contenders, rounds=2, limit=limit)


def test_command_measures_and_reports(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(WORKLOADS, "tiny", TINY)
    files = {"json": tmp_path / "times.json", "markdown": tmp_path / "times.md"}
    command.main(["tiny"], ["roipool@1", "mxnet=nowhere/python"], 2, 2, 30, **files)

    measured = json.loads(files["json"].read_text())["workloads"]["tiny"]["contenders"]
    assert "No such file" in measured.pop("mxnet")["failure"]
    assert {"roipool", "roipool@1", "fill_fresh", "fill_warm"} <= set(measured)
    assert measured["roipool@1"]["agreement"] == "bit for bit"
    assert measured["roipool@1"]["threads"] == 1
    if importlib.util.find_spec("onnxruntime"):
        assert measured["onnxruntime"]["agreement"] == "bit for bit"
    for contender in measured.values():
        assert len(contender["call_seconds_by_round"]) == 2
        assert 0 < contender["min_seconds"] <= contender["median_seconds"]
    assert "| tiny | **" in files["markdown"].read_text()
    assert "roipool@1" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["forward", "train", "backward"])
def test_wrong_values_end_the_run(contender, mode):
    wrong = contender("to_numpy = lambda result: tuple(array + 1 for array in result)")
    tiny = Workload("tiny", (2, 3, 20, 30), 5, (320, 480), smallest=20, mode=mode)
    with pytest.raises(DisagreementError, match="tiny: written disagrees: 735 of 735 values differ"
                       if mode != "backward" else "tiny: written disagrees: 3,600 of 3,600 grad"):
        measure(ROIPOOL, wrong, workload=tiny)
