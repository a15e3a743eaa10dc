"""The public operators: a file each, of what it computes, accepts and is made of."""

from roipool.operators.roi_align import roi_align, roi_align_backward, roi_align_backward_rois
from roipool.operators.roi_pool import roi_pool, roi_pool_backward

__all__ = [
    "roi_align",
    "roi_align_backward",
    "roi_align_backward_rois",
    "roi_pool",
    "roi_pool_backward",
]
