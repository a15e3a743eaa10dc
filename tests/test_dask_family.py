"""Dask: operators that fill empty bins, or that need whole planes."""

import re
from functools import partial

import numpy as np
import pytest

cloudpickle = pytest.importorskip("cloudpickle", reason="Dask is not installed")
dask = pytest.importorskip("dask", reason="Dask is not installed")
da = pytest.importorskip("dask.array", reason="Dask's arrays need dask[array]")

import roipool
from cases import FLOATS, NAMES, assert_same_bits, inf, nan, normal_maps
from dask_arrays import forms
from dask_family import (
    ALIGNED,
    CHUNKS,
    ONE_EACH,
    OTHERS,
    SHAPE,
    SIZE,
    assert_as_numpy,
    computed,
    results,
)
from defined import assert_close
from roipool.descriptions import OPERATORS
from test_dask import Given
from test_dask_graph import most_alive, refuse_to_compute

WHOLE = [member for member in ONE_EACH if not member.operator.divides]
one_each = pytest.mark.parametrize("member", ONE_EACH, ids=str)
whole = pytest.mark.parametrize("member", WHOLE, ids=str)


@one_each
@pytest.mark.parametrize("name", CHUNKS)
def test_chunkings(member, name):
    rng = np.random.default_rng(0)
    assert_as_numpy(member, normal_maps(rng, SHAPE), CHUNKS[name], member.rows(rng))


@pytest.mark.parametrize("member", OTHERS, ids=str)
def test_options(member):
    rng = np.random.default_rng(0)
    assert_as_numpy(member, normal_maps(rng, SHAPE), CHUNKS["tiles"], member.rows(rng))


@one_each
@pytest.mark.parametrize("dtype", [t for t in FLOATS if t != np.float32], ids=np.dtype)
def test_dtypes(member, dtype):
    rng = np.random.default_rng(1)
    rows = member.rows(rng, np.float64 if dtype == np.float64 else np.float32)
    assert_as_numpy(member, normal_maps(rng, SHAPE, dtype), CHUNKS["tiles"], rows)


def test_which_operators_divide():
    undivided = {name for name, operator in OPERATORS.items() if not operator.divides}
    assert undivided == {
        "ps_roi_pool",
        "ps_roi_align",
        "roi_align_max",
        "roi_align_onnx_max",
        "roi_align_rotated",
    }


@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
def test_a_bin_is_filled_that_no_tile_knows(dtype):
    """Each tile alone would fill nearly all bins, and rounds to their type but once."""
    data = da.ones((1, 1, 3, 3), dtype=dtype, chunks=(1, 1, 2, 1))
    rows = np.array([[0, 0, 0, 1, 1], [0, 0, 0.5, 1, 1.5], [0, -3, -3, -2, -2], [-1, 0, 0, 1, 1]])
    expected = np.ones((4, 1, 3, 3))
    expected[1, :, :, 2] = expected[2] = 1 / 3
    expected[3] = 0
    for boxes in forms(rows, 3):
        filled = roipool.crop_and_resize(data, boxes, 3, extrapolation_value=1 / 3)
        assert_same_bits(filled.compute(scheduler="sync"), expected.astype(dtype))


@one_each
def test_threads_and_a_copied_graph_have_the_same_bits(member):
    rng = np.random.default_rng(2)
    data, rows = normal_maps(rng, SHAPE), member.rows(rng)
    expected, lazy = results(member, data, rows), da.from_array(data, chunks=CHUNKS["tiles"])
    rois, grad = da.from_array(rows, chunks=(4, 5)), da.from_array(expected.grad, chunks=5)
    lazily = [
        member.pool(lazy, rois),
        member.backward(grad, rows, expected.saved),
        *(
            [member.backward_rois(grad, lazy, rois, expected.saved)]
            if member.operator.moves
            else []
        ),
    ]
    here = dask.compute(*lazily, scheduler="sync")
    moved = cloudpickle.loads(cloudpickle.dumps(lazily))
    for array, wanted in zip(
        dask.compute(*moved, scheduler="threads", num_workers=3), here, strict=True
    ):
        assert_same_bits(array, wanted)


