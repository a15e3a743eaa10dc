"""Region-of-interest pooling for every Python array library."""

from roipool.operators import (
    roi_align,
    roi_align_backward,
    roi_align_backward_rois,
    roi_pool,
    roi_pool_backward,
)
from roipool.threads import get_num_threads, set_num_threads

__version__ = "0.1.0"
__all__ = [
    "get_num_threads",
    "roi_align",
    "roi_align_backward",
    "roi_align_backward_rois",
    "roi_pool",
    "roi_pool_backward",
    "set_num_threads",
]
