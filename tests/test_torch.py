"""Tensors give what arrays give, bit for bit: every dtype, layout and form of rois."""

import doctest

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import roipool
import roipool.nn
from cases import DTYPES, FLOATS, NAMES, assert_same_bits, odd_boxes, odd_maps, random_boxes
from roipool import reference
from roipool.nn import RoIPool
from tensors import some_boxes, some_maps, to_array, to_tensor

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)


@each_dtype
@pytest.mark.parametrize("channels", [1, 17])
def test_as_the_definition(dtype, channels):
    rng = np.random.default_rng(channels)
    data = odd_maps(rng, (2, channels, 11, 9), dtype)
    rois = np.concatenate([odd_boxes(11, 9), random_boxes(rng, 8, 2, 11, 9)])
    expected, expected_argmax = reference.roi_pool(data, rois, (3, 4), 0.7)
    tensor, rows = to_tensor(data), to_tensor(rois)
    values, argmax = roipool.roi_pool(tensor, rows, (3, 4), 0.7, return_argmax=True)
    assert_same_bits(to_array(values), expected)
    assert_same_bits(to_array(argmax), expected_argmax)
    assert_same_bits(to_array(roipool.roi_pool(tensor, rows, (3, 4), 0.7)), expected)


@each_dtype
def test_every_layout(dtype):
    maps = some_maps((2, 6, 7, 9), dtype)
    rois = some_boxes(2, 7, 9)
    wide = torch.zeros((2, 7, 15, 29), dtype=maps.dtype)
    wide[:, :6, 1:15:2, 2::3] = maps
    layouts = [
        maps.contiguous(memory_format=torch.channels_last),
        maps.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0),
        wide[:, :6, 1:15:2, 2::3],
        maps[:, :1].expand(maps.shape),
        maps[1:],
    ]
    for data in layouts:
        rows = rois.clone()
        rows[:, 0].clamp_(max=len(data) - 1)
        values, argmax = roipool.roi_pool(data, rows, 3, return_argmax=True)
        expected = roipool.roi_pool(to_array(data), rows.numpy(), 3, return_argmax=True)
        assert_same_bits(to_array(values), expected[0])
        assert_same_bits(to_array(argmax), expected[1])


@each_dtype
def test_channels_last_stays_channels_last(dtype):
    data = some_maps(dtype=dtype)
    last = data.contiguous(memory_format=torch.channels_last)
    assert roipool.roi_pool(data, some_boxes(), 3).is_contiguous()
    values, argmax = roipool.roi_pool(last, some_boxes(), 3, return_argmax=True)
    assert values.is_contiguous(memory_format=torch.channels_last)
    assert argmax.is_contiguous()
    one = some_maps((2, 1, 5, 5)).contiguous(memory_format=torch.channels_last)
    assert roipool.roi_pool(one, some_boxes(), 3).is_contiguous()


@pytest.mark.parametrize("dtype", FLOATS, ids=NAMES[:4])
@pytest.mark.parametrize("last", [False, True])
def test_gradients_as_the_definition(dtype, last):
    data, rois = some_maps(dtype=dtype), some_boxes()
    if last:
        data = data.contiguous(memory_format=torch.channels_last)
    values, argmax = roipool.roi_pool(data.requires_grad_(), rois, (3, 4), return_argmax=True)
    weights = some_maps(values.shape, dtype, seed=1)
    expected = reference.roi_pool_backward(
        to_array(weights), to_array(argmax), rois.numpy(), data.shape
    )
    if last:
        weights = weights.contiguous(memory_format=torch.channels_last)
    values.backward(weights)
    assert_same_bits(to_array(data.grad), expected)
    again = roipool.roi_pool_backward(weights, argmax, rois, data.shape)
    assert_same_bits(to_array(again), expected)
    wide = roipool.roi_pool_backward(weights, argmax.long(), rois, data.shape)
    assert_same_bits(to_array(wide), expected)


def test_every_form_of_rois():
    data = some_maps((3, 4, 9, 9))
    rois = random_boxes(np.random.default_rng(1), 10, 3, 9, 9)
    rois = rois[np.argsort(rois[:, 0], kind="stable")]
    parts = [rois[rois[:, 0] == n, 1:] for n in range(3)]
    tensors = [to_tensor(part) for part in parts]
    expected = to_array(roipool.roi_pool(data, to_tensor(rois), 2))
    mixed = [tensors[0], parts[1], tensors[2]]
    for form in (rois, rois.tolist(), parts, tensors, tuple(tensors), mixed, list(to_tensor(rois))):
        assert_same_bits(to_array(roipool.roi_pool(data, form, 2)), expected)
    some = [tensors[0], torch.zeros(0, 4), torch.tensor([])]
    assert_same_bits(to_array(roipool.roi_pool(data, some, 2)), expected[: len(parts[0])])
    for none in ([], torch.tensor([]), torch.zeros(0, 5), [torch.zeros(0, 4)] * 3):
        assert roipool.roi_pool(data, none, (2, 3)).shape == (0, 4, 2, 3)
    assert_same_bits(roipool.roi_pool(to_array(data), to_tensor(rois), 2), expected)
    assert_same_bits(roipool.roi_pool(to_array(data), tensors, 2), expected)


def test_half_boxes_of_more_images_than_half_types_count():
    data = torch.arange(300.0).reshape(300, 1, 1, 1)
    boxes = [torch.zeros(1, 4, dtype=torch.bfloat16)] * 300
    assert torch.equal(roipool.roi_pool(data, boxes, 1), data)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int16", "uint8", "int64"])
def test_every_dtype_of_rois(dtype):
    data = some_maps((2, 3, 9, 9))
    rois = torch.tensor([[0, 1, 2, 5, 6], [1, 0, 3, 8, 8]])
    expected = roipool.roi_pool(data, rois.float(), 2)
    assert torch.equal(roipool.roi_pool(data, rois.to(getattr(torch, dtype)), 2), expected)