@one_each
def test_tasks_leave_their_inputs_as_they_are(member):
    rng = np.random.default_rng(3)
    data, rows = normal_maps(rng, SHAPE), member.rows(rng)
    expected, lazy = results(member, data, rows), da.from_array(data, chunks=CHUNKS["images"])
    grad = da.from_array(expected.grad, chunks=6)
    lazily = [member.pool(lazy, rows), member.backward(grad, rows, expected.saved)]
    if member.operator.moves:
        lazily.append(member.backward_rois(grad, lazy, rows, expected.saved))
    with Given() as seen:
        dask.compute(*lazily, scheduler="sync", optimize_graph=False)
    assert seen.arrays
    for array, then in seen.arrays:
        assert_same_bits(array, then)


@one_each
def test_nothing_is_computed_at_the_call_and_keys_tell_calls_apart(member):
    rows = member.rows(np.random.default_rng(4))
    data, read = counted_maps()
    for rois in forms(rows):
        with dask.config.set(scheduler=refuse_to_compute):
            values = member.pool(data, rois)
            saved = dict.fromkeys(member.operator.saved, values.astype(np.int32))
            of_data = member.backward(values, rois, saved)
            lazily = [values, of_data]
            if member.operator.moves:
                lazily.append(member.backward_rois(values, data, rois, saved))
        again = member.pool(data, rois), member.backward(values, rois, saved)
        assert [array.name for array in again] == [values.name, of_data.name]
        assert member.pool(data + 1, rois).name != values.name
        assert member.pool(data, rois[::-1]).name != values.name
        assert of_data.shape == SHAPE
        assert all(not np.isnan(array.shape).any() for array in lazily)
    assert not read


def counted_maps():
    """Ones, by image and by rows, and the images that are read."""
    read = set()

    def ones(block_info=None):
        read.add(block_info[None]["chunk-location"][0])
        return np.ones(block_info[None]["chunk-shape"], np.float32)

    chunks = (1,) * SHAPE[0], SHAPE[1:2], (5, 4), SHAPE[3:]
    meta = np.empty((0,) * 4, np.float32)
    return da.map_blocks(ones, chunks=chunks, dtype=np.float32, meta=meta), read


@whole
def test_only_images_of_regions_are_read(member):
    rows = member.rows(np.random.default_rng(5))
    rows[rows[:, 0] == 1, 0] = 2
    data, read = counted_maps()
    values = member.pool(data, rows).compute(scheduler="sync")
    assert read == {0, 2}
    assert_same_bits(member.pool(data, da.from_array(rows, chunks=4)).compute(), values)
    assert read == {0, 1, 2}


@whole
@pytest.mark.parametrize("lazy", [False, True])
def test_the_features_stream(member, lazy):
    rng = np.random.default_rng(6)
    rows = np.concatenate([member.rows(rng)] * 4)
    rows[:, 0] = np.arange(len(rows)) % 12
    data = da.random.default_rng(0).random((12, 6, 40, 30), chunks=(1, 6, 40, 30))
    rois = da.from_array(rows, chunks=(10, 5)) if lazy else rows
    with dask.config.set({"array.chunk-size": "2kB"}):
        pooled = member.pool(data, rois)
    assert pooled.numblocks[0] > 4
    assert 1 <= most_alive(pooled, "random") <= 2


def test_channels_are_divided_between_those_of_the_result():
    rows = ALIGNED.rows(np.random.default_rng(7))
    for sizes, wanted in [((12,), (2,)), ((5, 5, 2), (1, 1)), ((1,) * 12, (1, 1)), ((7, 5), (2,))]:
        data = da.zeros(SHAPE, chunks=((3,), sizes, (9,), (8,)))
        assert ALIGNED.pool(data, rows).chunks[1] == wanted
    message = r"data has 12 channels; ps_roi_align reads 5 x 1 .* a multiple of 5"
    for array in (data, data.compute()):
        with pytest.raises(ValueError, match=message):
            roipool.ps_roi_align(array, rows, (5, 1))
    grad = da.zeros((len(rows), 2, 5, 1), chunks=9)
    with pytest.raises(ValueError, match=message):
        roipool.ps_roi_align_backward(grad, rows, SHAPE)
    with pytest.raises(ValueError, match=message):
        roipool.ps_roi_align_backward_rois(grad, data, rows)


