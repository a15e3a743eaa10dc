"""The kernels for GPUs, run by Triton's interpreter on tensors of the CPU, beside the core's."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("triton")

import torch

from device_cases import DEVICE, DTYPES, WHOLE, check, rows_of_every_kind
from roipool import geometry as roipool_geometry
from roipool.devices import cuda, geometry, text, tiles
from roipool.doors.torch.namespace import Namespace

# Of dtypes beside float32 one layout, in one array: the interpreter takes a second for each.
CASES = [("float32", last, several) for last in (False, True) for several in (False, True)]
CASES += [(dtype, True, False) for dtype in DTYPES if dtype != "float32"]


@pytest.mark.parametrize(("dtype", "last", "several"), CASES)
@pytest.mark.parametrize("name", cuda.KERNELS)
def test_as_the_core_has_it(name, dtype, last, several):
    check(cuda.KERNELS[name], name, dtype, last, several)


@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers(dtype):
    check(cuda.KERNELS["max"], "max", dtype, True, False)


def test_an_image_behind_two_to_the_31_numbers():
    """Of 2 GB that nobody touches but for their end."""
    images, size = 2**22 + 1, (8, 8, 8)
    last = {"memory_format": torch.channels_last, "device": DEVICE}
    data = torch.empty((images, *size), dtype=torch.int8, **last)
    data[-1] = torch.arange(-256, 256).reshape(size).to(torch.int8)
    lists = {"image": [images - 1], "y_bins": [[[0, 3], [2, 8]]], "x_bins": [[[5, 8], [1, 2]]]}
    given = {
        name: torch.tensor(values, dtype=torch.int32, device=DEVICE)
        for name, values in lists.items()
    }
    found = [torch.empty(1, 8, 2, 2, dtype=dtype, **last) for dtype in (torch.int8, torch.int32)]
    cuda.KERNELS["max"]({"data": [data], **given}, *found)
    alone = {"data": [data[-1:]], **given, "image": torch.zeros_like(given["image"])}
    expected = [torch.empty_like(each) for each in found]
    text.KERNELS["max"](alone, *expected)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["max_add", "taps_add", "points_add"])
def test_tiles_whose_lists_have_no_room(name, monkeypatch):
    """They find their regions among those of the band; and weights are read from their lists."""
    lists_of = tiles.lists_of

    def without_room(*given):
        lists = lists_of(*given)
        return lists._replace(sizes=(*lists.sizes[:-1], 0))

    monkeypatch.setattr(tiles, "lists_of", without_room)
    monkeypatch.setattr(cuda, "SPREAD", 0)
    check(cuda.KERNELS[name], name, "float32", True, False)


@pytest.mark.parametrize(("rois_dtype", "dtype"), [("float32", "float32"), ("float64", "float64")])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy says where the interpreter overflows
def test_geometry_is_the_text_to_the_bit(rois_dtype, dtype, monkeypatch):
    if DEVICE == "cpu":
        monkeypatch.setattr(geometry, "BLOCK", 2**13)  # lanes cost the interpreter little
    rows = rows_of_every_kind(5000)
    rois = torch.tensor(rows, dtype=getattr(torch, rois_dtype), device=DEVICE)
    maps = roipool_geometry.maps_of([(1, 3, 20, 31), (2, 3, 10, 15)], [(0.25, 0.3), (0.125, 0.15)])
    size, of = (7, 5), getattr(torch, dtype)
    xp = Namespace(rois.device)
    for found, expected in zip(
        geometry.max_bins(rois, maps, size, of),
        roipool_geometry.max_bins(xp, rois, maps, size, of),
        strict=True,
    ):
        assert torch.equal(found, expected)
    for ratio, aligned in ((0, True), (2, True), (3, False)):
        found = geometry.align_taps(rois, maps, size, of, ratio, aligned)
        expected, _ = roipool_geometry.align_taps(
            xp, rois, maps, size, of, sampling_ratio=ratio, aligned=aligned, traced=True
        )
        assert torch.equal(found.image, expected.image)
        for axis in "yx":
            same_lists(*(lists_of(each, axis) for each in (found, expected)))


def lists_of(taps, axis):
    ranges, pixel, weight = (getattr(taps, f"{axis}_{of}") for of in ("taps", "pixel", "weight"))
    shape = (*ranges.shape[:2], -1)
    live = torch.arange(pixel.numel() // ranges[..., 0].numel(), device=ranges.device)
    live = live < (ranges[..., 1] - ranges[..., 0])[..., None]
    weight = torch.where(live, weight.reshape(shape), 0)
    return ranges[..., 0], weight, torch.where(weight != 0, pixel.reshape(shape), 0)


def same_lists(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
