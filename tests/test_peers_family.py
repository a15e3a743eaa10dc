"""The family beside its peers, each in its own Python, and what these do wrong."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rich")  # of the benchmarks

import roipool
from peers.family_cases import SCALE, SIDES, SIZE, cases
from test_peers import python_with

SCRIPT = Path(__file__).parent / "peers" / "family_answers.py"
COUNT = 12


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    def of(name):
        out = tmp_path_factory.mktemp(name) / "answers.npz"
        environment = os.environ | {"PYTHONWARNINGS": "ignore"}
        subprocess.run(
            [python_with(name), SCRIPT, name, str(COUNT), out], check=True, env=environment
        )
        with np.load(out) as found:
            return dict(found)

    known = {}
    return lambda name: known[name] if name in known else known.setdefault(name, of(name))


def rotated(case, aligned=True):
    how = {"sampling_ratio": case["ratio"], "aligned": aligned}
    return roipool.roi_align_rotated(case["data"], case["turned"], SIZE, SCALE, **how)


def ps_pool(case, convention):
    return roipool.ps_roi_pool(case["data"], case["rois"], SIZE, SCALE, convention=convention)


def ps_pool_backward(case):
    return roipool.ps_roi_pool_backward(
        case["grad"], case["rois"], case["data"].shape, SCALE, convention="rfcn"
    )


def ps_align_backward(case):
    shape, ratio = case["data"].shape, case["ratio"]
    return roipool.ps_roi_align_backward(
        case["grad"], case["rois"], shape, SCALE, sampling_ratio=ratio
    )


SAME = {
    ("torchvision", "ps_roi_pool"): lambda case: ps_pool(case, "torchvision"),
    ("torchvision", "ps_roi_align"): lambda case: roipool.ps_roi_align(
        case["data"], case["rois"], SIZE, SCALE, sampling_ratio=case["ratio"]
    ),
    ("torchvision", "ps_roi_align_backward"): ps_align_backward,
    ("onnxruntime", "onnx_max"): lambda case: roipool.roi_align(
        case["data"], case["rois"], SIZE, SCALE, sampling_ratio=case["ratio"], mode="onnx_max"
    ),
    ("openvino", "rotated"): rotated,
    ("openvino", "ps_roi_pool_rfcn"): lambda case: ps_pool(case, "rfcn"),
    ("mxnet", "ps_roi_pool_rfcn"): lambda case: ps_pool(case, "rfcn"),
    ("mxnet", "rotated_unaligned"): lambda case: rotated(case, aligned=False),
    ("paddle", "ps_roi_pool_rfcn"): lambda case: ps_pool(case, "rfcn"),
    ("paddle", "ps_roi_pool_rfcn_backward"): ps_pool_backward,
    ("tensorflow", "crop_bilinear"): lambda case: roipool.crop_and_resize(
        case["data"], case["boxes"], SIZE
    ),
    ("tensorflow", "crop_nearest"): lambda case: roipool.crop_and_resize(
        case["data"], case["boxes"], SIZE, method="nearest"
    ),
}


@pytest.mark.parametrize(("peer", "name"), SAME)
def test_the_same_to_rounding(peer, name, answers):
    found, largest = answers(peer), 0.0
    for i, case in enumerate(cases(COUNT)):
        expected = found[f"{name}_{i}"]
        got = SAME[peer, name](case)
        assert got.shape == expected.shape
        largest = max(largest, float(np.abs(got - expected).max()))
    print(f"{peer} {name}: {largest:.1e}")
    assert largest <= 2e-5


def test_torchvision_ps_roi_pool_reads_no_last_row_and_its_gradient_is_anothers(answers):
    found, differ = answers("torchvision"), 0
    for i, case in enumerate(cases(COUNT)):
        data = case["data"].copy()
        data[:, :, -1], data[:, :, :, -1] = 1e6, 1e6
        values = roipool.ps_roi_pool(data, case["rois"], SIZE, SCALE, convention="torchvision")
        np.testing.assert_allclose(values, found[f"ps_roi_pool_{i}"], atol=2e-5)  # not read
        theirs = found[f"ps_roi_pool_backward_{i}"]
        ours = roipool.ps_roi_pool_backward(
            case["grad"], case["rois"], data.shape, SCALE, convention="torchvision"
        )
        assert not ours[:, :, SIDES[0] - 1].any()
        differ += int((np.abs(ours - theirs) > 1e-4).sum())
    assert differ > 0


def test_openvino_max_is_never_below_0(answers):
    found = answers("openvino")
    for i, case in enumerate(cases(COUNT)):
        ours = roipool.roi_align(
            -1 - np.abs(case["data"]), case["rois"], SIZE, SCALE,
            sampling_ratio=case["ratio"], mode="max",
        )  # fmt: skip
        assert (found[f"never_negative_{i}"] >= 0).all()
        assert ours.min() < -1
