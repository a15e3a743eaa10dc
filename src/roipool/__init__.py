"""Region-of-interest pooling for every Python array library."""

from typing import TYPE_CHECKING

from roipool.importing import when_needed
from roipool.operators import (
    assign_levels,
    check_rois,
    crop_and_resize,
    crop_and_resize_backward,
    crop_and_resize_backward_boxes,
    gather_points,
    gather_points_backward,
    gather_points_backward_weight,
    multi_scale,
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
if not TYPE_CHECKING:  # to which every name would be known
    __getattr__ = when_needed(__name__, "geometry", "native", "rois")
__all__ = [
    "assign_levels",
    "check_rois",
    "crop_and_resize",
    "crop_and_resize_backward",
    "crop_and_resize_backward_boxes",
    "gather_points",
    "gather_points_backward",
    "gather_points_backward_weight",
    "get_num_threads",
    "multi_scale",
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
