"""Cases for the operators beside roi_pool and roi_align, the same in every Python: needs NumPy."""

import numpy as np

SIZE, SCALE = (3, 3), 0.25
SIDES = (11, 13)  # of the map


def regions(rng, count):
    """Corners inside, across borders and outside; reversed, empty, on whole pixels, far away."""
    height, width = (side / SCALE for side in SIDES)
    corners = rng.uniform(-0.4, 1.4, (count, 4)) * [width, height, width, height]
    ordered = rng.random(count) < 0.8
    corners[ordered] = np.concatenate(
        [np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])], 1
    )[ordered]
    corners[: count // 4] = np.round(corners[: count // 4])
    corners[0] = [9, 9, 9, 9]
    corners[1] = [4000, 4000, 4010, 4010]
    corners[2] = [-3, -3, width + 3, height + 3]
    image = rng.integers(0, 2, (count, 1))
    return np.concatenate([image, corners], 1).astype(np.float32)


def cases(count, seed=0):
    """Each with everything that any operator wants."""
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        rois = regions(rng, 12)
        sides = np.abs(rois[:, 3:] - rois[:, 1:3])
        angle = rng.uniform(-4, 4, (12, 1))
        turned = np.concatenate([rois[:, :1], rois[:, 1:3], sides, angle], 1)
        shares = rng.uniform(-0.3, 1.3, (12, 4))
        shares[0], shares[1] = [0, 0, 1, 1], [1, 1, 0, 0]
        yield {
            "data": rng.standard_normal((2, 18, *SIDES)).astype(np.float32),
            "rois": rois,
            "turned": turned.astype(np.float32),
            "boxes": np.concatenate([rois[:, :1], shares], 1).astype(np.float32),
            "grad": rng.standard_normal((12, 2, *SIZE)).astype(np.float32),
            "ratio": (2, 3)[i % 2],
        }
