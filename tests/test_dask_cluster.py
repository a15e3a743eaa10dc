"""A cluster of two processes: 100,000 regions, the bits of one, and no worker gathers the map."""

import math
from pathlib import Path

import numpy as np
import pytest

dask = pytest.importorskip("dask", reason="Dask is not installed")
da = pytest.importorskip("dask.array", reason="Dask's arrays need dask[array]")
distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")

import roipool
from cases import assert_same_bits, random_boxes
from process_memory import forget_most_resident, most_resident

SHAPE = (1, 8, 4096, 4096)
TILE = (1, 8, 512, 512)
REGIONS = 100_000
BLOCK = 2 << 20  # bytes of the result
RESULT = REGIONS * 8 * 2 * 1 * (4 + 4)  # bytes of values and positions

# Tiles that come, are packed, are pooled and have not yet been returned to the system; the parts of
# the result and the result, were one worker to hold all of them; what an interpreter takes anyway.
MOST = 8 * math.prod(TILE) * 4 + 2 * RESULT + (48 << 20)
assert math.prod(SHAPE) * 4 > 3 * MOST


def tile(block_info=None):
    """Whole numbers, so that seams see many ties."""
    place = block_info[None]["chunk-location"]
    return np.random.default_rng(place).integers(0, 256, TILE, np.uint8).astype(np.float32)


def lazy_maps():
    chunks = tuple((side,) * (whole // side) for side, whole in zip(TILE, SHAPE, strict=True))
    return da.map_blocks(tile, chunks=chunks, dtype=np.float32, meta=np.empty((0,) * 4, np.float32))


def whole_maps():
    data = np.empty(SHAPE, np.float32)
    for y, x in np.ndindex(SHAPE[2] // TILE[2], SHAPE[3] // TILE[3]):
        block = tile({None: {"chunk-location": (0, 0, y, x)}})
        data[:, :, y * 512 : y * 512 + 512, x * 512 : x * 512 + 512] = block
    return data


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc")
def test_two_workers_have_the_bits_of_one_process_in_little_memory():
    rng = np.random.default_rng(0)
    rows = random_boxes(rng, REGIONS, 1, *SHAPE[2:])
    size = rows[:, 3:] - rows[:, 1:3]
    rows[:, 3:] = rows[:, 1:3] + np.where(rng.random((REGIONS, 1)) < 0.999, size % 60, size)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        for rois in (rows, da.from_array(rows, chunks=(REGIONS // 4, 5))):
            with dask.config.set({"array.chunk-size": BLOCK}):
                lazy = roipool.roi_pool(lazy_maps(), rois, (2, 1), return_argmax=True)
            few = roipool.roi_pool(lazy_maps(), rows[:10], 2)
            few.compute()
            before = client.run(forget_most_resident)
            actual = dask.compute(*lazy)
            after = client.run(most_resident)
            assert max(after[worker] - before[worker] for worker in before) < MOST
    expected = roipool.roi_pool(whole_maps(), rows, (2, 1), return_argmax=True)
    for array, wanted in zip(actual, expected, strict=True):
        assert_same_bits(array, wanted)
