"""PyTorch's tensors of devices that this machine need not have: without values, and forced."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

import roipool
import roipool.nn

ROIS = torch.tensor([[0, 1, 1, 20, 20], [1, 4, 4, 9, 9.0]])
CALLS = {
    "roi_pool": lambda data, rois: roipool.roi_pool(data, rois, 2, 0.25),
    "roi_align": lambda data, rois: roipool.roi_align(data, rois, 2, 0.25),
    "roi_align max": lambda data, rois: roipool.roi_align(
        data, rois, 2, 0.25, sampling_ratio=2, mode="max"
    ),
    "prroi_pool": lambda data, rois: roipool.prroi_pool(data, rois, 2, 0.25),
    "ps_roi_pool": lambda data, rois: roipool.ps_roi_pool(data, rois, 2, 0.25),
}


@pytest.mark.parametrize("name", CALLS)
def test_meta(name):
    data = torch.empty(2, 4, 8, 8, device="meta", requires_grad=True)
    values = CALLS[name](data, ROIS.to("meta"))
    expected = CALLS[name](torch.zeros(2, 4, 8, 8), ROIS)
    assert values.shape == expected.shape
    assert values.device.type == "meta"
    (grad,) = torch.autograd.grad(values.sum(), data)
    assert grad.shape == data.shape


def test_exported_on_meta():
    module, dynamic = roipool.nn.RoIAlign(2, 0.25), {0: torch.export.Dim.DYNAMIC}
    given = torch.empty(2, 4, 8, 8, device="meta"), torch.empty(3, 5, device="meta")
    program = torch.export.export(module, given, dynamic_shapes=(dynamic, dynamic))
    values = program.module()(given[0], torch.empty(7, 5, device="meta"))
    assert values.shape == (7, 4, 2, 2)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_traced_with_tensors_of_cuda(name, last):
    """Without autograd, whose engine wants the device itself."""
    with FakeTensorMode():
        lying = torch.channels_last if last else torch.contiguous_format
        data = torch.empty(2, 8, 8, 8, device="cuda", memory_format=lying)
        graph = make_fx(CALLS[name])(data, torch.empty(2, 5, device="cuda"))
    (found,) = [node.meta["val"] for node in graph.graph.nodes if "roipool" in str(node.target)]
    assert found.device.type == "cuda"
    assert found.is_contiguous(memory_format=torch.channels_last) == last


def test_a_gradient_traced_with_tensors_of_cuda():
    def step(grad, rois):
        return roipool.roi_align_backward(grad, rois, (2, 4, 8, 8), 0.25)

    with FakeTensorMode():
        grad, rois = torch.empty(2, 4, 2, 2, device="cuda"), torch.empty(2, 5, device="cuda")
        assert step(grad, rois).device.type == "cuda"
        nodes = make_fx(step)(grad, rois).graph.nodes
    assert [str(node.target) for node in nodes if "roipool" in str(node.target)] == [
        "roipool.roi_align_backward.default"
    ]


def test_regions_elsewhere():
    data = torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match=r'rois lies on device meta, .* on cpu; .* to\("cpu"\)'):
        roipool.roi_pool(data, ROIS.to("meta"), 2)
    with pytest.raises(ValueError, match=r"data\[1\] lies on device meta, .* on cpu"):
        roipool.roi_pool([data, data.to("meta")], ROIS, 2, [1.0, 0.5])


def test_regions_of_numpy_are_brought_there():
    data = torch.zeros(1, 1, 4, 4, device="meta")
    rows = np.zeros((3, 5))
    assert roipool.roi_pool(data, rows, 2).shape == (3, 1, 2, 2)
    values = roipool.multi_scale(roipool.roi_pool, [data, data[..., :2]], rows, 2, [1.0, 0.5])
    assert values.shape == (3, 1, 2, 2)


def test_everything_of_the_family_forced():
    """What other devices run, on the CPU: gradients of both modes and any order, vmap, compiled."""
    home = Path(__file__).parent
    call = [sys.executable, "-m", "pytest", "-q", "-p", "force_devices", "test_torch_family.py"]
    ran = subprocess.run(call, cwd=home, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-3000:]
