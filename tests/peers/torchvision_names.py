"""torchvision's operators beside those of its names here: `python torchvision_names.py OUT.json`.

Run by torchvision's Python, beside roipool. Writes each name's arguments there, and how far values
and gradients are apart, as a share of the largest value or of 1.
"""

import inspect
import json
import sys
from pathlib import Path

import torch
from torchvision import ops

from roipool.compat import torchvision as compat

NAMES = (
    *("roi_pool", "roi_align", "ps_roi_pool", "ps_roi_align"),
    *("RoIPool", "RoIAlign", "PSRoIPool", "PSRoIAlign", "MultiScaleRoIAlign"),
)
SIDES = [(320, 416), (256, 480)]


def some_boxes(generator, count, dtype, height, width):
    """Inside and across the borders, of every size."""
    size = torch.exp(torch.rand(count, 2, generator=generator) * 5 + 1)
    centre = torch.rand(count, 2, generator=generator) * torch.tensor([width, height])
    return torch.cat([centre - size / 2, centre + size / 2], dim=1).to(dtype)


def apart(ours, theirs):
    if ours.shape != theirs.shape:
        return float("inf")
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1))


def compared(call, inputs, weights=None):
    """How far values and gradients of both modules' answers are apart."""
    answers = []
    for module in (compat, ops):
        given = [each.detach().requires_grad_() for each in inputs]
        values = call(module, *given)
        weights = torch.randn_like(values) if weights is None else weights
        answers.append([values.detach(), *torch.autograd.grad(values, given, weights)])
    return [apart(*pair) for pair in zip(*answers, strict=True)]


def main(path):
    generator = torch.Generator().manual_seed(0)
    found = {}
    for dtype in (torch.float32, torch.float64):
        data = torch.randn(2, 24, 40, 52, generator=generator).to(dtype)
        boxes = [some_boxes(generator, count, dtype, *SIDES[0]) for count in (60, 50)]
        for ratio in (2, -1):
            found[f"ps_roi_align {ratio} {dtype}"] = compared(
                lambda module, data, boxes=boxes, ratio=ratio: module.ps_roi_align(
                    data, boxes, (3, 4), 1 / 8, ratio
                ),
                [data],
            )
        # Off the last row and column, which torchvision's gradient reaches and its values do not.
        inner = [each.clamp(0, 300) for each in boxes]
        found[f"ps_roi_pool {dtype}"] = compared(
            lambda module, data, boxes=inner: module.ps_roi_pool(data, boxes, (3, 4), 1 / 8),
            [data],
        )
        maps = [
            torch.randn(2, 6, 320 >> level, 480 >> level, generator=generator).to(dtype)
            for level in (2, 3, 4, 5)
        ]
        for names in ("0123", "12", "3"):
            found[f"MultiScaleRoIAlign {names} {dtype}"] = compared(
                lambda module, *maps, boxes=boxes, names=names: module.MultiScaleRoIAlign(
                    [*names], (3, 4), 2, canonical_scale=100, canonical_level=4
                )(dict(zip(names, maps, strict=True)), boxes, SIDES),
                [maps[int(name)] for name in names],
            )
    signatures = {
        name: {
            parameter.name: repr(parameter.default)
            for parameter in inspect.signature(getattr(ops, name)).parameters.values()
        }
        for name in NAMES
    }
    Path(path).write_text(json.dumps({"signatures": signatures, "apart": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