@one_each
@pytest.mark.parametrize("dtype", [np.int64, np.float16, ">f4"], ids=str)
def test_rows_of_other_types(member, dtype):
    rng = np.random.default_rng(8)
    data, rows = normal_maps(rng, SHAPE), member.rows(rng)
    rows = np.where(np.isfinite(rows), rows, 0).astype(dtype)
    expected = member.pool(data, rows)
    for rois in forms(rows):
        values = member.pool(da.from_array(data, chunks=(1, 12, 9, 8)), rois)
        assert_same_bits(computed(values, expected), expected)


def test_an_image_that_half_precision_cannot_count_from_the_first_of_its_chunk():
    data = np.arange(2052, dtype=np.float32).reshape(-1, 1, 1, 1).repeat(4, 1)
    rows = np.array([[2050, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.float16)
    lazy = da.from_array(data, chunks=((1, 2051), 4, 1, 1))
    pooled = roipool.ps_roi_pool(lazy, rows, 2).compute()
    assert_same_bits(pooled[:, 0, 0, 0], np.array([2050, 0], np.float32))


@one_each
def test_boxes_per_image(member):
    rng = np.random.default_rng(10)
    data, rows = normal_maps(rng, SHAPE), member.rows(rng)
    per_image = [rows[rows[:, 0] == n, 1:].tolist() for n in range(SHAPE[0])]
    expected = member.pool(data, per_image)
    values = member.pool(da.from_array(data, chunks=CHUNKS["images"]), per_image)
    assert_close(computed(values, expected), expected)


@one_each
@pytest.mark.parametrize("shape", [(0, 6, 4, 5), (2, 0, 4, 5), (2, 6, 0, 5), (2, 6, 4, 0)])
def test_sides_of_nothing(member, shape):
    rows = np.zeros((3, member.operator.rows.width), np.float32)
    rows[:, 0] = -1, shape[0] - 1, -1
    for some in (rows, rows[:0]):
        assert_as_numpy(member, np.ones(shape, np.float32), (1, 4, 2, 2), some)


WRONG = [
    ((2,), IndexError, r"{rows}\[{k}\] has batch index 2, but data holds 2 images \(0 to 1\); use"),
    ((0.5,), ValueError, r"{rows}\[{k}\] has batch index 0.5, which is no whole number"),
    ((1, nan), ValueError, r"{rows}\[{k}, 1\] \({first}\) is nan; expected a finite"),
    ((1, 0, -inf), ValueError, r"{rows}\[{k}, 2\] .* is -inf; expected a finite"),
]


@pytest.mark.parametrize(("values", "error", "message"), WRONG, ids=[w[2][:50] for w in WRONG])
@one_each
def test_wrong_rows(member, values, error, message):
    """Of known rows at the call, of others when the result is computed; each by its own place."""
    kind, k = member.operator.rows, 7
    rows = np.ones((9, kind.width))
    rows[::2, 0] = -1
    rows[k, : len(values)] = values
    data = da.ones((2, 6, 8, 8), dtype=np.float32, chunks=(1, 6, 4, 8))
    grad = da.ones((9, 6 // (6 if member.operator.position_sensitive else 1), *SIZE), chunks=3)
    grad = grad.astype(np.float32)
    saved = dict.fromkeys(member.operator.saved, np.full(grad.shape, -1, np.int32))
    calls = [partial(member.pool, data), partial(member.backward, grad, saved=saved)]
    calls[1].keywords["shape"] = data.shape
    if member.operator.moves:
        calls.append(partial(member.backward_rois, grad, data, saved=saved))
    message = "^" + message.format(rows=kind.name, k=k, first=re.escape(kind.columns[0]))
    for call in calls:
        with pytest.raises(error, match=message):
            call(rows=rows)
        lazy = call(rows=da.from_array(rows, chunks=4))
        with pytest.raises(error, match=message):
            lazy.compute(scheduler="sync")
