"""The share of a detector's time that is pooling, before and after `use`.

    python -m benchmarks.detector

Detectors of torchvision with random weights on one image of noise, 800 by 1066 pixels, in the
Python that `make peers` made for it. Pooling is timed forward and backward, by cutting the graph
around it. Both sides take turns; times are medians.
"""

import argparse
import copy
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.environments import ROOT, link_package, python_of
from benchmarks.processes import THREAD_VARIABLES

DETECTORS = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn")
POOLS = ("box_roi_pool", "mask_roi_pool", "keypoint_roi_pool")
HEADER = """\
| detector | mode | ms before | pooling | share | ms after | pooling | share | pooling, times |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detector", description=__doc__)
    parser.add_argument("--detector", action="append", choices=DETECTORS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    if not find_spec("torchvision"):
        sys.exit(_elsewhere(arguments, options.threads))
    import torch
    import torchvision

    torch.set_num_threads(options.threads)
    print(f"torchvision {torchvision.__version__}, {options.threads} threads", HEADER, sep="\n\n")
    for name in options.detector or DETECTORS:
        for mode in ("evaluated", "trained"):
            before, after = measured(name, mode, options.rounds)
            print(f"| {name} | {mode} | {_row(before, after)} |", flush=True)


def _elsewhere(arguments: list[str], threads: int) -> int:
    """The same in torchvision's own Python, beside this roipool; its exit status."""
    python = python_of("torchvision")
    if python is None:
        raise SystemExit("torchvision is not here: make peers ARGS=torchvision")
    with tempfile.TemporaryDirectory() as folder:
        link_package(Path(folder))
        path = {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
        known = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)) | path
        command = [python, "-W", "ignore", "-m", "benchmarks.detector", *arguments]
        return subprocess.run(command, env=known).returncode


def measured(name: str, mode: str, rounds: int) -> list[list[tuple[float, float]]]:
    """Seconds of each call and those of pooling in it, before and after."""
    import torch
    from torchvision.models import detection

    from roipool.compat.torchvision import use

    torch.manual_seed(0)
    # Of a few classes, all of whose detections count: as many as a trained network finds.
    model = getattr(detection, name)(
        weights=None, weights_backbone=None, num_classes=4, box_score_thresh=0.0
    )
    for pool in POOLS:
        if getattr(model.roi_heads, pool, None) is not None:
            setattr(model.roi_heads, pool, _timed(getattr(model.roi_heads, pool)))
    sides = [model, copy.deepcopy(model)]
    use(sides[1])
    image = torch.rand(3, 800, 1066)
    taken: list[list[tuple[float, float]]] = [[], []]
    for number in range(rounds + 1):
        for side, times in zip(sides, taken, strict=True):
            found = _call(side, image, mode)
            if number:  # the first warms up
                times.append(found)
    return taken


def _call(model: Any, image: Any, mode: str) -> tuple[float, float]:
    """Seconds of one call, and those of pooling in it."""
    import torch

    pools = [module for module in model.modules() if hasattr(module, "seconds")]
    for pool in pools:
        pool.seconds = 0.0
    model.zero_grad()
    torch.manual_seed(1)  # of the proposals that are sampled
    start = time.perf_counter()
    if mode == "evaluated":
        with torch.no_grad():
            model.eval()([image])
    else:
        sum(model.train()([image], [_target(image)]).values()).backward()
    return time.perf_counter() - start, sum(pool.seconds for pool in pools)


def _target(image: Any) -> dict[str, Any]:
    """Twenty objects, each with what any of the detectors is trained for."""
    import torch

    height, width = image.shape[1:]
    corner = torch.rand(20, 2) * torch.tensor([width, height]) * 0.7
    boxes = torch.cat([corner, corner + 20 + 200 * torch.rand(20, 2)], dim=1)
    at = corner[:, None] + 20 * torch.rand(20, 17, 2)
    return {
        "boxes": boxes,
        "labels": torch.ones(20, dtype=torch.int64),
        "masks": torch.ones(20, height, width, dtype=torch.uint8),
        "keypoints": torch.cat([at, torch.ones(20, 17, 1)], dim=2),
    }


def _timed(pool: Any) -> Any:
    """A module that pools as this one does, and adds up its seconds, those of backward too."""
    import torch

    class Cut(torch.autograd.Function):
        @staticmethod
        def forward(ctx, module, x, boxes, shapes, *maps):
            start = time.perf_counter()
            training = module.training
            ctx.module, ctx.maps = module, [each.detach().requires_grad_(training) for each in maps]
            with torch.set_grad_enabled(training):
                ctx.values = module.pool(dict(zip(x, ctx.maps, strict=True)), boxes, shapes)
            module.seconds += time.perf_counter() - start
            return ctx.values.detach()

        @staticmethod
        def backward(ctx, grad):
            start = time.perf_counter()
            found = torch.autograd.grad(ctx.values, ctx.maps, grad, allow_unused=True)
            ctx.module.seconds += time.perf_counter() - start
            return None, None, None, None, *found

    class Timed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.pool, self.seconds = pool, 0.0

        def forward(self, x, boxes, shapes):
            return Cut.apply(self, [*x], boxes, shapes, *x.values())

    return Timed()


def _row(before: list[tuple[float, float]], after: list[tuple[float, float]]) -> str:
    cells, medians = [], []
    for times in (before, after):
        whole, pooling = (statistics.median(each) for each in zip(*times, strict=True))
        medians.append(pooling)
        cells += [f"{whole * 1e3:,.0f}", f"{pooling * 1e3:,.1f}", f"{pooling / whole:.1%}"]
    return " | ".join([*cells, f"{medians[0] / medians[1]:.1f}"])


if __name__ == "__main__":
    main(sys.argv[1:])
