"""The workloads by name; the same arrays on every run and for every contender."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

SEED = 0


@dataclass(frozen=True)
class Workload:
    """Feature maps, regions of an image, and what is done with them."""

    name: str
    maps: tuple[int, int, int, int]  # (N, C, H, W)
    regions: int
    image: tuple[int, int]  # height, width in pixels
    smallest: float = 0  # sides are log-uniform from here to the image's ...
    square: float = 0  # ... unless every region is a square of this side
    pooled_size: tuple[int, int] = (7, 7)
    spatial_scale: float = 1 / 16
    mode: str = "forward"  # or "train": forward with argmax, then backward; or "backward" alone
    dtype: str = "float32"
    channels_last: bool = False

    def __str__(self) -> str:
        maps, pooled = ("x".join(map(str, sizes)) for sizes in (self.maps, self.pooled_size))
        layout = ", channels last" if self.channels_last else ""
        kind = (
            f"squares of side {self.square:g}"
            if self.square
            else "regions"
            if self.regions > 1
            else "region"
        )
        return (
            f"{self.mode} of {maps} {self.dtype}{layout}, {self.regions:,} {kind} to {pooled}, "
            f"scale {self.spatial_scale:g}"
        )

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the arrays as .npy; return what a worker needs to load them."""
        rng = np.random.default_rng(SEED)
        data = _features(rng, self.maps, self.dtype)
        if self.channels_last:
            data = np.ascontiguousarray(data.transpose(0, 2, 3, 1))
        np.save(folder / "data.npy", data)
        np.save(folder / "rois.npy", _boxes(rng, self))
        if self.mode != "forward":
            shape = (self.regions, self.maps[1], *self.pooled_size)
            np.save(folder / "grad.npy", rng.standard_normal(shape, np.float32))
        return {**asdict(self), "folder": str(folder)}


def _features(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    if dtype == "int8":
        return rng.integers(-128, 128, shape, np.int8)
    values = rng.standard_normal(shape, np.float32)
    if dtype == "bfloat16":  # its bits, which the upper half of a float32 is: NumPy has no such
        return (values.view(np.uint32) >> 16).astype(np.uint16)
    return values.astype(dtype)


def _boxes(rng: np.random.Generator, workload: Workload) -> np.ndarray:
    """Rows [image, x1, y1, x2, y2], corners inclusive, inside the image, positions uniform."""
    count, images = workload.regions, workload.maps[0]
    rois = np.empty((count, 5), np.float32)
    rois[:, 0] = rng.permutation(np.arange(count) % images)
    for axis, length in ((0, workload.image[1]), (1, workload.image[0])):
        if workload.square:
            side = np.full(count, workload.square)
        else:
            side = np.exp(rng.uniform(np.log(workload.smallest), np.log(length), count))
        start = rng.uniform(0, length - side)
        rois[:, 1 + axis] = start
        rois[:, 3 + axis] = start + side - 1
    return rois


_FAST_RCNN = Workload("fast_rcnn", (1, 512, 38, 63), 2000, (600, 1000), smallest=20)
_TRAIN = replace(_FAST_RCNN, name="train", maps=(2, 512, 38, 63), regions=128, mode="train")
_FPN = Workload("fpn", (1, 256, 200, 336), 1000, (800, 1333), smallest=16, spatial_scale=1 / 4)
_SMALL = Workload("small", (1, 256, 50, 50), 1, (800, 800), smallest=16)
_AREA = Workload("area", (1, 64, 512, 512), 4000, (512, 512), spatial_scale=1.0)


def _all() -> Iterable[Workload]:
    yield _FAST_RCNN
    yield replace(_FAST_RCNN, name="fast_rcnn_backward", mode="backward")
    yield _TRAIN
    yield replace(_TRAIN, name="train_backward", mode="backward")
    yield _FPN
    yield replace(_FPN, name="fpn_train", regions=512, mode="train")
    for count in (1, 8):
        yield replace(_SMALL, name=f"small_{count}", regions=count)
    for side in (8, 32, 128, 400):
        yield replace(_AREA, name=f"area_{side}", square=side)
    yield replace(_FAST_RCNN, name="batch_8", maps=(8, 512, 38, 63))
    yield replace(_FAST_RCNN, name="channels_last", channels_last=True)
    for dtype in ("float16", "bfloat16", "int8"):
        yield replace(_FAST_RCNN, name=dtype, dtype=dtype)
    for channels in (3, 17, 96):
        yield replace(_FAST_RCNN, name=f"channels_{channels}", maps=(1, channels, 38, 63))
    # Fewer regions where bins are many: results of 200 MB at most, as fast_rcnn's.
    for h, w, regions in ((1, 1, 2000), (3, 5, 2000), (14, 14, 500), (28, 28, 125)):
        yield replace(_FAST_RCNN, name=f"pooled_{h}x{w}", pooled_size=(h, w), regions=regions)


WORKLOADS = {workload.name: workload for workload in _all()}
MAIN = ["fast_rcnn", "fast_rcnn_backward", "train", "fpn", "fpn_train", "small_1", "small_8"]


def chosen(names: Iterable[str]) -> list[Workload]:
    """The workloads of these names; "main" and "all" stand for several."""
    groups = {"main": MAIN, "all": list(WORKLOADS)}
    wanted = [name for given in names for name in groups.get(given, (given,))]
    unknown = [name for name in wanted if name not in WORKLOADS]
    if unknown:
        raise ValueError(f"no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}, main, all")
    return [WORKLOADS[name] for name in dict.fromkeys(wanted)]
