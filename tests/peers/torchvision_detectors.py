"""torchvision's detectors before and after `use`: `python torchvision_detectors.py OUT.json`.

Run by torchvision's Python, beside roipool. Writes for each detector how many modules were
replaced, and how far what is named is apart.
"""

import copy
import json
import sys
from pathlib import Path

import torch
from torchvision.models import detection

from roipool.compat.torchvision import use

DETECTORS = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn")
POOLS = ("box_roi_pool", "mask_roi_pool", "keypoint_roi_pool")
SIDES = [(96, 130), (120, 88)]


def built(name):
    torch.manual_seed(0)
    model = getattr(detection, name)(
        weights=None,
        weights_backbone=None,
        min_size=80,
        max_size=128,
        box_score_thresh=0.0,
        box_detections_per_img=20,
        box_batch_size_per_image=48,
        rpn_post_nms_top_n_test=100,
        rpn_post_nms_top_n_train=100,
    )
    for pool in POOLS:
        if getattr(model.roi_heads, pool, None) is not None:
            getattr(model.roi_heads, pool).canonical_scale = 40  # small images on all levels
    return model


def some_images(dtype):
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, *sides, generator=generator).to(dtype) for sides in SIDES]


def some_targets(dtype):
    boxes = [
        torch.tensor([[10.0, 12, 60, 70], [50, 20, 120, 90], [3, 40, 30, 80]]),
        torch.tensor([[5.0, 5, 80, 110]]),
    ]
    generator = torch.Generator().manual_seed(2)
    targets = []
    for (height, width), each in zip(SIDES, boxes, strict=True):
        masks = torch.zeros(len(each), height, width, dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, each.int().tolist(), strict=True):
            mask[y1:y2, x1:x2] = 1
        inside = torch.rand(len(each), 17, 2, generator=generator)
        at = each[:, None, :2] + inside * (each[:, None, 2:] - each[:, None, :2])
        keypoints = torch.cat([at, torch.ones(len(each), 17, 1)], dim=2)
        labels, each = torch.ones(len(each), dtype=torch.int64), each.to(dtype)
        targets.append({"boxes": each, "labels": labels, "masks": masks, "keypoints": keypoints})
    return targets


def pooled_by(model, call):
    """What a call gives, and what each of the model's modules pooled on the way."""
    pooled = {}
    hooks = [
        getattr(model.roi_heads, name).register_forward_hook(
            lambda module, taken, given, name=name: pooled.__setitem__(name, given.detach())
        )
        for name in POOLS
        if getattr(model.roi_heads, name, None) is not None
    ]
    result = call(model)
    for hook in hooks:
        hook.remove()
    return result, pooled


def most_apart(ours, theirs):
    """The largest difference in any of the tensors, as a share of the largest value there.

    Beside one whose values are a millionth of all others' a value is 0, and the rest rounding: such
    is the gradient of a bias before a softmax.
    """
    if {name: each.shape for name, each in ours.items()} != {
        name: each.shape for name, each in theirs.items()
    }:
        return float("inf")
    sizes = {name: float(each.abs().max()) for name, each in theirs.items()}
    least = 1e-6 * max(sizes.values())
    return max(
        float((ours[name] - theirs[name]).abs().max()) / max(size, least)
        for name, size in sizes.items()
    )


def not_found(ours, theirs):
    """How many detections of theirs have none of ours of like label, score and place."""
    count = 0
    for mine, other in zip(ours, theirs, strict=True):
        like = (mine["boxes"] - other["boxes"][:, None]).abs().amax(-1) < 1e-2
        like &= (mine["scores"] - other["scores"][:, None]).abs() < 1e-5
        like &= mine["labels"] == other["labels"][:, None]
        count += int((~like.any(1)).sum())
    return count


def evaluated(model, replaced):
    def call(each):
        with torch.no_grad():
            return each.eval()(some_images(torch.float32))

    (theirs, pooled), (ours, pooled_here) = (pooled_by(each, call) for each in (model, replaced))
    return {
        "detections": sum(len(each["boxes"]) for each in theirs),
        "not found": not_found(ours, theirs) + not_found(theirs, ours),
        "pooled": most_apart(pooled_here, pooled),
    }


def trained(model, replaced):
    """In float64, where a gradient that is all rounding in float32 is compared too."""

    def call(each):
        torch.manual_seed(3)  # of the proposals that are sampled
        losses = each.double().train()(some_images(torch.float64), some_targets(torch.float64))
        sum(losses.values()).backward()
        return {name: loss.detach() for name, loss in losses.items()}

    (theirs, pooled), (ours, pooled_here) = (pooled_by(each, call) for each in (model, replaced))
    gradients = [
        {name: p.grad for name, p in each.named_parameters() if p.grad is not None}
        for each in (replaced, model)
    ]
    return {
        "pooled trained": most_apart(pooled_here, pooled),
        "losses": most_apart(ours, theirs),
        "parameters": len(gradients[1]),
        "gradients": most_apart(*gradients),
    }


def main(path):
    found = {}
    for name in DETECTORS:
        model = built(name)
        replaced = copy.deepcopy(model)
        count = use(replaced)
        found[name] = {
            "replaced": count,
            "replaced again": use(replaced),
            **evaluated(model, replaced),
            **trained(model, replaced),
            "replaced when run": use(model),
        }
    Path(path).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
