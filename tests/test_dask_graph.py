"""What Dask is told: nothing computed at the call, chunks known, few tasks, little in memory."""

import numpy as np
import pytest

dask = pytest.importorskip("dask", reason="Dask is not installed")
da = pytest.importorskip("dask.array", reason="Dask's arrays need dask[array]")

from dask.callbacks import Callback

import roipool
from cases import random_boxes

DATA = da.zeros((2, 3, 8, 8), dtype=np.float32, chunks=(1, 3, 4, 8))


def tiles_of(side, tiles):
    """A plane in square tiles, each of which is told when it is read."""
    read = set()

    def tile(block_info=None):
        read.add(block_info[None]["chunk-location"][2:])
        return np.ones((1, 1, side, side), np.float32)

    chunks = ((1,), (1,), (side,) * tiles, (side,) * tiles)
    meta = np.empty((0, 0, 0, 0), np.float32)
    return da.map_blocks(tile, chunks=chunks, dtype=np.float32, meta=meta), read


def refuse_to_compute(*args, **kwargs):
    raise AssertionError("computed at the call")


def test_nothing_is_computed_at_the_call():
    data, read = tiles_of(8, 4)
    lazy_rows = da.from_array(np.zeros((6, 5), np.float32), chunks=2)
    with dask.config.set(scheduler=refuse_to_compute):
        for rois in (np.zeros((6, 5)), lazy_rows):
            values, argmax = roipool.roi_pool(data, rois, (2, 3), return_argmax=True)
            grad = roipool.roi_pool_backward(values, argmax, rois, data.shape)
            for array in (values, argmax):
                assert array.shape == (6, 1, 2, 3)
                assert array.chunks == (values.chunks[0], (1,), (2,), (3,))
            assert grad.shape == data.shape
        with pytest.raises(AssertionError, match="computed at the call"):
            values.compute()
    assert values.chunks[0] == lazy_rows.chunks[0]
    assert not read


