"""Calls of roi_align that every peer can answer; run by the peers' own Pythons too."""

import numpy as np

SCALES = [1.0, 0.5, 0.25, 0.0625, 1 / 3, 0.7, 0.05]
SIZES = [(1, 1), (2, 2), (7, 7), (3, 5), (14, 14), (1, 9), (4, 13)]
OPTIONS = [(ratio, aligned) for ratio in (2, 0, 3) for aligned in (True, False)]


def align_boxes(rng, count, images, height, width, scale):
    """Inside, across every border, far outside, reversed, of no size, of whole pixels."""
    size = np.exp(rng.uniform(0, np.log(2 * max(height, width)), (count, 2)))
    inside = rng.uniform(0, 1, (count, 2)) * np.maximum([width, height] - size, 0)
    corners = np.concatenate([inside, inside + size], axis=1)
    kind = np.arange(count) % 9
    for k, (axis, end) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):  # one border each
        over = kind == k
        at = (width, height)[axis] * end - size[over, axis] * rng.uniform(0.1, 0.9, over.sum())
        corners[over, axis], corners[over, 2 + axis] = at, at + size[over, axis]
    corners[kind == 4] += rng.choice([-1, 1], ((kind == 4).sum(), 1)) * 3 * max(height, width)
    corners[kind == 5] = corners[kind == 5][:, [2, 3, 0, 1]]  # reversed
    corners[kind == 6, 2:] = corners[kind == 6, :2]  # empty
    corners /= scale
    corners[kind == 7] = np.round(corners[kind == 7])
    index = rng.integers(0, images, (count, 1))
    return np.concatenate([index, corners], axis=1)


def near_a_jump(rois, shape, pooled_size, scale, sampling_ratio, aligned, steps=4):
    """Whether a sample of each row lies so few floats from −1 or from L, where values jump."""
    F, near = rois.dtype.type, np.zeros(len(rois), bool)
    offset = 0.5 if aligned else 0.0
    for axis, (length, count) in enumerate(zip(shape[2:], pooled_size)):  # noqa: B905 - NumPy 1.23
        begin, end = (
            rois[:, column].astype(float) * scale - offset for column in (2 - axis, 4 - axis)
        )
        extent = end - begin if aligned else np.maximum(end - begin, 1)
        step = extent / count
        samples = np.full(len(rois), sampling_ratio) if sampling_ratio > 0 else np.ceil(step)
        for k in np.flatnonzero(samples > 0):
            p = np.arange(count)[:, None]
            i = np.arange(int(samples[k])) + 0.5
            position = begin[k] + p * step[k] + i * step[k] / samples[k]
            # Each of the few roundings on the way is of a number of the ends' size.
            unit = np.spacing(F(max(abs(begin[k]), abs(end[k]), length, 1)))
            jump = np.minimum(np.abs(position + 1), np.abs(position - length))
            near[k] |= bool((jump <= steps * unit).any())
    return near


def refused(peer, rois, aligned, sampling_ratio):
    """Boxes of no size or reversed, where aligned: an error or NaN in most peers' adaptive grids,
    and the end of the process in any of MXNet's.
    """
    if not aligned or (sampling_ratio > 0 and peer != "mxnet"):
        return np.zeros(len(rois), bool)
    return (rois[:, 3] <= rois[:, 1]) | (rois[:, 4] <= rois[:, 2])


def align_cases(peer, count, seed=0):
    """Dicts of data, rois, pooled_size, scale, options and the gradient that comes back."""
    rng = np.random.default_rng(seed)
    # The others have float32 alone, and MXNet's scale is float32 in float64 too.
    dtypes = (np.float32, np.float64) if peer == "torchvision" else (np.float32,)
    for i in range(count):
        dtype = dtypes[i // len(OPTIONS) % len(dtypes)]
        images, channels = int(rng.integers(1, 4)), int(rng.integers(1, 24))
        height, width = (int(n) for n in rng.integers(2, 45, 2))
        scale = SCALES[rng.integers(len(SCALES))]
        size = SIZES[rng.integers(len(SIZES))]
        ratio, aligned = OPTIONS[i % len(OPTIONS)]
        shape = (images, channels, height, width)
        rois = align_boxes(rng, int(rng.integers(9, 40)), images, height, width, scale)
        rois = rois.astype(dtype)
        near = near_a_jump(rois, shape, size, scale, ratio, aligned)
        left_out = near | refused(peer, rois, aligned, ratio)
        rois = rois[~left_out]
        yield {
            "data": rng.standard_normal(shape).astype(dtype),
            "rois": rois,
            "pooled_size": size,
            "scale": scale,
            "sampling_ratio": ratio,
            "aligned": aligned,
            "grad": rng.standard_normal((len(rois), channels, *size)).astype(dtype),
            "near": int(near.sum()),
            "left_out": int(left_out.sum()),
        }
