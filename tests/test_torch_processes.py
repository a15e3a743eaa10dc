"""Tensors in other threads and processes, over many calls, and in distributed training."""

import gc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import roipool
from process_memory import allocated
from tensors import some_boxes, some_maps


class Pooled(torch.utils.data.Dataset):
    """Pools in the worker that loads it."""

    def __len__(self):
        return 4

    def __getitem__(self, item):
        data = some_maps(seed=item).requires_grad_()
        values = roipool.roi_pool(data, some_boxes(seed=item), 3)
        values.sum().backward()
        return values.detach(), data.grad


def load(method):
    """Pool here, and then in a worker."""
    roipool.set_num_threads(2)
    expected = [Pooled()[item] for item in range(4)]
    loader = torch.utils.data.DataLoader(
        Pooled(), batch_size=None, num_workers=1, multiprocessing_context=method
    )
    for actual, wanted in zip(loader, expected, strict=True):
        assert all(map(torch.equal, actual, wanted))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_data_loader(method):
    """In a process whose autograd has started no threads: PyTorch forks no other."""
    if method not in torch.multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    program = f"import test_torch_processes as here; here.load({method!r})"
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parent, check=True)


def test_threads_at_once():
    dataset = Pooled()
    expected = [dataset[item] for item in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(dataset.__getitem__, [*range(4)] * 25))
    for i, actual in enumerate(results):
        assert all(map(torch.equal, actual, expected[i % 4]))


@pytest.mark.skipif(allocated() is None, reason="glibc tells what is allocated")
def test_many_calls_leave_nothing():
    data, rois = some_maps((1, 8, 16, 16)).requires_grad_(), some_boxes(1, 16, 16)

    def growth(calls):
        before = allocated()
        for _ in range(calls):
            values = roipool.roi_pool(data, rois, 7)
            torch.autograd.grad(values.sum(), data)
        del values
        gc.collect()
        return [after - was for after, was in zip(allocated(), before, strict=True)]

    # What a call leaves shows each time; what a thread of an earlier test does, now and then.
    of_bytes, of_objects = zip(*[growth(500) for _ in range(4)], strict=True)
    assert min(of_bytes) < 500 * 10
    assert min(of_objects) < 500 / 10


DISTRIBUTED = """if True:
    import os, sys, torch
    import torch.distributed as dist
    from roipool.nn import RoIPool

    rank, folder = int(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    images, rois, weight = torch.load(folder + "/case.pt")
    convolution = torch.nn.Conv2d(*weight.shape[1::-1], 3, bias=False)
    convolution.weight.data.copy_(weight)
    model = torch.nn.ModuleDict({"layer": convolution, "pool": RoIPool(3)})
    model.forward = lambda x, r: model["pool"](model["layer"](x), r)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    parallel(images[rank : rank + 1], rois).pow(2).sum().backward()
    torch.save(convolution.weight.grad, f"{folder}/grad{rank}.pt")
    dist.destroy_process_group()
    os._exit(0)  # threads of PyTorch were seen to abort when the interpreter ended them
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="no torch.distributed here")
def test_distributed_training_has_the_gradients_of_one_process(tmp_path):
    torch.manual_seed(0)
    images, rois = some_maps((2, 3, 12, 12)), some_boxes(1, 10, 10)
    weight = torch.randn(4, 3, 3, 3, requires_grad=True)
    torch.save((images, rois, weight.detach()), tmp_path / "case.pt")
    command = [sys.executable, "-W", "ignore", "-c", DISTRIBUTED]
    workers = [subprocess.Popen([*command, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    each = torch.cat([rois, rois])
    each[len(rois) :, 0] += each[len(rois) :, 0] >= 0  # the second image's; padding stays padding
    values = roipool.roi_pool(torch.nn.functional.conv2d(images, weight), each, 3)
    (values.pow(2).sum() / 2).backward()
    for rank in range(2):
        grad = torch.load(tmp_path / f"grad{rank}.pt")
        torch.testing.assert_close(grad, weight.grad, rtol=1e-5, atol=1e-5)
