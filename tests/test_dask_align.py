"""roi_align of Dask arrays: a region across seams is the sum of its tiles' parts."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

dask = pytest.importorskip("dask", reason="Dask is not installed")
da = pytest.importorskip("dask.array", reason="Dask's arrays need dask[array]")

import roipool
from cases import FLOATS, NAMES, assert_same_bits, inf, nan, normal_maps, odd_boxes, random_boxes
from dask_arrays import CHUNKS, SHAPE, forms, parts, sizes
from roipool import geometry, reference
from roipool.descriptions import ENDS, OPERATORS, Operator, described
from roipool.doors import door_of
from roipool.doors.dask import tasks
from test_dask import Given
from test_dask_graph import refuse_to_compute, tiles_of
from test_errors import ROWS, row
from test_roi_align import assert_close

SCALE = 0.7
UNDIVIDED = ["one", "by image", "by channel"]


def maps_and_rows(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    rows = np.concatenate([random_boxes(rng, 20, 3, 13, 11, SCALE), odd_boxes(13, 11)])
    return normal_maps(rng, SHAPE, dtype), rng.permutation(rows)


def computed(array, wanted):
    """What a lazy array gives, which must be as it said."""
    actual = array.compute(scheduler="sync")
    assert array.shape == actual.shape == wanted.shape
    assert array.dtype == actual.dtype == wanted.dtype
    return actual


def assert_as_numpy(data, chunks, rows, ratio, pooled_size=(3, 2), aligned=True, size="1kB"):
    """Values and both gradients, of rows as they are and as Dask arrays; the values."""
    how = {"sampling_ratio": ratio, "aligned": aligned}
    rng = np.random.default_rng(1)
    dtype, lazy = data.dtype, da.from_array(data, chunks=chunks)
    values = roipool.roi_align(data, rows, pooled_size, SCALE, **how)
    grad = normal_maps(rng, values.shape, dtype)
    of_data = roipool.roi_align_backward(grad, rows, data.shape, SCALE, **how)
    with np.errstate(over="ignore"):
        _, of_rois = reference.roi_align_backward(grad, data, rows, SCALE, ratio, aligned)
    lazy_grad = da.from_array(grad, chunks=(9, 2, 1, 3))
    found = []
    for rois in forms(rows):
        with dask.config.set({"array.chunk-size": size}):
            pooled = roipool.roi_align(lazy, rois, pooled_size, SCALE, **how)
            back = roipool.roi_align_backward(lazy_grad, rois, data.shape, SCALE, **how)
            moved = roipool.roi_align_backward_rois(lazy_grad, lazy, rois, SCALE, **how)
        assert_close(computed(pooled, values), values, dtype)
        assert_same_bits(computed(back, of_data), of_data)
        assert_close(computed(moved, of_rois), of_rois, of_rois.dtype)
        found.append((pooled.compute(scheduler="sync"), moved.compute(scheduler="sync")))
    for known, unknown in zip(*found, strict=True):
        assert_same_bits(known, unknown)
    return found[0][0], values


@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("name", CHUNKS)
def test_chunkings(name, aligned, ratio):
    data, rows = maps_and_rows()
    rows = rows[:: 4 if name == "pixels" else 1]
    actual, expected = assert_as_numpy(data, CHUNKS[name], rows, ratio, aligned=aligned)
    if name in UNDIVIDED:
        assert_same_bits(actual, expected)


@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
def test_as_defined(dtype, ratio):
    data, rows = maps_and_rows(1, dtype)
    rows = rows.astype(np.float64 if dtype == np.float64 else np.float32)
    with np.errstate(over="ignore"):
        expected = reference.roi_align(data, rows, (3, 4), SCALE, ratio, True)
    grad = normal_maps(np.random.default_rng(2), expected.shape, dtype)
    with np.errstate(over="ignore"):
        wanted = reference.roi_align_backward(grad, data, rows, SCALE, ratio, True)
    lazy, lazy_grad = da.from_array(data, chunks=CHUNKS["odd tiles"]), da.from_array(grad, chunks=7)
    pooled = roipool.roi_align(lazy, rows, (3, 4), SCALE, sampling_ratio=ratio)
    assert_close(computed(pooled, expected), expected, dtype)
    back = roipool.roi_align_backward(lazy_grad, rows, SHAPE, SCALE, sampling_ratio=ratio)
    assert_close(computed(back, wanted[0]), wanted[0], dtype)
    moved = roipool.roi_align_backward_rois(lazy_grad, lazy, rows, SCALE, sampling_ratio=ratio)
    assert_close(moved.compute(), wanted[1], moved.dtype)


def test_blocks_that_numpy_joins_out_of_order():
    """Of one channel and one bin across NumPy may lay the regions side by side."""
    rng = np.random.default_rng(0)
    rows = random_boxes(rng, 10, 1, 1, 2, SCALE)
    data = normal_maps(rng, (1, 1, 1, 2), np.float64)
    for size in (1, 9):
        rois = da.from_array(rows, chunks=(size, 5))
        grad = da.from_array(rng.standard_normal((10, 1, 2, 1)), chunks=(size, 1, 2, 1))
        wanted = roipool.roi_align_backward(grad.compute(), rows, data.shape, SCALE)
        back = roipool.roi_align_backward(grad, rois, data.shape, SCALE)
        assert_same_bits(computed(back, wanted), wanted)


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_any_chunks(draw):
    shape = tuple(draw.draw(st.integers(0, most)) for most in (3, 3, 7, 7))
    rng = np.random.default_rng(draw.draw(st.integers(0, 2**32 - 1)))
    chunks = tuple(draw.draw(parts(side)) for side in shape)
    count = draw.draw(st.integers(0, 12)) if shape[0] else 0
    rows = random_boxes(rng, count, *(shape[axis] for axis in (0, 2, 3)), SCALE)
    size = tuple(draw.draw(st.integers(1, 4)) for _ in range(2))
    ratio, data = draw.draw(st.integers(0, 3)), normal_maps(rng, shape, np.float64)
    assert_as_numpy(data, chunks, rows, ratio, size, draw.draw(st.booleans()), draw.draw(sizes))


@pytest.mark.parametrize("dtype", FLOATS[:2], ids=NAMES[:2])
def test_half_types_are_rounded_once(dtype):
    data, rows = maps_and_rows(3, dtype)
    lazy = da.from_array(data, chunks=CHUNKS["pixels"])
    actual = roipool.roi_align(lazy, rows, 3, SCALE).compute(scheduler="sync")
    wide = roipool.roi_align(lazy.astype(np.float32), rows, 3, SCALE).compute(scheduler="sync")
    assert_same_bits(actual, wide.astype(dtype))
    assert_as_numpy(data, CHUNKS["bands"], rows, 2)


def test_sums_depend_on_no_other_region():
    """Nor on the blocks that regions are in, nor on which rows are known."""
    data, rows = maps_and_rows(4)
    lazy = da.from_array(data, chunks=(1, 5, 2, 1))
    expected = roipool.roi_align(lazy, rows, 2, SCALE).compute(scheduler="sync")
    for k in range(len(rows)):
        alone = roipool.roi_align(lazy, rows[k : k + 1], 2, SCALE).compute(scheduler="sync")
        assert_same_bits(alone[0], expected[k])
    with dask.config.set({"array.chunk-size": "1B"}):
        each = roipool.roi_align(lazy, rows, 2, SCALE)
    assert len(each.chunks[0]) == len(rows)
    assert_same_bits(each.compute(num_workers=3), expected)


@pytest.mark.parametrize("ratio", [0, 1, 2])
def test_what_has_no_weight_is_not_read(ratio):
    """Of whole-pixel samples the pixel beside: NaN and infinities stand where NumPy has them."""
    rng = np.random.default_rng(5)
    data = normal_maps(rng, (1, 2, 8, 8))
    data[rng.random(data.shape) < 0.2] = nan
    data[rng.random(data.shape) < 0.1] = inf
    corners = rng.integers(0, 6, (20, 2))
    rows = np.concatenate([np.zeros((20, 1)), corners, corners + rng.integers(1, 5, (20, 2))], 1)
    for half in (0, 0.5):
        rows[:, 1:] += half
        expected = roipool.roi_align(data, rows, 2, sampling_ratio=ratio)
        assert np.isnan(expected).any()
        assert np.isfinite(expected).any()
        for chunks in ((1, 2, 1, 1), (1, 1, 3, 5)):
            lazy = da.from_array(data, chunks=chunks)
            actual = roipool.roi_align(lazy, rows, 2, sampling_ratio=ratio).compute()
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("ratio", [0, 2])
def test_more_rows_than_become_a_structure_at_once(monkeypatch, ratio):
    monkeypatch.setattr(tasks, "ROWS", 4)
    data, rows = maps_and_rows(6)
    assert_as_numpy(data, CHUNKS["bands"], rows, ratio)


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
def test_sides_of_nothing(shape):
    rows = np.array([[-1, 0, 0, 3, 3], [shape[0] - 1, 0, 0, 1, 1]], np.float32)
    assert_as_numpy(np.ones(shape, np.float32), (1, 2, 2, 2), rows, 0)


def test_no_regions():
    lazy, grad = da.zeros(SHAPE, chunks=2), da.zeros((0, 5, 2, 3))
    for rois in ([], np.zeros((0, 5)), [[], [], []], da.zeros((0, 5), chunks=3)):
        pooled = roipool.roi_align(lazy, rois, (2, 3))
        assert pooled.compute().shape == pooled.shape == (0, 5, 2, 3)
        assert not roipool.roi_align_backward(grad, rois, SHAPE).compute().any()
        assert roipool.roi_align_backward_rois(grad, lazy, rois).compute().shape == (0, 5)


def test_boxes_per_image_and_a_scale_for_each_axis():
    data, rows = maps_and_rows(7)
    per_image = [rows[rows[:, 0] == n, 1:].tolist() for n in range(3)]
    expected = roipool.roi_align(data, per_image, 3, (0.5, 2.0))
    pooled = roipool.roi_align(
        da.from_array(data, chunks=CHUNKS["by image"]), per_image, 3, (0.5, 2)
    )
    assert_same_bits(computed(pooled, expected), expected)


def test_only_tiles_that_a_region_reads_are_read():
    data, read = tiles_of(8, 100)
    rois = [[0, 3, 3, 5, 5], [0, 70, 401, 90, 402], [-1, 0, 0, 799, 799], [0, 900, 0, 950, 9]]
    assert roipool.roi_align(data, rois, 2).compute()[:, 0].any(axis=(1, 2)).sum() == 2
    assert read == {(0, 0), (50, 8), (50, 9), (50, 10), (50, 11)}


def test_nothing_is_computed_at_the_call():
    data, read = tiles_of(8, 4)
    for rois in (np.zeros((6, 5)), da.from_array(np.zeros((6, 5), np.float32), chunks=2)):
        with dask.config.set(scheduler=refuse_to_compute):
            values = roipool.roi_align(data, rois, (2, 3))
            grad = roipool.roi_align_backward(values, rois, data.shape)
            moved = roipool.roi_align_backward_rois(values, data, rois)
        assert values.chunks[0] == moved.chunks[0]
        assert (values.shape, grad.shape, moved.shape) == ((6, 1, 2, 3), data.shape, (6, 5))
        assert values.name == roipool.roi_align(data, rois, (2, 3)).name
        assert values.name != roipool.roi_align(data, rois, (2, 3), aligned=False).name
        assert moved.name == roipool.roi_align_backward_rois(values, data, rois).name
    assert not read


def test_tasks_leave_their_inputs_as_they_are():
    data, rows = maps_and_rows(8)
    lazy, grad = (
        da.from_array(data, chunks=4),
        da.ones((len(rows), 5, 3, 2), dtype=np.float32, chunks=5),
    )
    with Given() as seen, dask.config.set({"array.chunk-size": "300B"}):
        lazy_results = [
            roipool.roi_align(lazy, rows, (3, 2)),
            roipool.roi_align_backward(grad, rows, SHAPE),
            roipool.roi_align_backward_rois(grad, lazy, rows),
        ]
        dask.compute(*lazy_results, scheduler="sync", optimize_graph=False)
    assert len(seen.arrays) > 100
    for array, then in seen.arrays:
        assert_same_bits(array, then)


@pytest.mark.parametrize(("values", "error", "message"), ROWS, ids=[str(r[0]) for r in ROWS])
def test_rows(values, error, message):
    """Known rows are refused at the call, lazy ones when the result is computed."""
    data = da.zeros((2, 3, 8, 8), dtype=np.float32, chunks=(1, 3, 4, 8))
    grad = np.zeros((3, 3, 2, 2), np.float32)
    calls = [
        lambda rois: roipool.roi_align(data, rois, 2),
        lambda rois: roipool.roi_align_backward(da.from_array(grad), rois, data.shape),
        lambda rois: roipool.roi_align_backward_rois(grad, data, rois),
    ]
    for call in calls:
        with pytest.raises(error, match="^" + re.escape(message)):
            call(row(*values))
        lazy = call(da.from_array(row(*values), chunks=1))
        with pytest.raises(error, match="^" + re.escape(message)):
            lazy.compute(scheduler="sync")


DATA = da.zeros((2, 3, 8, 8), dtype=np.float32, chunks=(1, 3, 4, 8))
GRAD = da.zeros((1, 3, 2, 2), dtype=np.float32)
BOX = [[0, 0, 0, 1, 1]]
SEVERAL = r"is of 2 arrays of feature maps; of Dask arrays .* call roi_align for each"
CALLS = [
    (
        lambda: roipool.roi_align(DATA.astype(int), BOX, 2),
        TypeError,
        "data has dtype int64; .* with astype",
    ),
    (lambda: roipool.roi_align([DATA, DATA], BOX, 2), TypeError, "data " + SEVERAL),
    (lambda: roipool.roi_align([DATA[0], DATA[1]], BOX, 2), TypeError, "data " + SEVERAL),
    (
        lambda: roipool.roi_align_backward(GRAD, BOX, [DATA.shape] * 2),
        TypeError,
        "data_shape " + SEVERAL,
    ),
    (
        lambda: roipool.roi_align_backward_rois(GRAD, [DATA] * 2, BOX),
        TypeError,
        "data " + SEVERAL,
    ),
    (lambda: roipool.roi_align(DATA, BOX, 2, out=1), TypeError, "out is given, but a Dask array's"),
    (
        lambda: roipool.roi_align_backward(GRAD, BOX, DATA.shape, out=1),
        TypeError,
        "out is given, but a Dask array's",
    ),
    (
        lambda: roipool.roi_align_backward_rois(GRAD.astype(np.float64), DATA, BOX),
        TypeError,
        "grad has dtype float64, but data has float32; cast it",
    ),
    (
        lambda: roipool.roi_align_backward_rois(GRAD, DATA, BOX * 2),
        ValueError,
        r"grad has shape .*; expected \(2, 3, h, w\) for 2 rois",
    ),
    (
        lambda: roipool.roi_align_backward(GRAD[:, :2], BOX, DATA.shape),
        ValueError,
        r"grad has shape \(1, 2, 2, 2\); expected \(1, 3, h, w\)",
    ),
    (
        lambda: roipool.roi_align(DATA, da.zeros((3, 4)), 2),
        ValueError,
        r"rois has shape \(3, 4\); expected an array \(K",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), CALLS, ids=[c[2][:30] for c in CALLS])
def test_arguments(call, error, message):
    with pytest.raises(error, match="^" + message):
        call()


def _grown(xp, rois, maps, size, dtype, *, traced=False):
    """Bins of roi_pool and one pixel more on the right."""
    found = geometry.max_bins(xp, rois, maps, size, dtype)
    return found._replace(x_bins=(found.x_bins + np.int32([0, 1])).clip(0, maps.widths[0])), None


def _halved(xp, rois, maps, size, dtype, ratio, *, traced=False):
    """Half of roi_align."""
    found, slopes = geometry.align_taps(
        xp, rois, maps, size, dtype, sampling_ratio=ratio, aligned=True
    )
    weight, slope = found.y_weight / 2, slopes.y / 2
    return found._replace(y_weight=weight), geometry.Slopes(slope, slopes.x)


@pytest.fixture
def made_up():
    """Operators of known parts, one of each kind."""
    align = OPERATORS["roi_align"]
    kinds = [
        Operator("grown", "max", _grown, OPERATORS["roi_pool"].dtypes),
        Operator(
            "halved", "taps_read", _halved, align.dtypes, options=align.options[:1], moves=ENDS
        ),
    ]
    yield [described(each) for each in kinds]
    for each in kinds:
        del OPERATORS[each.name]


def test_made_up_operators(made_up):
    data, rows = maps_and_rows(9)
    grown, halved = made_up
    lazy, grad = da.from_array(data, chunks=CHUNKS["odd tiles"]), np.ones((len(rows), 5, 2, 2))
    grad = grad.astype(np.float32)
    call = grown.call(2, SCALE, None)
    doors = door_of(data), door_of(lazy)
    expected, argmax = doors[0].pool(grown, data, rows, call, True, None)
    values, positions = doors[1].pool(grown, lazy, rows, call, True, None)
    assert_same_bits(computed(values, expected), expected)
    assert_same_bits(computed(positions, argmax), argmax)
    given = rows, [SHAPE], None
    wanted = doors[0].backward(grown, grad, *given, {"argmax": argmax}, False, None)
    lazy_grad = da.from_array(grad, chunks=7)
    back = doors[1].backward(grown, lazy_grad, *given, {"argmax": positions}, False, None)
    assert_same_bits(computed(back, wanted), wanted)

    call = halved.call(2, SCALE, None, sampling_ratio=2)
    whole = roipool.roi_align(data, rows, 2, SCALE, sampling_ratio=2)
    pooled = doors[1].pool(halved, lazy, rows, call, False, None)
    assert_close(computed(pooled, whole), whole / 2, np.float32)
    back = doors[1].backward(halved, lazy_grad, rows, [SHAPE], call, {}, False, None)
    wanted = roipool.roi_align_backward(grad, rows, SHAPE, SCALE, sampling_ratio=2)
    assert_same_bits(computed(back, wanted), wanted / 2)
    moved = doors[1].backward_rois(halved, grad, lazy, rows, call, {})
    wanted = roipool.roi_align_backward_rois(grad, data, rows, SCALE, sampling_ratio=2)
    assert_close(computed(moved, wanted), wanted / 2, np.float32)


@pytest.mark.filterwarnings("ignore:.*fork.* may lead to deadlocks:DeprecationWarning")
def test_two_processes():
    data, rows = maps_and_rows(10)
    lazy, rois = da.from_array(data, chunks=CHUNKS["odd tiles"]), da.from_array(rows, chunks=9)
    pooled = roipool.roi_align(lazy, rois, 3, SCALE)
    results = [
        pooled,
        roipool.roi_align_backward(pooled, rois, SHAPE, SCALE),
        roipool.roi_align_backward_rois(pooled, lazy, rows, SCALE),
    ]
    here = dask.compute(*results, scheduler="sync")
    for array, wanted in zip(dask.compute(*results, scheduler="processes"), here, strict=True):
        assert_same_bits(array, wanted)
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    workers = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**workers) as cluster, distributed.Client(cluster):
        for array, wanted in zip(dask.compute(*results), here, strict=True):
            assert_same_bits(array, wanted)