def test_coordinates_are_float64_only_when_both_are():
    # 0.49999999 rounds to 0 in float64, and to 1 after it became 0.5 in float32.
    rois = torch.tensor([[0, 0.49999999, 0, 0.49999999, 0]], dtype=torch.float64)
    data = torch.arange(4.0).reshape(1, 1, 1, 4)
    for form in (rois, rois.numpy(), rois.tolist(), [rois[:, 1:]]):
        assert roipool.roi_pool(data.double(), form, 1).item() == 0
        assert roipool.roi_pool(data, form, 1).item() == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_rounds_neither_features_nor_rois(dtype):
    data = torch.arange(3000.0).reshape(1, 1, 1, 3000)
    rois = torch.tensor([[0, 2049.0, 0, 2049, 0]])  # neither half type has 2049
    with torch.autocast("cpu", dtype):
        assert roipool.roi_pool(data, rois, 1).item() == 2049
        assert roipool.roi_pool(data.to(dtype), rois, 1).dtype == dtype
    assert roipool.roi_pool(data.to(dtype), rois, 1).item() == data[..., 2049].to(dtype)


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
def test_nothing_to_pool(shape):
    data = torch.zeros(shape, requires_grad=True)
    rois = torch.tensor([[0.0 if shape[0] else -1, 0, 0, 3, 3]])
    for rows in (rois, rois[:0]):
        values = roipool.roi_pool(data, rows, (2, 3))
        assert torch.equal(values, torch.zeros(len(rows), shape[1], 2, 3))
        (grad,) = torch.autograd.grad(values.sum(), data, create_graph=True)
        assert torch.equal(grad, torch.zeros(shape))
        torch.func.jvp(lambda x, rows=rows: roipool.roi_pool(x, rows, 2), (data,), (data,))


def test_memory_of_the_caller():
    data, rois = some_maps(), some_boxes()
    expected, expected_argmax = roipool.roi_pool(data, rois, 2, return_argmax=True)
    values, argmax = torch.zeros_like(expected), torch.zeros_like(expected_argmax)
    version = values._version
    assert roipool.roi_pool(data, rois, 2, out=values) is values
    assert values._version > version
    assert torch.equal(values, expected)
    both = roipool.roi_pool(data, rois, 2, return_argmax=True, out=(values.zero_(), argmax))
    assert both[0] is values
    assert torch.equal(values, expected)
    assert torch.equal(argmax, expected_argmax)
    grad_data = torch.ones_like(data)
    assert roipool.roi_pool_backward(values, argmax, rois, data.shape, out=grad_data) is grad_data
    assert torch.equal(grad_data, roipool.roi_pool_backward(values, argmax, rois, data.shape))
    with torch.inference_mode():
        roipool.roi_pool(data, rois, 2, out=torch.empty_like(expected))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_argmax_is_kept_for_a_gradient_only(mode, monkeypatch):
    from roipool import _core

    argmax = []
    forward = _core.run
    monkeypatch.setattr(
        _core, "run", lambda *args: (argmax.append(len(args[3]) > 1), forward(*args))
    )
    data = some_maps()
    roipool.roi_pool(data, some_boxes(), 2)
    with mode():
        roipool.roi_pool(data.requires_grad_(), some_boxes(), 2)
    roipool.roi_pool(data, some_boxes(), 2)
    assert argmax == [False, False, True]


def test_no_more_threads_than_either_allows(threads, monkeypatch):
    from roipool import _core

    asked = []
    forward = _core.run
    monkeypatch.setattr(_core, "run", lambda *args: (asked.append(args[-1]), forward(*args)))
    before = torch.get_num_threads()
    for torchs, ours in ((1, 3), (3, 1), (3, 2)):
        torch.set_num_threads(torchs)
        threads(ours)
        roipool.roi_pool(some_maps(), some_boxes(), 2)
    torch.set_num_threads(before)
    assert asked == [1, 1, 2]


def test_example_of_the_module():
    results = doctest.testmod(roipool.nn)
    assert results.attempted > 0
    assert results.failed == 0


def test_module():
    pool = RoIPool((7, 7), 0.0625)
    assert repr(pool) == "RoIPool(pooled_size=(7, 7), spatial_scale=0.0625, mode='max')"
    assert repr(RoIPool(7)) == "RoIPool(pooled_size=7, spatial_scale=1.0, mode='max')"
    data, rois = some_maps(), some_boxes(scale=0.0625)
    assert torch.equal(pool(data, rois), roipool.roi_pool(data, rois, 7, 0.0625))
    parameter = torch.nn.Parameter(data)  # a subclass of Tensor
    assert pool(parameter, rois).requires_grad


def test_subnormals_are_kept_whatever_a_thread_is_set_to(threads):
    # The setting is each thread's own: it would make sums depend on who added them.
    tiny = torch.full((2, 64, 1, 1), 1e-40)
    half = torch.full((2, 64, 1, 1), 6e-8, dtype=torch.float16)
    argmax = torch.zeros(tiny.shape, dtype=torch.int32)
    rois = torch.zeros((2, 5))
    torch.set_flush_denormal(True)
    try:
        for count in (1, 4):
            threads(count)
            sums = roipool.roi_pool_backward(tiny, argmax, rois, (1, 64, 1, 1))
            halves = roipool.roi_pool_backward(half, argmax, rois, (1, 64, 1, 1))
            assert np.all(sums.numpy().view(np.int32) == 2 * tiny.numpy().view(np.int32)[0, 0])
            assert np.all(halves.view(torch.int16).numpy() == 2)
    finally:
        torch.set_flush_denormal(False)
