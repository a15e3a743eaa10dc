"""Calls that every peer must answer as we do: finite numbers, regions of every kind.

Run by the peers' own Pythons too, so it needs nothing but NumPy.
"""

import numpy as np

SCALES = [1.0, 0.5, 0.25, 0.0625, 1 / 3, 0.7, 0.05]
SIZES = [(1, 1), (2, 2), (7, 7), (3, 5), (6, 6), (14, 14), (1, 9), (4, 13)]


def finite_maps(rng, shape, dtype):
    """Distinct numbers, many ties, or zeros of both signs."""
    maps = rng.standard_normal(shape).astype(dtype)
    kind = rng.integers(0, 3)
    if kind == 1:
        maps = np.round(maps)
    elif kind == 2:
        maps = np.where(maps > 0, dtype(0), maps)
        maps[rng.random(shape) < 0.3] = dtype(-0.0)
    return maps


def regions(rng, count, images, height, width, scale, dtype):
    size = np.exp(rng.uniform(0, np.log(2 * max(height, width)), (count, 2)))
    centre = rng.uniform(-0.3, 1.3, (count, 2)) * [width, height]
    corners = np.concatenate([centre - size / 2, centre + size / 2], axis=1) / scale
    kind = rng.integers(0, 8, count)
    corners[kind == 0] = corners[kind == 0][:, [2, 3, 0, 1]]  # inverted
    corners[kind == 1] = np.round(corners[kind == 1])
    corners[kind == 2] = (np.floor(corners[kind == 2] * scale) + 0.5) / scale  # ties
    corners[kind == 3, 2:] = corners[kind == 3, :2]  # one pixel
    corners[kind == 4] = [0, 0, (width - 1) / scale, (height - 1) / scale]  # the whole map
    rows = np.concatenate([rng.integers(0, images, (count, 1)), corners], axis=1)
    return rows.astype(dtype)


def cases(count, seed=0):
    """Dicts of data, rois, pooled_size, scale and the gradient that comes back."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        dtype = (np.float32, np.float64)[i % 2]
        images, channels = int(rng.integers(1, 4)), int(rng.integers(1, 24))
        height, width = (int(n) for n in rng.integers(1, 45, 2))
        scale = SCALES[rng.integers(len(SCALES))]
        size = SIZES[rng.integers(len(SIZES))]
        rois = regions(rng, int(rng.integers(1, 30)), images, height, width, scale, dtype)
        yield {
            "data": finite_maps(rng, (images, channels, height, width), dtype),
            "rois": rois,
            "pooled_size": size,
            "scale": scale,
            "grad": rng.standard_normal((len(rois), channels, *size)).astype(dtype),
        }
