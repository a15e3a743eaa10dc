"""What kernels of devices are given in tests, and how they compare with the native core's."""

import os

import numpy as np
import torch

from roipool import geometry, native
from roipool.kernels import KERNELS

# make test-gpu says "cuda": then the same tests run there.
DEVICE = os.environ.get("ROIPOOL_DEVICE", "cpu")
DTYPES = ("float32", "float64", "float16", "bfloat16")
WHOLE = ("int8", "uint8", "int16", "int32")  # of which the largest is taken
SHAPES = ((2, 5, 9, 11), (1, 5, 4, 6))
SCALES = ((0.25, 0.25), (0.125, 0.125))
SIZE = (3, 2)
ROIS = np.array(
    [
        [0, 1, 2, 30, 40],
        [1, 5, 5, 6, 6],
        [2, 3, 3, 40, 20],
        [-1, 0, 0, 0, 0],
        [0, -20, 3, 20, 30],
        [1, 40, 40, 10, 10],
        [1, 0, 0, 44, 36],
        [0, 300, 300, 400, 400],
    ]
)


def rows_of_every_kind(count):
    """Inside, across and outside; reversed, of half pixels, far away, not finite, of no image."""
    rng = np.random.default_rng(0)
    rows = np.empty((count, 5))
    rows[:, 0] = rng.integers(-1, 4, count)
    rows[:, 1:3] = rng.uniform(-60, 400, (count, 2))
    sides = np.exp(rng.uniform(-3, 6.5, (count, 2))) * rng.choice([1, 1, 1, -1], (count, 2))
    rows[:, 3:] = rows[:, 1:3] + sides
    rows[20::3, 1:] = np.round(rows[20::3, 1:] * 2) / 2
    rows[21::9, 1:] *= 10.0 ** rng.integers(1, 30, (len(rows[21::9]), 4))
    rows[12:17, 1:] = [
        [np.nan, 0, 1, 1],
        [0, np.inf, 0, 0],
        [1e30, 0, 1e30, 5],
        [3e38] * 4,
        [5] * 4,
    ]
    rows[17:20, 0] = [0.5, np.nan, np.inf]
    return rows


def known_of(kernel, several):
    """Everything that a kernel takes, in float64."""
    rng = np.random.default_rng(3)
    shapes, scales = (SHAPES, SCALES) if several else (SHAPES[:1], SCALES[:1])
    rois = ROIS if several else ROIS[ROIS[:, 0] < 2]
    maps = geometry.maps_of(shapes, scales)
    if kernel.name.startswith("max"):
        found = geometry.max_bins(np, rois, maps, SIZE, np.float64)
    elif kernel.name.startswith("samples"):
        found, _ = geometry.align_samples(
            np, rois, maps, SIZE, np.float64, sampling_ratio=2, aligned=True, singly=False
        )
    elif kernel.name.startswith("taps"):
        found, _ = geometry.align_taps(
            np, rois, maps, SIZE, np.float64, sampling_ratio=2, aligned=True
        )
    else:
        pixel = rng.integers(-3, 108, (len(rois), *SIZE, 4))
        weight = rng.standard_normal(pixel.shape) * (rng.random(pixel.shape) < 0.8)
        image = rois[:, 0]
        found = geometry.points_of(np, image, pixel, weight, shapes, np.float64)
    known = {name: np.ascontiguousarray(value) for name, value in found._asdict().items()}
    known["data"] = [rng.standard_normal(shape) for shape in shapes]
    known["pooled"] = rng.standard_normal((len(rois), 5, *SIZE))
    if any(arg.name == "argmax" for arg in kernel.inputs):
        most = 24 if kernel.name.startswith("max") else 4
        known["argmax"] = rng.integers(-1, most, known["pooled"].shape).astype(np.int32)
    return known, shapes


def tensors(known, dtype, last, device=DEVICE):
    """The same as tensors: features of that dtype, weights of their sums'."""
    feature, wide = getattr(torch, dtype), torch.float64 if dtype == "float64" else torch.float32

    def one(name, value):
        tensor = torch.from_numpy(value).to(device)
        if name in ("data", "pooled"):
            if dtype in WHOLE:  # some of them equal, and beyond what float32 holds
                tensor = tensor.abs() if dtype == "uint8" else tensor
                tensor = (tensor * (2**28 if dtype == "int32" else 9)).round()
            tensor = tensor.to(feature)
        elif tensor.is_floating_point():
            tensor = tensor.to(wide)
        if last and tensor.ndim == 4 and name != "points":
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    return {
        name: [one(name, each) for each in value] if isinstance(value, list) else one(name, value)
        for name, value in known.items()
    }


def results_of(kernel, known, shapes, dtype, last, device=DEVICE):
    """Memory for results, full of NaN."""
    sizes = {"K": len(known["image"]), "C": 5, "h": SIZE[0], "w": SIZE[1]}
    for letter, name in (("Y", "y_pixel"), ("X", "x_pixel"), ("S", "y_pixel")):
        sizes[letter] = len(known[name]) if name in known else 0
    wide = torch.float64 if dtype == "float64" else torch.float32
    found = []
    for arg in kernel.results:
        of = {"data": getattr(torch, dtype), "sum": wide}.get(arg.dtype, torch.int32)
        each = shapes if arg.axes == "NCHW" else [tuple(sizes[axis] for axis in arg.axes)]
        fill = float("nan") if of.is_floating_point else 77
        arrays = [torch.full(shape, fill, dtype=of, device=device) for shape in each]
        if last and arrays[0].ndim == 4:
            arrays = [array.contiguous(memory_format=torch.channels_last) for array in arrays]
        found.append(arrays if arg.axes == "NCHW" else arrays[0])
    return found


def bits(tensor):
    return (tensor.view(torch.int16) if tensor.itemsize == 2 else tensor).numpy()


def as_numpy(value):
    return [bits(each) for each in value] if isinstance(value, list) else bits(value)


def check(run, name, dtype, last, several):
    """Fill results by `run`, and look at them beside the core's."""
    kernel = KERNELS[name]
    known, shapes = known_of(kernel, several)
    given = tensors(known, dtype, last)
    found = results_of(kernel, known, shapes, dtype, last)
    expected = results_of(kernel, known, shapes, dtype, False, "cpu")
    run(given, *found)
    plain = tensors(known, dtype, False, "cpu")
    native.run(
        kernel, dtype, {k: as_numpy(v) for k, v in plain.items()}, [*map(as_numpy, expected)]
    )
    exact = name in ("max", "max_read")
    for have, want in zip(found, expected, strict=True):
        for one, other in zip(
            have if isinstance(have, list) else [have],
            want if isinstance(want, list) else [want],
            strict=True,
        ):
            of = {"float64": 1e-12, "float32": 3e-6, "float16": 4e-3, "bfloat16": 3e-2}
            tolerance = 0 if exact or not one.is_floating_point() else of[dtype]
            torch.testing.assert_close(one.cpu(), other, rtol=tolerance, atol=tolerance)
