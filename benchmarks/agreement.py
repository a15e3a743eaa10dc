"""Whether contenders computed the same, looked at before any time is shown."""

from pathlib import Path

import numpy as np

ARRAYS = {"forward": ("values",), "train": ("values", "gradient"), "backward": ("gradient",)}
TOLERANCE = 1e-5  # of gradients, which are sums: other orders of summing round differently


class DisagreementError(Exception):
    """A contender that must compute what roipool does, and doesn't."""


def compare(mode: str, agrees: str, ours: Path, theirs: Path) -> str:
    """Say how two folders of results agree; raise if they had to and don't."""
    if not agrees:
        return ""
    said = []
    for i, name in enumerate(ARRAYS[mode]):
        a, b = (np.load(folder / f"{i}.npy", mmap_mode="r") for folder in (ours, theirs))
        if a.shape != b.shape or a.dtype != b.dtype:
            raise DisagreementError(f"{name} {b.dtype} {b.shape}, not {a.dtype} {a.shape}")
        bits = f"u{a.itemsize}"
        different = int(np.count_nonzero(a.view(bits) != b.view(bits)))
        count = f"{different:,} of {a.size:,} {name}"
        if different == 0:
            said.append("bit for bit")
        elif name == "gradient":
            said.append(_close(a, b, count))
        elif agrees == "counted":
            said.append(f"{count} differ")
        else:
            raise DisagreementError(f"{count} differ")
    return ", ".join(dict.fromkeys(said))


def _close(a: np.ndarray, b: np.ndarray, count: str) -> str:
    # Relative to the largest: where terms cancel, an element's own size says nothing of rounding.
    distance = np.abs(a - b).max() / np.abs(a).max()
    if not distance <= TOLERANCE:
        raise DisagreementError(f"{count} differ, by up to {distance:.1e} of the largest")
    return f"gradient within {distance:.0e}"
