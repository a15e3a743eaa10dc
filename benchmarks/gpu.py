"""On a GPU, beside torchvision's operators and the floor: `python -m benchmarks.gpu`.

The floor is the time of moving what must be moved, the result written and the maps read once, at
the speed at which a large array is copied. Each call is timed by the device's clock, the median of
21, with the L2 cache emptied before; replays of a captured graph leave out the launches, which
Python prepares one by one. Values are compared with torchvision's before.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor

import roipool
from benchmarks.workloads import WORKLOADS, Workload, boxes_of

CALLS = 21
FLUSHED = 2**28  # bytes, more than any L2 cache
FAST_RCNN, FPN = WORKLOADS["fast_rcnn"], WORKLOADS["fpn"]
CASES = (
    replace(FAST_RCNN, name="fast_rcnn x 8", maps=(8, 512, 38, 63), regions=16000),
    WORKLOADS["batch_8"],
    replace(FPN, name="fpn x 8", maps=(8, 256, 200, 336), regions=8000),
    replace(FAST_RCNN, name="train", maps=(2, 512, 38, 63), regions=256),
    WORKLOADS["small_8"],
)
OPTIONS = {"roi_align": {"sampling_ratio": 2}, "roi_pool": {}}
COLUMNS = ("last", "replayed", "NCHW replayed", "torchvision")


def timed(call: Callable[[], Any]) -> float:
    """Milliseconds."""
    flushed = torch.empty(FLUSHED, dtype=torch.uint8, device="cuda")
    times = []
    for i in range(CALLS + 3):  # the first are to warm up
        flushed.zero_()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        if i >= 3:
            times.append(start.elapsed_time(end))
    return float(np.median(times))


def replayed(call: Callable[[], Any]) -> float:
    """The same of a captured graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return timed(graph.replay)


def copied() -> float:
    """Bytes a millisecond, read and written."""
    source = torch.empty(2**28, device="cuda")
    result = torch.empty_like(source)
    return 2 * source.nbytes / timed(lambda: result.copy_(source))


def calls(name: str, workload: Workload, dtype: torch.dtype, rois: Tensor) -> dict[str, list[Any]]:
    """Forward and backward of an operator: with channels last, as NCHW, and torchvision's."""
    size, scale, how = workload.pooled_size, workload.spatial_scale, OPTIONS[name]
    data = torch.randn(workload.maps, device="cuda", dtype=dtype)
    grad = torch.randn(len(rois), data.shape[1], *size, device="cuda", dtype=dtype)
    theirs = rois.to(dtype)
    backends = getattr(torch.ops.torchvision, f"_{name}_backward")
    pool = getattr(roipool, name)
    if name == "roi_align":

        def forward():
            return torchvision.ops.roi_align(data, theirs, size, scale, 2, True)

        def backward():
            return backends(grad, theirs, scale, *size, *data.shape, 2, True)

        def saved(_):
            return ()
    else:

        def forward():
            return torchvision.ops.roi_pool(data, theirs, size, scale)

        _, argmax = torch.ops.torchvision.roi_pool(data, theirs, scale, *size)

        def backward():
            return backends(grad, theirs, argmax, scale, *size, *data.shape)

        def saved(maps):
            return (pool(maps, rois, size, scale, return_argmax=True)[1],)

        how = {}
    found: dict[str, list[Any]] = {"forward": [], "backward": []}
    for lying in (torch.channels_last, torch.contiguous_format):
        maps, given = (t.contiguous(memory_format=lying) for t in (data, grad))
        kept = saved(maps)
        scaled = () if kept else (scale,)

        def run(maps: Tensor = maps) -> Tensor:
            return pool(maps, rois, size, scale, **how)

        def back(given: Tensor = given, kept: Any = kept, scaled: Any = scaled) -> Tensor:
            function = getattr(roipool, f"{name}_backward")
            return function(given, *kept, rois, data.shape, *scaled, **how)

        found["forward"].append(run)
        found["backward"].append(back)
    found["forward"].append(forward)
    found["backward"].append(backward)
    return found


def main() -> None:
    """Compare, then print a table."""
    print(torch.cuda.get_device_name(), torch.__version__, "torchvision", torchvision.__version__)
    speed = copied()
    print(f"copies {speed / 1e6:,.0f} GB/s\n")
    print(f"| workload | dtype | call | floor | {' | '.join(COLUMNS)} |")
    print("| --- | --- | --- |" + " ---: |" * (1 + len(COLUMNS)))
    for workload in CASES:
        rois = torch.from_numpy(boxes_of(workload)).cuda()
        for dtype in (torch.float32, torch.float16):
            item = torch.empty((), dtype=dtype).itemsize
            result = workload.regions * workload.maps[1] * int(np.prod(workload.pooled_size))
            floor = (result + int(np.prod(workload.maps))) * item / speed
            for name in OPTIONS:
                for mode, (last, plain, theirs) in calls(name, workload, dtype, rois).items():
                    _compare(last(), theirs(), dtype)
                    times = timed(last), replayed(last), replayed(plain), timed(theirs)
                    said = " | ".join(f"{time:.3f}" for time in (floor, *times))
                    kind = str(dtype).removeprefix("torch.")
                    print(f"| {workload.name} | {kind} | {name} {mode} | {said} |", flush=True)


def _compare(ours: Tensor, theirs: Tensor, dtype: torch.dtype) -> None:
    """Of half types torchvision rounds coordinates and sums too."""
    if dtype == torch.float32:
        apart = (ours - theirs).abs().max() / theirs.abs().max()
        assert apart < 1e-4, f"{apart:.1e} of the largest"


if __name__ == "__main__":
    main()
