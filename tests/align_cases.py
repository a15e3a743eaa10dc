"""Calls of roi_align that a peer must answer as we do, to rounding.

Run by the peers' own Pythons too, so it needs nothing but NumPy.
"""

import numpy as np

from peers.cases import cases

RATIOS = (0, 1, 2, 3)
BLURRED = 4  # so many units in the last place from a jump, rounding says on which side of it


def calls(count, seed, kept=lambda rois, call: np.ones(len(rois), bool)):
    """Cases with a sampling ratio and whether aligned, without regions that lie at a jump, or are
    not `kept`; and how many are left out because of a jump.
    """
    left_out = 0
    found = []
    for i, case in enumerate(cases(count, seed)):
        scale = float(np.float32(case["scale"]))  # which is what peers make of it
        call = {"sampling_ratio": RATIOS[i // 2 % 4], "aligned": i // 8 % 2 == 1}
        rois = case["rois"]
        off = off_jumps(rois, case["data"].shape, case["pooled_size"], scale, **call)
        keep = off & kept(rois, call)
        left_out += np.count_nonzero(~off)
        if keep.any():
            case |= {"rois": rois[keep], "grad": case["grad"][keep], "scale": scale}
            found.append(case | {"how": call})
    return found, left_out


def proper(rois, call):
    """Regions with a height and a width, where they are not widened to a pixel."""
    return (not call["aligned"]) | np.all(rois[:, 3:] > rois[:, 1:3], axis=1)


def off_jumps(rois, shape, pooled_size, scale, sampling_ratio, aligned):
    """Whether no sample of each region lies at −1 or at the end of the map, where values jump."""
    F = rois.dtype.type
    off = np.ones(len(rois), bool)
    for axis, (length, bins) in enumerate(zip(shape[:1:-1], pooled_size[::-1], strict=True)):
        for k, (first, last) in enumerate(rois[:, [1 + axis, 3 + axis]] * F(scale)):
            begin = first - F(0.5 * aligned)
            size = last - F(0.5 * aligned) - begin
            step = (size if aligned else max(size, F(1))) / F(bins)
            samples = sampling_ratio or max(int(np.ceil(step)), 0)
            part, sample = np.arange(bins, dtype=F)[:, None], np.arange(samples, dtype=F) + F(0.5)
            position = begin + part * step + sample * step / F(max(samples, 1))
            near = BLURRED * np.spacing(np.maximum(np.abs(position), max(length, abs(begin))))
            away = np.minimum(np.abs(position + 1), np.abs(position - length))
            off[k] &= bool(np.all(away > near))
    return off


def assert_close(actual, expected):
    """To rounding: a value is a sum of a few dozen products."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    most = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-5, "float64": 1e-12}
    expected = expected.astype(np.float64)
    error = np.abs(actual.astype(np.float64) - expected)
    assert np.all(error <= most[actual.dtype.name] * np.maximum(1, np.abs(expected))), error.max()
