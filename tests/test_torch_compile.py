"""Tensors under torch.compile, torch.export and with fake tensors: what eager calls give."""

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import torch._functorch.config as functorch
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import grad, jvp, vmap

import roipool
from cases import FLOATS, NAMES
from roipool.nn import RoIPool
from tensors import some_boxes, some_maps


@pytest.fixture(autouse=True)
def _anew():
    with functorch.patch(enable_autograd_cache=False):  # it doesn't tell our versions apart
        yield
    torch._dynamo.reset()


def compiled(function, backend="aot_eager"):
    """Compiled whole, and a counter of compilations."""
    counter = CompileCounterWithBackend(backend)
    return torch.compile(function, fullgraph=True, backend=counter), counter


def test_only_the_number_of_regions_changes():
    def step(data, rois):
        return roipool.roi_pool(data, rois, (3, 2), 0.5)

    fast, counter = compiled(step)
    data, rois = some_maps().requires_grad_(), some_boxes(scale=0.5, count=20)
    for count in (5, 7, 11, 3, len(rois)):
        values, expected = fast(data, rois[:count]), step(data, rois[:count])
        assert torch.equal(values, expected)
        actual = torch.autograd.grad(values.pow(2).sum(), data)[0]
        assert torch.equal(actual, torch.autograd.grad(expected.pow(2).sum(), data)[0])
    assert counter.frame_count == 2  # the first count, then any count


def test_none_and_one_region_and_any_size():
    fast, _ = compiled(lambda data, rois, size: roipool.roi_pool(data, rois, size, 0.5))
    data, rois = some_maps(), some_boxes(scale=0.5)
    for count, size in ((1, 2), (0, 2), (7, 3), (1, 4)):
        expected = roipool.roi_pool(data, rois[:count], size, 0.5)
        assert torch.equal(fast(data, rois[:count], size), expected)


def test_inductor_with_neighbours_to_fuse():
    def step(data, rois):
        pooled = roipool.roi_pool(data * 2 + 1, rois.flip(0), 3)
        return pooled.relu().mean((2, 3))

    data = some_maps().contiguous(memory_format=torch.channels_last)
    fast, _ = compiled(step, "inductor")
    for maps in (data, data.clone().requires_grad_()):
        torch.testing.assert_close(fast(maps, some_boxes()), step(maps, some_boxes()))
    actual = torch.autograd.grad(fast(maps, some_boxes()).sum(), maps)[0]
    expected = torch.autograd.grad(step(maps, some_boxes()).sum(), maps)[0]
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("dtype", [*FLOATS, np.int8], ids=[*NAMES[:4], "int8"])
def test_every_kind_of_result(dtype):
    def both(data, rois):
        return roipool.roi_pool(data, rois, 2, return_argmax=True)

    fast, _ = compiled(both)
    data, rois = some_maps(dtype=dtype), some_boxes()
    for maps in (data, data.contiguous(memory_format=torch.channels_last)):
        for actual, expected in zip(fast(maps, rois), both(maps, rois), strict=True):
            assert torch.equal(actual, expected)
            assert actual.stride() == expected.stride()


def test_boxes_of_each_image():
    fast, _ = compiled(lambda data, first, second: roipool.roi_pool(data, [first, second], 2))
    data, boxes = some_maps(), some_boxes()[:9, 1:]
    expected = roipool.roi_pool(data, [boxes[:4], boxes[4:]], 2)
    assert torch.equal(fast(data, boxes[:4], boxes[4:]), expected)


def test_the_backward_and_memory_of_the_caller():
    def step(data, rois, grad, values, argmax):
        roipool.roi_pool(data, rois, 2, return_argmax=True, out=(values, argmax))
        return roipool.roi_pool_backward(grad, argmax, rois, data.shape)

    data, rois = some_maps(), some_boxes()
    values, argmax = roipool.roi_pool(data, rois, 2, return_argmax=True)
    weights = some_maps(values.shape)
    given = torch.zeros_like(values), torch.zeros_like(argmax)
    fast, _ = compiled(step)
    expected = roipool.roi_pool_backward(weights, argmax, rois, data.shape)
    assert torch.equal(fast(data, rois, weights, *given), expected)
    assert torch.equal(given[0], values)
    assert torch.equal(given[1], argmax)


def test_transforms_inside():
    data, rois = some_maps((3, 2, 2, 7, 7)), some_boxes(2, 7, 7, count=5)[:6]

    def step(maps):
        def loss(x):
            return roipool.roi_pool(x, rois, 2).pow(2).sum()

        return vmap(grad(loss))(maps), jvp(loss, (maps[0],), (maps[1],))[1]

    fast, _ = compiled(step)
    for actual, expected in zip(fast(data), step(data), strict=True):
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("index", [2.0, 0.5])
def test_errors_at_run_time(index):
    fast, _ = compiled(lambda data, rois: roipool.roi_pool(data, rois, 2))
    rois = some_boxes()
    fast(some_maps(), rois)
    rois[3, 0] = index
    with pytest.raises((IndexError, ValueError), match=r"rois\[3\] has batch index"):
        fast(some_maps(), rois)


def test_errors_while_compiling():
    fast, _ = compiled(lambda data, rois: roipool.roi_pool(data, rois, 2))
    with pytest.raises(Exception, match=r"rois has shape \(3, 4\); expected"):
        fast(some_maps(), torch.zeros(3, 4))


class Head(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(5, 8, 3, padding=1)
        self.pool = RoIPool((3, 2), 0.5)

    def forward(self, images, rois):
        return self.pool(self.convolution(images), rois).flatten(1)


def test_export_and_reload_elsewhere(tmp_path):
    torch.manual_seed(0)
    head, images, rois = Head(), some_maps(), some_boxes(scale=0.5)
    shapes = {"images": None, "rois": {0: torch.export.Dim("K")}}
    program = torch.export.export(head, (images, rois), dynamic_shapes=shapes)
    assert "roipool.roi_pool.default" in program.graph_module.code
    torch.export.save(program, tmp_path / "head.pt2")
    rows = torch.cat([rois, rois[:3]])
    torch.save((images, rows, head(images, rows)), tmp_path / "expected.pt")
    code = """if True:
        import sys, torch, roipool.nn
        head = torch.export.load(sys.argv[1] + "/head.pt2").module()
        images, rois, expected = torch.load(sys.argv[1] + "/expected.pt")
        values = head(images, rois)
        assert torch.equal(values, expected)
        values.sum().backward()
        assert all(weight.grad.any() for weight in head.parameters())
    """
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_fake_tensors():
    with FakeTensorMode():
        data = torch.empty(2, 5, 13, 11, dtype=torch.bfloat16)
        values, argmax = roipool.roi_pool(data, torch.empty(7, 5), 3, return_argmax=True)
    assert (values.shape, values.dtype) == ((7, 5, 3, 3), torch.bfloat16)
    assert (argmax.shape, argmax.dtype) == ((7, 5, 3, 3), torch.int32)
    with FakeTensorMode():
        data = torch.empty(1, 1, 2**16, 2**15)
        assert (
            roipool.roi_pool(data, torch.empty(1, 5), 1, return_argmax=True)[1].dtype == torch.int64
        )
