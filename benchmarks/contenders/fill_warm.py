"""The other floor: memory of the result's size that was written before is filled again."""

from functools import partial

from benchmarks.contenders import Case
from benchmarks.contenders.fill_fresh import ABOUT, AGREES, arrays_of, filler

__all__ = ["ABOUT", "AGREES", "backward", "backward_rois", "forward", "train"]


def _fill(mode: str, case: Case):
    fill = filler(case.threads)
    arrays = fill(arrays_of(case, mode))
    return lambda: fill(arrays)


forward, train, backward, backward_rois = (
    partial(_fill, mode) for mode in ("forward", "train", "backward", "backward_rois")
)
