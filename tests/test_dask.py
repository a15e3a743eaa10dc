"""Dask arrays: the bits of NumPy arrays in any chunks, known and lazy rows, on every scheduler."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

dask = pytest.importorskip("dask", reason="Dask is not installed")
da = pytest.importorskip("dask.array", reason="Dask's arrays need dask[array]")

from dask.callbacks import Callback

import roipool
from cases import (
    DTYPES,
    NAMES,
    assert_same_bits,
    inf,
    layouts,
    nan,
    normal_maps,
    odd_maps,
    random_boxes,
)
from dask_arrays import CHUNKS, SHAPE, forms, maps_and_rows, parts, sizes, some_grad


def assert_as_numpy(data, chunks, rows, pooled_size=(3, 4), scale=1.0, chunk_size="1kB"):
    """Values with and without argmax, and argmax, as of the undivided array."""
    expected = roipool.roi_pool(data, rows, pooled_size, scale, return_argmax=True)
    lazy = da.from_array(data, chunks=chunks)
    for rois in forms(rows):
        with dask.config.set({"array.chunk-size": chunk_size}):
            pair = roipool.roi_pool(lazy, rois, pooled_size, scale, return_argmax=True)
            alone = roipool.roi_pool(lazy, rois, pooled_size, scale)
        for array, wanted in [*zip(pair, expected, strict=True), (alone, expected[0])]:
            assert array.shape == wanted.shape
            assert array.dtype == wanted.dtype
            assert_same_bits(array.compute(scheduler="sync"), wanted)


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
def test_chunkings(chunks):
    data, rows = maps_and_rows()
    assert_as_numpy(data, chunks, rows)


@pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)
@pytest.mark.parametrize("name", ["by image", "odd tiles"])
def test_dtypes(dtype, name):
    data, rows = maps_and_rows(1, dtype)
    assert_as_numpy(data, CHUNKS[name], rows)


def test_coordinates_in_double():
    data, rows = maps_and_rows(2, np.float64)
    rows = rows.astype(np.float64)
    rows[:, 1:] /= 0.7
    assert_as_numpy(data, CHUNKS["odd tiles"], rows, scale=0.7)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_chunks(draw):
    shape = tuple(draw.draw(st.integers(0, most)) for most in (3, 3, 9, 9))
    rng = np.random.default_rng(draw.draw(st.integers(0, 2**32 - 1)))
    chunks = tuple(draw.draw(parts(side)) for side in shape)
    count = draw.draw(st.integers(0, 12)) if shape[0] else 0
    rows = random_boxes(rng, count, *(shape[axis] for axis in (0, 2, 3)))
    size = tuple(draw.draw(st.integers(1, 4)) for _ in range(2))
    assert_as_numpy(odd_maps(rng, shape), chunks, rows, size, chunk_size=draw.draw(sizes))


def test_the_first_of_equal_values_wins_whichever_tile_it_is_in():
    for data in (np.ones((1, 1, 6, 6)), np.zeros((1, 1, 6, 6)), np.full((1, 1, 6, 6), -inf)):
        data[0, 0, 3:] = -data[0, 0, 3:] if data[0, 0, 0, 0] == 0 else data[0, 0, 3:]
        data[0, 0, 0, :4] = -5 if data[0, 0, 0, 0] == 1 else nan
        assert_as_numpy(data, (1, 1, 2, 3), np.array([[0, 0, 0, 5, 5], [0, 3, 1, 4, 4.0]]), (1, 1))


def test_nan_wins_only_where_there_is_nothing_else():
    data = np.full((1, 1, 4, 4), nan, np.float32)
    rows = np.array([[0, 0, 0, 3, 3]], np.float32)
    assert_as_numpy(data, (1, 1, 2, 2), rows, (1, 1))
    data[0, 0, 3, 3] = -inf
    assert_as_numpy(data, (1, 1, 2, 2), rows, (1, 1))
    assert roipool.roi_pool(da.from_array(data, chunks=2), rows, 1).compute().item() == -inf


@pytest.mark.parametrize("layout", layouts(np.zeros((1, 1, 1, 1), np.float32)))
def test_layouts_of_chunks(layout):
    data, rows = maps_and_rows(3)
    lazy = da.from_array(data, chunks=SHAPE).map_blocks(
        lambda block: layouts(block)[layout] if block.size else block, dtype=data.dtype
    )
    expected = roipool.roi_pool(layouts(data)[layout], rows, 3)
    assert_same_bits(roipool.roi_pool(lazy, rows, 3).compute(), expected)


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i2"])
def test_swapped_bytes(dtype):
    data, rows = maps_and_rows(8, np.dtype(dtype).newbyteorder("="))
    rows = rows.astype(">f8")
    assert_as_numpy(data.astype(dtype), CHUNKS["odd tiles"], rows)
    if np.dtype(dtype).kind == "f":
        grad, argmax, _ = some_grad(8, data.dtype)
        lazy = da.from_array(grad.astype(dtype), chunks=(9, 5, 3, 4))
        back = roipool.roi_pool_backward(lazy, da.from_array(argmax.astype(">i8")), rows, SHAPE)
        assert back.dtype == grad.dtype
        assert_same_bits(back.compute(), roipool.roi_pool_backward(grad, argmax, rows, SHAPE))


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
def test_sides_of_nothing(shape):
    rows = np.array([[-1, 0, 0, 3, 3], [shape[0] - 1, 0, 0, 1, 1]], np.float32)
    assert_as_numpy(np.ones(shape, np.float32), (1, 2, 2, 2), rows)


def test_no_regions():
    for rois in ([], np.zeros((0, 5)), [[], [], []], da.zeros((0, 5), chunks=3)):
        pooled = roipool.roi_pool(da.zeros(SHAPE, chunks=2), rois, (2, 3))
        assert pooled.compute().shape == pooled.shape == (0, 5, 2, 3)


def test_boxes_per_image():
    data, rows = maps_and_rows(4)
    per_image = [rows[rows[:, 0] == n, 1:].tolist() for n in range(3)]
    pooled = roipool.roi_pool(da.from_array(data, chunks=CHUNKS["bands"]), per_image, 3)
    assert_same_bits(pooled.compute(), roipool.roi_pool(data, per_image, 3))


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
@pytest.mark.filterwarnings("ignore:.*fork.* may lead to deadlocks:DeprecationWarning")
def test_schedulers(scheduler):
    rng = np.random.default_rng(5)
    data = odd_maps(rng, (2, 24, 60, 50))
    rows = random_boxes(rng, 400, 2, 60, 50)
    expected = roipool.roi_pool(data, rows, 7, return_argmax=True)
    grad = normal_maps(rng, expected[0].shape)
    lazy = da.from_array(data, chunks=(1, 9, 23, 17))
    for rois in forms(rows, 90):
        with dask.config.set({"array.chunk-size": "500kB"}):
            values, argmax = roipool.roi_pool(lazy, rois, 7, return_argmax=True)
            back = roipool.roi_pool_backward(
                da.from_array(grad, chunks=(70, 9, 7, 7)), argmax, rois, data.shape
            )
        actual = dask.compute(values, argmax, back, scheduler=scheduler, num_workers=3)
        backward = roipool.roi_pool_backward(grad, expected[1], rows, data.shape)
        for array, wanted in zip(actual, (*expected, backward), strict=True):
            assert_same_bits(array, wanted)


class Given(Callback):
    """What every task has given, and how it was then."""

    def __init__(self):
        self.arrays = []

    def _posttask(self, key, result, dsk, state, worker):
        results = result if isinstance(result, tuple) else (result,)
        self.arrays += [(a, a.copy()) for a in results if isinstance(a, np.ndarray)]


def test_tasks_leave_their_inputs_as_they_are():
    data, rows = maps_and_rows(7)
    expected = roipool.roi_pool(data, rows, 3, return_argmax=True)
    grad = np.ones_like(expected[0])
    lazy, lazy_grad = da.from_array(data, chunks=4), da.from_array(grad, chunks=5)
    with Given() as given, dask.config.set({"array.chunk-size": "300B"}):
        pair = roipool.roi_pool(lazy, rows, 3, return_argmax=True)
        back = roipool.roi_pool_backward(lazy_grad, pair[1], rows, data.shape)
        actual = dask.compute(*pair, back, scheduler="sync", optimize_graph=False)
    for array, then in given.arrays:
        assert_same_bits(array, then)
    for array, wanted in zip(actual, expected, strict=False):
        assert_same_bits(array, wanted)
    assert_same_bits(actual[2], roipool.roi_pool_backward(grad, expected[1], rows, data.shape))
