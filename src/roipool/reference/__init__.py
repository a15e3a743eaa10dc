"""The definition, as loops: slow, meant to be read, and the oracle of every test.

Nothing here is shared with the fast path. docs/semantics.md says the same in words.

`maxima` and `aligned` have the operators. Of one that is linear in the features, a function says
which pixels a bin reads, with what weights, and how these move with the region; `weighing` has the
sums and the gradients of all of them.
"""

from roipool.reference.aligned import roi_align, roi_align_backward
from roipool.reference.bins import axis_bins
from roipool.reference.coordinates import float_type, is_region, round_half_away, to_float
from roipool.reference.maxima import roi_pool, roi_pool_backward
from roipool.reference.samples import inside, sample_taps

__all__ = [
    "axis_bins",
    "float_type",
    "inside",
    "is_region",
    "roi_align",
    "roi_align_backward",
    "roi_pool",
    "roi_pool_backward",
    "round_half_away",
    "sample_taps",
    "to_float",
]
