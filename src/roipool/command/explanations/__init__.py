"""Operators explained: what becomes of one region, and what its bins read."""

from collections.abc import Callable

from roipool.command.explanation import Explanation, Pooled
from roipool.command.explanations import (
    averages,
    crops,
    integrals,
    largest,
    sampling,
    turned,
    winners,
)

EXPLAINED: dict[str, Callable[[Pooled], Explanation]] = {
    "roi_pool": winners.explained,
    "roi_pool_avg": averages.explained,
    "roi_align": sampling.explained,
    "roi_align_max": largest.explained,
    "roi_align_onnx_max": largest.explained_singly,
    "roi_align_rotated": turned.explained,
    "ps_roi_pool": averages.explained_by_bin,
    "ps_roi_align": sampling.explained,
    "prroi_pool": integrals.explained,
    "crop_and_resize": crops.explained,
}
