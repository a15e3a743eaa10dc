"""Whether contenders computed the same, looked at before any time is shown."""

from pathlib import Path

import numpy as np

ARRAYS = {
    "forward": ("values",),
    "train": ("values", "gradient"),
    "backward": ("gradient",),
    "backward_rois": ("gradient",),
}
EXACT = ("roi_pool",)  # operators whose values are no sums
TOLERANCE = 1e-5  # of what are sums: other orders of summing round differently


class DisagreementError(Exception):
    """A contender that must compute what roipool does, and doesn't."""


class NoAnswerError(DisagreementError):
    """The contender that all others are compared with has no result."""

    def __init__(self, told: str, unsupported: bool):
        super().__init__(told)
        self.unsupported = unsupported


def compare(operator: str, mode: str, agrees: str, ours: Path, theirs: Path) -> str:
    """Say how two folders of results agree; raise if they had to and don't."""
    if not agrees:
        return ""
    said = []
    for i, name in enumerate(ARRAYS[mode]):
        a, b = (np.load(folder / f"{i}.npy", mmap_mode="r") for folder in (ours, theirs))
        if a.shape != b.shape or a.dtype != b.dtype:
            raise DisagreementError(f"{name} {b.dtype} {b.shape}, not {a.dtype} {a.shape}")
        bits = f"u{a.itemsize}"
        summed = name == "gradient" or operator not in EXACT
        different = a.view(bits) != b.view(bits)
        if not different.any():
            said.append("bit for bit")
            continue
        if summed:
            distance = _distance(a, b)
            if distance.max() <= TOLERANCE:
                said.append(f"{name} within {distance.max():.0e}")
                continue
            different = ~(distance <= TOLERANCE)
        told = f"{np.count_nonzero(different):,} of {a.size:,} {name} differ"
        if summed:
            told += f", by up to {distance.max():.1e} of the largest"
        if agrees != "counted":
            raise DisagreementError(told)
        said.append(told)
    return ", ".join(dict.fromkeys(said))


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Relative to the largest: where terms cancel, one's own size says nothing of rounding."""
    a, b = (each.astype(np.float64) if each.itemsize < 8 else each for each in (a, b))
    return np.abs(a - b) / max(np.abs(a).max(), np.finfo(np.float64).tiny)
