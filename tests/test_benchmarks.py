"""The whole loop of `make bench` on a workload of a few milliseconds."""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rich")
pytest.importorskip("typer")

from benchmarks import __main__ as command
from benchmarks import check, runs
from benchmarks.agreement import DisagreementError
from benchmarks.contenders import LIBRARIES, Case
from benchmarks.processes import Contender
from benchmarks.workloads import ALIGN, MAIN, WORKLOADS, Workload, chosen
from rich.console import Console

TINY = Workload("tiny", (2, 3, 20, 30), 5, (320, 480), smallest=20)
ALIGNED = replace(TINY, operator="roi_align", options=(("sampling_ratio", 2), ("aligned", False)))
ROIPOOL = Contender("roipool", "benchmarks.contenders.roipool", threads=1)


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch):
    monkeypatch.setattr(runs, "TURN", 0.01)


@pytest.fixture
def variant(tmp_path, monkeypatch):
    """A contender that is roipool's, but for a few lines."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(lines: str) -> Contender:
        text = f"import os, time\nfrom benchmarks.contenders.roipool import *\n{lines}\n"
        (tmp_path / "written_variant.py").write_text(text)
        return Contender("variant", "written_variant", threads=1)

    return write


EVERY_ALIGN = {
    "adaptive": replace(ALIGNED, options=(("sampling_ratio", 0), ("aligned", True))),
    **{mode: replace(ALIGNED, mode=mode) for mode in ("forward", "train", "backward")},
    "backward_rois": replace(ALIGNED, mode="backward_rois"),
    "pyramid": replace(ALIGNED, maps=(1, 3, 80, 120), spatial_scale=1 / 4, levels=3),
}


def outcome_of(contender: Contender, mode: str = "forward", limit: float = 30) -> runs.Outcome:
    workload = replace(TINY, mode=mode)
    return runs.measure(workload, [ROIPOOL, contender], rounds=2, limit=limit)[1]


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
        if contender.get("unsupported"):
            continue  # a peer that has no such operator
        assert len(contender["call_seconds_by_round"]) == 2
        assert 0 < contender["min_seconds"] <= contender["median_seconds"]
    assert "| tiny | **" in files["markdown"].read_text()
    assert "bit for bit" in capsys.readouterr().out


def test_ratios_may_be_to_another_contender(tmp_path, monkeypatch):
    monkeypatch.setitem(WORKLOADS, "tiny", TINY)
    markdown = tmp_path / "times.md"
    command.main(["tiny"], [], 1, 1, 30, markdown=markdown, against="roipool_out")
    written = markdown.read_text()
    assert "| workload | roipool_out | roipool |" in written
    assert "how many times roipool_out's" in written
    with pytest.raises(ValueError, match="no contender 'torhc' to compare with; there are roipool"):
        command.lineup([], 1, "torhc")


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="PyTorch is not installed")
@pytest.mark.parametrize(
    "tiny",
    [
        TINY,
        replace(TINY, mode="train"),
        replace(TINY, mode="backward"),
        replace(TINY, channels_last=True),
        replace(TINY, dtype="bfloat16"),
        replace(TINY, dtype="int8"),
    ],
    ids=["forward", "train", "backward", "channels_last", "bfloat16", "int8"],
)
def test_tensors_give_the_same_bits(tiny):
    door = Contender("roipool_torch", "benchmarks.contenders.roipool_torch", threads=1)
    outcome = runs.measure(tiny, [ROIPOOL, door], rounds=1, limit=30)[1]
    assert not outcome.failure
    assert outcome.agreement == "bit for bit"


@pytest.mark.parametrize("tiny", EVERY_ALIGN.values(), ids=EVERY_ALIGN)
@pytest.mark.parametrize("name", ["roipool_out", "roipool_torch", "roipool_jax"])
def test_doors_agree_to_rounding(tiny, name):
    if not importlib.util.find_spec(LIBRARIES[name]):
        pytest.skip("not installed")
    door = Contender(name, f"benchmarks.contenders.{name}", threads=1)
    outcome = runs.measure(tiny, [ROIPOOL, door], rounds=1, limit=60)[1]
    if name == "roipool_out" and tiny.mode == "backward_rois":
        assert outcome.unsupported  # it fills no memory
        return
    assert not outcome.failure
    assert outcome.agreement


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("forward", "735 of 735 values differ"),
        ("train", "735 of 735 values differ"),
        ("backward", "3,600 of 3,600 gradient differ, by up to "),
    ],
)
def test_wrong_values_end_the_run(variant, mode, told):
    wrong = variant("def to_numpy(result): return tuple(array + 1 for array in result)")
    with pytest.raises(DisagreementError, match=f"^tiny: variant disagrees: {told}"):
        outcome_of(wrong, mode)


def test_gradients_may_round_differently(variant):
    close = variant(
        "def to_numpy(result):\n"
        "    values, gradient = result\n"
        "    return values, gradient + gradient.dtype.type(1e-6)"
    )
    assert outcome_of(close, "train").agreement.startswith("bit for bit, gradient within ")


def test_differences_of_a_counted_contender_are_shown(variant):
    other = variant(
        'AGREES = "counted"\ndef to_numpy(result):\n    result[0].flat[:3] += 1\n    return result'
    )
    assert outcome_of(other).agreement == "3 of 735 values differ"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("def forward(case): return lambda: os.abort()", "crashed (SIGABRT)"),
        ("def forward(case): return lambda: os._exit(3)", "exited with status 3: "),
        ("def forward(case): return lambda: 1 / 0", "ZeroDivisionError: division by zero"),
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("del forward", "no forward"),
    ],
)
def test_contender_without_an_answer_is_told(variant, lines, told):
    assert outcome_of(variant(lines)).failure == told


def test_contender_that_hangs_is_ended(variant):
    hangs = variant("def forward(case): return lambda: time.sleep(60)")
    assert outcome_of(hangs, limit=2).failure == "timed out after 2 s"


def test_check_fails_on_a_slower_tree_only(variant):
    slow = variant(
        "fast = forward\n"
        "def forward(case):\n"
        "    call = fast(case)\n"
        "    return lambda: (time.sleep(0.005), call())[1]"
    )
    quiet = Console(quiet=True)
    assert not check.judge(TINY, [ROIPOOL, slow], 1, quiet)
    assert check.judge(TINY, [slow, ROIPOOL], 1, quiet)


def test_check_leaves_out_what_the_revision_has_not(variant):
    older = variant("def of(case): raise UnsupportedError('no roi_align')\nforward = of")
    assert check.judge(ALIGNED, [older, ROIPOOL], 1, Console(quiet=True))
    broken = variant("def forward(case): return 1 / 0")
    assert not check.judge(ALIGNED, [broken, ROIPOOL], 1, Console(quiet=True))


@pytest.mark.parametrize("name", ALIGN)
def test_roi_align_is_measured_on_what_roi_pool_is(tmp_path, name):
    workload = WORKLOADS[name]
    other = WORKLOADS.get(
        name.removeprefix("align_").replace("_adaptive", "").removesuffix("_rois")
    )
    if other is not None:
        same = {field: getattr(other, field) for field in ("maps", "regions", "image", "smallest")}
        assert replace(workload, **same) == workload
    assert str(workload).startswith("roi_align sampling_ratio=")


def test_the_pyramid(tmp_path):
    case = Case.load({**WORKLOADS["pyramid"].save(tmp_path), "threads": 1})
    sides = [data.shape for data in case.maps]
    assert sides == [(1, 256, h, w) for h, w in ((200, 336), (100, 168), (50, 84), (25, 42))]
    assert case.scales == [1 / 4, 1 / 8, 1 / 16, 1 / 32]
    side = np.sqrt((case.rois[:, 3] - case.rois[:, 1]) * (case.rois[:, 4] - case.rois[:, 2]))
    level = np.clip(np.floor(4 + np.log2(side / 224) + 1e-6), 2, 5) - 2
    np.testing.assert_array_equal(case.rois[:, 0], level)
    assert np.bincount(level.astype(int)).min() > 50


@pytest.mark.parametrize("name", ["small_8", "train", "batch_8", "channels_last", "int8"])
def test_workload_is_what_it_says(tmp_path, name):
    workload = WORKLOADS[name]
    case = Case.load({**workload.save(tmp_path), "threads": 1})
    assert case.data.shape == workload.maps
    assert case.data.dtype == workload.dtype
    assert case.data.flags.c_contiguous is not workload.channels_last
    images = np.bincount(case.rois[:, 0].astype(int))
    assert images.tolist() == [workload.regions // workload.maps[0]] * workload.maps[0]
    x1, y1, x2, y2 = case.rois[:, 1:].T
    height, width = workload.image
    assert min(x1.min(), y1.min()) >= 0
    assert x2.max() < width
    assert y2.max() < height
    assert min((x2 - x1).min(), (y2 - y1).min()) + 1.01 >= workload.smallest


def test_names_of_workloads():
    assert [workload.name for workload in chosen(["main", "fpn"])] == MAIN
    with pytest.raises(ValueError, match="no workload 'fnp'; there are fast_rcnn, "):
        chosen(["fnp"])