@pytest.mark.parametrize(("size", "count"), [("128MiB", 1), ("2000B", 5), ("1B", 1000)])
def test_blocks_of_regions_fill_a_chunk(size, count):
    rois = np.zeros((1000, 5), np.float32)
    with dask.config.set({"array.chunk-size": size}):
        pooled = roipool.roi_pool(DATA.rechunk((1, 1, 8, 8)), rois, 1)
    assert pooled.chunks[1] == (1, 1, 1)
    blocks = pooled.chunks[0]
    assert sum(blocks) == 1000
    assert max(blocks) <= max(1, dask.utils.parse_bytes(size) // 16)  # more is held in edges
    assert len(blocks) >= count


def test_only_tiles_that_a_region_touches_are_read():
    data, read = tiles_of(8, 100)
    rois = [[0, 3, 3, 5, 5], [0, 70, 401, 90, 401], [-1, 0, 0, 799, 799], [0, 900, 0, 950, 9]]
    values = roipool.roi_pool(data, rois, 2).compute()
    assert read == {(0, 0), (50, 8), (50, 9), (50, 10), (50, 11)}
    assert values[:, 0].any(axis=(1, 2)).tolist() == [True, True, False, False]


def test_positions_beyond_32_bits():
    side = 2**16
    data = da.zeros((1, 1, side, side), dtype=np.int8, chunks=(1, 1, 1024, 1024))
    rois = np.array([[0, side - 1030, side - 1027, side - 1, side - 1]], np.float32)
    _, argmax = roipool.roi_pool(data, rois, 1, return_argmax=True)
    assert argmax.dtype == np.int64
    assert argmax.compute().item() == (side - 1027) * side + side - 1030
    grad = da.ones((1, 1, 1, 1), dtype=np.float32)
    back = roipool.roi_pool_backward(grad, argmax, rois, data.shape)
    assert back[0, 0, side - 1027, side - 1030 :].compute().tolist() == [1] + [0] * 1029


def test_the_graph_does_not_grow_with_the_regions():
    rng = np.random.default_rng(0)
    data, _ = tiles_of(100, 20)
    rows = random_boxes(rng, 40_000, 1, 2000, 2000)
    for size, blocks in (("128MiB", 1), ("200kB", 40)):
        with dask.config.set({"array.chunk-size": size}):
            lazy = roipool.roi_pool(data, rows, 1)
        # A chunk's own task and the look at it; its part of each block, with what combines four to
        # one; a few.
        assert lazy.numblocks[0] <= blocks
        assert len(lazy.dask) <= 2 * 400 + blocks * (400 * 4 / 3 + 20) + 20
        # Nor does a task take many parts; what only waits is given nothing.
        layer = lazy.dask.layers[lazy.name]
        heavy = [task for key, task in layer.items() if not key[0].startswith("all-done")]
        assert max(len(task.dependencies) for task in heavy) <= 4
    small = random_boxes(rng, 40_000, 1, 2000, 2000)
    small[:, 3:] = small[:, 1:3] = small[:, 1:3] % 100  # within one tile
    assert len(roipool.roi_pool(data, small, 1).dask) <= 2 * 400 + 10


def test_the_same_call_has_the_same_keys():
    rois = np.zeros((4, 5), np.float32)
    name = roipool.roi_pool(DATA, rois, 2).name
    assert roipool.roi_pool(DATA, rois.copy(), 2).name == name
    with dask.config.set({"array.chunk-size": "48B"}):
        others = [roipool.roi_pool(DATA, rois, 2).name]
    others += [roipool.roi_pool(DATA, rois + 1, 2).name, roipool.roi_pool(DATA + 1, rois, 2).name]
    others += [roipool.roi_pool(DATA, rois, 3).name, roipool.roi_pool(DATA, rois, 2, 0.5).name]
    assert len({name, *others}) == 6


class Alive(Callback):
    """The most results of some kinds of tasks in memory at once."""

    def __init__(self, *kinds):
        self.kinds, self.most = kinds, 0

    def _posttask(self, key, result, dsk, state, worker):
        names = [key[0] if isinstance(key, tuple) else key for key in state["cache"]]
        self.most = max(self.most, sum(name.startswith(self.kinds) for name in names))


def most_alive(array, *kinds):
    """While an array is computed whose chunks are then forgotten."""
    with Alive(*kinds) as alive:
        array.map_blocks(lambda block: block.sum(keepdims=True)).compute(scheduler="sync")
    return alive.most


@pytest.mark.parametrize("lazy", [False, True])
def test_the_larger_of_features_and_result_streams(lazy):
    rows = random_boxes(np.random.default_rng(1), 200, 1, 400, 400)
    rois = da.from_array(rows, chunks=(50, 5)) if lazy else rows
    data = da.random.default_rng(0).random((1, 1, 400, 400), chunks=(1, 1, 40, 40))
    with dask.config.set({"array.chunk-size": 50 * 8 * 9}):
        assert 1 <= most_alive(roipool.roi_pool(data, rois, (3, 3)), "random") <= 2
        assert 1 <= most_alive(roipool.roi_pool(data, rois, (90, 30)), "roi-pool") <= 2


STREAMS = [  # a band, or a block and its parts for 20 bands
    ((3, 3), ("add", "roi-pool-"), 2),
    ((45, 30), ("random", "part"), 1 + 20),
]


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(("size", "streams", "most"), STREAMS)
def test_the_larger_of_gradient_and_addends_streams(lazy, size, streams, most):
    rows = random_boxes(np.random.default_rng(2), 500, 1, 400, 400)
    rois = da.from_array(rows, chunks=(50, 5)) if lazy else rows
    grad = da.random.default_rng(0).random((500, 1, *size), chunks=(50, 1, *size))
    argmax = np.random.default_rng(3).integers(0, 400 * 400, grad.shape)
    with dask.config.set({"array.chunk-size": 400 * 20 * 8}):
        back = roipool.roi_pool_backward(grad, argmax, rois, (1, 1, 400, 400))
    assert back.numblocks == (1, 1, 20, 1)
    assert 1 <= most_alive(back, *streams) <= most
