"""Region-of-interest pooling for every Python array library."""

from roipool.operators import (
    crop_and_resize,
    crop_and_resize_backward,
    crop_and_resize_backward_boxes,
    prroi_pool,
    prroi_pool_backward,
    prroi_pool_backward_rois,
    ps_roi_align,
    ps_roi_align_backward,
    ps_roi_align_backward_rois,
    ps_roi_pool,
    ps_roi_pool_backward,
    roi_align,
    roi_align_backward,
    roi_align_backward_rois,
    roi_align_rotated,
    roi_align_rotated_backward,
    roi_align_rotated_backward_rois,
    roi_pool,
    roi_pool_backward,
)
from roipool.threads import get_num_threads, set_num_threads

__version__ = "0.1.0"
__all__ = [
    "crop_and_resize",
    "crop_and_resize_backward",
    "crop_and_resize_backward_boxes",
    "get_num_threads",
    "prroi_pool",
    "prroi_pool_backward",
    "prroi_pool_backward_rois",
    "ps_roi_align",
    "ps_roi_align_backward",
    "ps_roi_align_backward_rois",
    "ps_roi_pool",
    "ps_roi_pool_backward",
    "roi_align",
    "roi_align_backward",
    "roi_align_backward_rois",
    "roi_align_rotated",
    "roi_align_rotated_backward",
    "roi_align_rotated_backward_rois",
    "roi_pool",
    "roi_pool_backward",
    "set_num_threads",
]
