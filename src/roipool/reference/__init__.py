"""The definition, as loops: slow, meant to be read, and the oracle of every test.

Nothing here is shared with the fast path. docs/semantics.md says the same in words.

`maxima`, `means`, `aligned`, `integrals`, `rotated` and `crops` have the operators. Of each that is
linear in the features, a function says which pixels a bin reads, with what weights, and how these
move with the region; `weighing` has the sums and the gradients of all of them.
"""

from roipool.reference.aligned import (
    ps_roi_align,
    ps_roi_align_backward,
    roi_align,
    roi_align_backward,
)
from roipool.reference.bins import axis_bins
from roipool.reference.coordinates import float_type, is_region, round_half_away, to_float
from roipool.reference.crops import crop_and_resize, crop_and_resize_backward
from roipool.reference.integrals import prroi_pool, prroi_pool_backward
from roipool.reference.levels import assign_levels
from roipool.reference.maxima import (
    roi_align_max,
    roi_align_max_backward,
    roi_pool,
    roi_pool_backward,
)
from roipool.reference.means import (
    ps_roi_pool,
    ps_roi_pool_backward,
    roi_pool_average,
    roi_pool_average_backward,
)
from roipool.reference.rotated import roi_align_rotated, roi_align_rotated_backward
from roipool.reference.samples import inside, sample_taps

__all__ = [
    "assign_levels",
    "axis_bins",
    "crop_and_resize",
    "crop_and_resize_backward",
    "float_type",
    "inside",
    "is_region",
    "prroi_pool",
    "prroi_pool_backward",
    "ps_roi_align",
    "ps_roi_align_backward",
    "ps_roi_pool",
    "ps_roi_pool_backward",
    "roi_align",
    "roi_align_backward",
    "roi_align_max",
    "roi_align_max_backward",
    "roi_align_rotated",
    "roi_align_rotated_backward",
    "roi_pool",
    "roi_pool_average",
    "roi_pool_average_backward",
    "roi_pool_backward",
    "round_half_away",
    "sample_taps",
    "to_float",
]
