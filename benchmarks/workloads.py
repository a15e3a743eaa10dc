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
    # Or "train": forward, then backward; "backward" alone; "backward_rois": gradients of the boxes.
    mode: str = "forward"
    dtype: str = "float32"
    channels_last: bool = False
    operator: str = "roi_pool"
    options: tuple[tuple[str, int | bool | str], ...] = ()  # of the operator, by its own names
    levels: int = 1  # each further one half as high and wide; regions on that of their size

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
        options = "".join(f" {name}={value}" for name, value in self.options)
        levels = f" and {self.levels - 1} further levels" if self.levels > 1 else ""
        return (
            f"{self.operator}{options}, {self.mode} of {maps} {self.dtype}{layout}{levels}, "
            f"{self.regions:,} {kind} to {pooled}, scale {self.spatial_scale:g}"
        )

    @property
    def scales(self) -> list[float]:
        """Of each level."""
        return [self.spatial_scale / 2**level for level in range(self.levels)]

    @property
    def result_shape(self) -> tuple[int, int, int, int]:
        """Of the pooled values."""
        channels, (height, width) = self.maps[1], self.pooled_size
        if self.operator.startswith("ps_"):  # of which each bin reads its own
            channels //= height * width
        return self.regions, channels, height, width

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the arrays as .npy; return what a worker needs to load them."""
        rng = np.random.default_rng(SEED)
        n, c, h, w = self.maps
        for level in range(self.levels):
            data = _features(rng, (n, c, -(-h // 2**level), -(-w // 2**level)), self.dtype)
            if self.channels_last:
                data = np.ascontiguousarray(data.transpose(0, 2, 3, 1))
            np.save(folder / f"data_{level}.npy", data)
        rois = _boxes(rng, self)
        if self.levels > 1:
            rois[:, 0] += n * _level_of(rois, self.levels)
        np.save(folder / "rois.npy", rois)
        if self.mode != "forward":
            np.save(folder / "grad.npy", rng.standard_normal(self.result_shape, np.float32))
        told = {"scales": self.scales, "result_shape": self.result_shape, "folder": str(folder)}
        return asdict(self) | told


def _features(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    if dtype == "int8":
        return rng.integers(-128, 128, shape, np.int8)
    values = rng.standard_normal(shape, np.float32)
    if dtype == "bfloat16":  # its bits, which the upper half of a float32 is: NumPy has no such
        return (values.view(np.uint32) >> 16).astype(np.uint16)
    return values.astype(dtype)


def boxes_of(workload: Workload) -> np.ndarray:
    """Alone, without its maps."""
    return _boxes(np.random.default_rng(SEED), workload)


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
    return _ROWS.get(workload.operator, _corners)(rng, rois, workload.image)


def _corners(rng: np.random.Generator, rois: np.ndarray, image: tuple[int, int]) -> np.ndarray:
    return rois


def _turned(rng: np.random.Generator, rois: np.ndarray, image: tuple[int, int]) -> np.ndarray:
    """[image, centre x, centre y, width, height, radians]: the same boxes, turned."""
    sides = rois[:, 3:] - rois[:, 1:3]
    angle = rng.uniform(-np.pi, np.pi, (len(rois), 1)).astype(np.float32)
    return np.concatenate([rois[:, :1], rois[:, 1:3] + sides / 2, sides, angle], axis=1)


def _shares(rng: np.random.Generator, rois: np.ndarray, image: tuple[int, int]) -> np.ndarray:
    """[image, y1, x1, y2, x2], 1 being the image's side."""
    height, width = image
    shares = rois[:, [2, 1, 4, 3]] / np.float32([height - 1, width - 1] * 2)
    return np.concatenate([rois[:, :1], shares.astype(np.float32)], axis=1)


_ROWS = {"roi_align_rotated": _turned, "crop_and_resize": _shares}


def _level_of(rois: np.ndarray, levels: int) -> np.ndarray:
    """The level of each region, from 0: that of Feature Pyramid Networks, whose levels 2 to 5 are
    these four. A region of 224 x 224 pixels has level 4, one of half the side the level below.
    """
    areas = (rois[:, 3] - rois[:, 1]) * (rois[:, 4] - rois[:, 2])
    steps = [224**2 * 4.0**k * (1 - 2.0**-20) for k in range(-1, levels - 2)]
    return np.sum([areas >= step for step in steps], axis=0)


