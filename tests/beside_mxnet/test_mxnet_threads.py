"""MXNet's engine and threads, our threads, and the caller's: together, in children, at the end."""

import os
import subprocess
import sys
import threading

import mxnet as mx
import numpy as np
import pytest

import roipool
from cases import assert_same_bits
from mxnet_arrays import SCALE, array, expected, maps, regions

DATA, ROIS = mx.sym.Variable("data"), mx.sym.Variable("rois")


def imperative(x, rois):
    x.attach_grad()
    with mx.autograd.record():
        out = roipool.roi_pool(mx.nd.relu(x) - mx.nd.relu(-x), rois, (3, 2), SCALE)
        (out * 2).sum().backward()
    return out, x.grad


def symbolic(executor):
    executor.forward(is_train=True)
    executor.backward([mx.nd.full(executor.outputs[0].shape, 2)])
    return executor.outputs[0], executor.grad_dict["data"]


def every_way(times=10):
    """Whether many calls, waited for late, all give what the NumPy door gives."""
    data, rois = maps((2, 24, 13, 11)), regions()
    grad = np.full((len(rois), 24, 3, 2), 2, np.float32)
    values, _, grad_data = expected(data, rois, grad=grad)
    x, r = array(data), array(rois)
    pooled = roipool.roi_pool(DATA, ROIS, (3, 2), SCALE)
    executor = pooled.bind(mx.cpu(), {"data": x, "rois": r}, {"data": mx.nd.empty(x.shape)})
    for _ in range(times):
        results = [*imperative(array(data), r), *symbolic(executor)]
        for result, wanted in zip(results, [values, grad_data] * 2, strict=True):
            assert_same_bits(result.asnumpy(), wanted)


@pytest.mark.parametrize("count", [1, 4, 24])
def test_many_threads(count):
    done = []

    def run():
        every_way()
        done.append(True)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(done) == count


@pytest.mark.parametrize("engine", ["NaiveEngine", "ThreadedEngine"])
def test_other_engines(engine):
    script = "from test_mxnet_threads import every_way; every_way()"
    run(script, MXNET_ENGINE_TYPE=engine)


def test_a_forked_child():
    every_way(1)
    child = os.fork()
    if child == 0:
        try:
            every_way(2)
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_forks_with_work_left_to_do():
    """MXNet alone hangs here: it joins a thread that waits to tell Python of a freed operator."""
    script = """
import os, mxnet as mx, roipool
x = mx.nd.random.normal(shape=(1, 24, 30, 30))
for _ in range(50):
    x.attach_grad()
    with mx.autograd.record():
        out = roipool.roi_pool(x, [[0, 0, 0, 20, 20]] * 5, 7)
    out.backward()
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
"""
    run(script)


class Pooled(mx.gluon.data.Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, i):
        return roipool.roi_pool(mx.nd.full((1, 4, 8, 8), i), [[0, 0, 0, 4, 4]], 2)


def test_the_workers_of_a_data_loader():
    """Whose arrays come in shared memory."""
    batches = list(mx.gluon.data.DataLoader(Pooled(), 3, num_workers=2))
    assert [batch.shape for batch in batches] == [(3, 1, 4, 2, 2)] * 2
    again = roipool.roi_pool(batches[1][:, 0], [[2, 0, 0, 1, 1]], 1)
    assert again.context == batches[1].context
    assert (again.asnumpy() == 5).all()


def test_an_end_with_work_left_to_do():
    script = """
import mxnet as mx, roipool
x = mx.nd.random.normal(shape=(1, 64, 40, 40))
x.attach_grad()
kept = []
for _ in range(20):
    with mx.autograd.record():
        out = roipool.roi_pool(mx.nd.relu(x), [[0, 0, 0, 30, 30]] * 50, 7)
        for _ in range(20):
            out = out * 1.5
    out.backward()
    kept.append(out)
"""
    for _ in range(3):
        run(script)


def test_what_is_no_longer_used_is_freed():
    mx.nd.waitall()
    every_way(3)
    before = len(mx.operator._registry.ref_holder), len(mx.autograd.Function._registry.ref_holder)
    every_way(20)
    mx.nd.waitall()
    after = len(mx.operator._registry.ref_holder), len(mx.autograd.Function._registry.ref_holder)
    assert max(after[0] - before[0], after[1] - before[1]) <= 2


class Net(mx.gluon.HybridBlock):
    """Convolutions on either side, whose arrays MXNet lays out in its own way."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool
        self.below = mx.gluon.nn.Conv2D(8, 3, padding=1, in_channels=5)
        self.above = mx.gluon.nn.Conv2D(16, 3, padding=1, in_channels=8)

    def hybrid_forward(self, F, data, rois):
        pool = F.ROIPooling if self.pool is None else self.pool
        return self.above(pool(self.below(data), rois, (6, 4), 0.5))


@pytest.mark.parametrize(
    "mode", [None, {}, {"static_alloc": True}], ids=["no", "dynamic", "static"]
)
def test_between_convolutions(mode, tmp_path):
    """A custom operator without protection goes wrong in one of ten such steps."""
    ours, theirs = Net(roipool.roi_pool), Net(None)
    theirs.initialize()
    theirs.save_parameters(str(tmp_path / "weights"))
    ours.load_parameters(str(tmp_path / "weights"))
    rois = array(regions()[:9])

    def step(net):
        x = array(maps())
        x.attach_grad()
        with mx.autograd.record():
            out = net(x, rois)
            loss = mx.nd.square(out).sum()
        loss.backward()
        return [a.asnumpy() for a in (out, x.grad, net(x, rois))]

    wanted = step(theirs)
    if mode is not None:
        ours.hybridize(**mode)
    for _ in range(100):
        for mine, its in zip(step(ours), wanted, strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-5)


def run(script, **variables):
    paths = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        timeout=100,
        env=os.environ | {"PYTHONPATH": paths} | variables,
    )
    assert done.returncode == 0, done.stderr
