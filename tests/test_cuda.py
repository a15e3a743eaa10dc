"""PyTorch's tensors on a GPU, beside the CPU: `make test-gpu` on a machine that has one."""

import pytest

torch = pytest.importorskip("torch")

import numpy as np

import roipool
from device_cases import DEVICE, rows_of_every_kind
from roipool import geometry
from roipool.doors.torch.namespace import Namespace

if DEVICE != "cuda":
    pytest.skip("make test-gpu runs these", allow_module_level=True)

SIZE, SCALE, CHANNELS = (3, 2), 0.25, 12
CLOSE = {torch.float64: 1e-11, torch.float32: 3e-5, torch.float16: 3e-2, torch.bfloat16: 2e-1}
OPERATORS = [
    ("roi_pool", {}),
    ("roi_pool", {"mode": "avg"}),
    ("roi_align", {"sampling_ratio": 2, "aligned": True}),
    ("roi_align", {"sampling_ratio": 0, "aligned": False}),
    ("roi_align", {"sampling_ratio": 2, "mode": "max"}),
    ("roi_align", {"sampling_ratio": 0, "mode": "onnx_max"}),
    ("ps_roi_pool", {}),
    ("ps_roi_align", {"sampling_ratio": 2}),
    ("prroi_pool", {}),
    ("roi_align_rotated", {"sampling_ratio": 2}),
    ("crop_and_resize", {}),
]
# Whose launches no look at a value parts.
CAPTURED = [
    ("roi_pool", {}),
    ("roi_align", {"sampling_ratio": 2}),
    ("roi_align", {"sampling_ratio": 0}),
    ("roi_align", {"sampling_ratio": 2, "mode": "max"}),
    ("prroi_pool", {}),
]
STILL = ("roi_pool", "ps_roi_pool")  # whose values do not move with regions
each_operator = pytest.mark.parametrize(("name", "how"), OPERATORS, ids=str)


def rows_of(name, count=40):
    """Regions inside and across borders, one image in three being padding."""
    rng = np.random.default_rng(0)
    image = rng.integers(-1, 2, (count, 1))
    if name == "roi_align_rotated":
        centre, sides = rng.uniform(0, 100, (count, 2)), rng.uniform(1, 60, (count, 2))
        return np.concatenate([image, centre, sides, rng.uniform(-4, 4, (count, 1))], 1)
    if name == "crop_and_resize":
        return np.concatenate([image, rng.uniform(-0.2, 1.2, (count, 4))], 1)
    begin = rng.uniform(-20, 120, (count, 2))
    return np.concatenate([image, begin, begin + rng.uniform(1, 90, (count, 2))], 1)


def pooled(name, how, data, rows):
    scale = () if name == "crop_and_resize" else (SCALE,)
    return getattr(roipool, name)(data, rows, SIZE, *scale, **how)


@each_operator
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", CLOSE, ids=str)
def test_values_and_gradients_are_those_of_the_cpu(dtype, last, name, how):
    torch.manual_seed(0)
    lying = torch.channels_last if last else torch.contiguous_format
    maps = torch.randn(2, CHANNELS, 30, 31, dtype=torch.float64).to(dtype)
    rows = torch.tensor(rows_of(name), dtype=dtype if dtype == torch.float64 else torch.float32)
    found = []
    for device in ("cpu", DEVICE):
        data = maps.to(device).contiguous(memory_format=lying).requires_grad_()
        boxes = rows.to(device).requires_grad_(name not in STILL and how.get("mode") != "avg")
        values = pooled(name, how, data, boxes)
        values.backward(torch.arange(values.numel()).reshape(values.shape).sin().to(values))
        assert values.is_contiguous(memory_format=torch.channels_last) == last
        found.append([values.detach(), data.grad, boxes.grad])
    for here, there in zip(*found, strict=True):
        assert (here is None) == (there is None)
        if here is not None:
            scale = max(1.0, here.abs().max().item())
            torch.testing.assert_close(
                there.cpu().double(), here.double(), rtol=0, atol=CLOSE[dtype] * scale
            )


@pytest.mark.parametrize(("name", "how"), CAPTURED, ids=str)
def test_a_graph_is_captured_and_each_run_gives_the_same_bits(name, how):
    data = torch.randn(2, CHANNELS, 50, 60, device=DEVICE, requires_grad=True)
    rows = torch.tensor(rows_of(name), dtype=torch.float32, device=DEVICE)

    def step():
        values = pooled(name, how, data, rows)
        (gradient,) = torch.autograd.grad(values.square().sum(), data)
        return values.detach(), gradient

    wanted = step()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    graph.replay()
    torch.cuda.synchronize()
    torch.use_deterministic_algorithms(True)
    try:
        again = step()
    finally:
        torch.use_deterministic_algorithms(False)
    for first, second, third in zip(wanted, captured, again, strict=True):
        assert torch.equal(first, second)
        assert torch.equal(first, third)


def test_a_call_is_compiled_whole():
    data = torch.randn(2, CHANNELS, 50, 60, device=DEVICE)
    rows = torch.tensor(rows_of("roi_align"), dtype=torch.float32, device=DEVICE)

    def step(data, rows):
        return pooled("roi_align", {"sampling_ratio": 2}, data, rows).square().sum()

    torch.testing.assert_close(torch.compile(step, fullgraph=True)(data, rows), step(data, rows))


@pytest.mark.parametrize("F", [torch.float32, torch.float64])
def test_geometry_is_the_text_to_the_bit(F):
    """On rows of every kind: the largest run of the twins in Triton."""
    from roipool.devices import geometry as twins

    rows = rows_of_every_kind(20_000)
    rois = torch.tensor(rows, dtype=F, device=DEVICE)
    maps = geometry.maps_of([(1, 3, 20, 31), (2, 3, 10, 15)], [(0.25, 0.3), (0.125, 0.15)])
    xp = Namespace(rois.device)
    found = twins.max_bins(rois, maps, (7, 5), F)
    for one, other in zip(found, geometry.max_bins(xp, rois, maps, (7, 5), F), strict=True):
        assert torch.equal(one, other)