_FAST_RCNN = Workload("fast_rcnn", (1, 512, 38, 63), 2000, (600, 1000), smallest=20)
_TRAIN = replace(_FAST_RCNN, name="train", maps=(2, 512, 38, 63), regions=128, mode="train")
_FPN = Workload("fpn", (1, 256, 200, 336), 1000, (800, 1333), smallest=16, spatial_scale=1 / 4)
_SMALL = Workload("small", (1, 256, 50, 50), 1, (800, 800), smallest=16)
_AREA = Workload("area", (1, 64, 512, 512), 4000, (512, 512), spatial_scale=1.0)
_SAMPLED = (("sampling_ratio", 2), ("aligned", True))
_ADAPTIVE = (("sampling_ratio", 0), ("aligned", True))
_MAX = ("mode", "onnx_max")
_UNALIGNED = (("sampling_ratio", 2), ("aligned", False))  # as torchvision's MultiScaleRoIAlign


def _aligned() -> Iterable[Workload]:
    """The same data and regions for roi_align."""

    def of(workload: Workload, name: str = "", **changed: Any) -> Workload:
        changed = {"options": _SAMPLED, "name": f"align_{name or workload.name}"} | changed
        return replace(workload, operator="roi_align", **changed)

    for workload in (_FAST_RCNN, _FPN):
        yield of(workload)
        yield of(workload, f"{workload.name}_adaptive", options=_ADAPTIVE)
    yield of(_FAST_RCNN, "fast_rcnn_backward", mode="backward")
    yield of(_FAST_RCNN, "fast_rcnn_adaptive_backward", mode="backward", options=_ADAPTIVE)
    yield of(_FAST_RCNN, "fast_rcnn_backward_rois", mode="backward_rois")
    yield of(_TRAIN)
    yield of(_FPN, "fpn_train", regions=512, mode="train")
    for count in (1, 8):
        yield of(_SMALL, f"small_{count}", regions=count)
    yield replace(of(_FPN), name="pyramid", levels=4, options=_UNALIGNED)


def _family() -> Iterable[Workload]:
    """The other operators: R-FCN's score maps, and fast_rcnn's regions."""
    scores = replace(_FAST_RCNN, maps=(1, 21 * 49, 38, 63), regions=300)
    options = {"rfcn": (("convention", "rfcn"),), "torchvision": (("convention", "torchvision"),)}
    for convention, how in options.items():
        name = f"ps_pool_{convention}"
        yield replace(scores, name=name, operator="ps_roi_pool", options=how)
    align = replace(scores, name="ps_align", operator="ps_roi_align", options=_SAMPLED[:1])
    yield align
    yield replace(align, name="ps_align_backward", mode="backward")
    boxes = replace(_FAST_RCNN, maps=(1, 256, 38, 63), regions=1000)
    yield replace(boxes, name="align_1000", operator="roi_align", options=_SAMPLED)
    yield replace(boxes, name="prroi", operator="prroi_pool")
    yield replace(boxes, name="average", operator="roi_pool", options=(("mode", "avg"),))
    yield replace(boxes, name="align_max", operator="roi_align", options=(*_SAMPLED, _MAX))
    turned = replace(boxes, name="rotated", operator="roi_align_rotated", options=_SAMPLED[:1])
    yield turned
    yield replace(turned, name="rotated_backward", mode="backward")
    crops = replace(boxes, name="crop", operator="crop_and_resize", pooled_size=(14, 14))
    yield replace(crops, regions=300)
    yield replace(crops, regions=300, name="crop_backward", mode="backward")


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

    yield from _aligned()
    yield from _family()


WORKLOADS = {workload.name: workload for workload in _all()}
POOL = ["fast_rcnn", "fast_rcnn_backward", "train", "fpn", "fpn_train", "small_1", "small_8"]
ALIGN = [workload.name for workload in _aligned()]
FAMILY = [workload.name for workload in _family()]
MAIN = [*POOL, *ALIGN]
GROUPS = {
    "main": MAIN,
    "all": list(WORKLOADS),
    "roi_pool": POOL,
    "roi_align": ALIGN,
    "family": FAMILY,
}


def chosen(names: Iterable[str]) -> list[Workload]:
    """The workloads of these names; those of GROUPS stand for several."""
    wanted = [name for given in names for name in GROUPS.get(given, (given,))]
    unknown = [name for name in wanted if name not in WORKLOADS]
    if unknown:
        known = ", ".join([*WORKLOADS, *GROUPS])
        raise ValueError(f"no workload {unknown[0]!r}; there are {known}")
    return [WORKLOADS[name] for name in dict.fromkeys(wanted)]
