"""The public operators: a file each, of what it computes, accepts and is made of."""

from roipool.operators.check_rois import check_rois
from roipool.operators.crop_and_resize import (
    crop_and_resize,
    crop_and_resize_backward,
    crop_and_resize_backward_boxes,
)
from roipool.operators.gather_points import (
    gather_points,
    gather_points_backward,
    gather_points_backward_weight,
)
from roipool.operators.multi_scale import assign_levels, multi_scale
from roipool.operators.prroi_pool import prroi_pool, prroi_pool_backward, prroi_pool_backward_rois
from roipool.operators.ps_roi_align import (
    ps_roi_align,
    ps_roi_align_backward,
    ps_roi_align_backward_rois,
)
from roipool.operators.ps_roi_pool import ps_roi_pool, ps_roi_pool_backward
from roipool.operators.roi_align import roi_align, roi_align_backward, roi_align_backward_rois
from roipool.operators.roi_align_rotated import (
    roi_align_rotated,
    roi_align_rotated_backward,
    roi_align_rotated_backward_rois,
)
from roipool.operators.roi_pool import roi_pool, roi_pool_backward

__all__ = [
    "assign_levels",
    "check_rois",
    "crop_and_resize",
    "crop_and_resize_backward",
    "crop_and_resize_backward_boxes",
    "gather_points",
    "gather_points_backward",
    "gather_points_backward_weight",
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
]
