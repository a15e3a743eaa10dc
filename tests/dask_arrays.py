"""Feature maps, rows and their gradient, and ways to divide them into chunks."""

from itertools import pairwise

import dask.array as da
import numpy as np
from hypothesis import strategies as st

import roipool
from cases import normal_maps, odd_boxes, odd_maps, random_boxes

SHAPE = (3, 5, 13, 11)
CHUNKS = {
    "one": SHAPE,
    "by image": (1, 5, 13, 11),
    "by channel": (3, 1, 13, 11),
    "bands": (2, 3, 4, 11),
    "odd tiles": ((3,), (4, 1), (5, 7, 1), (2, 9)),
    "empty chunks": ((0, 3), (5, 0), (5, 0, 8), (0, 11)),
    "pixels": (3, 5, 1, 1),
}


def maps_and_rows(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    rows = np.concatenate([random_boxes(rng, 30, 3, 13, 11), odd_boxes(13, 11)])
    return odd_maps(rng, SHAPE, dtype), rng.permutation(rows)


def forms(rows, count=7):
    """The rows as they are, and as Dask arrays divided along both axes."""
    return rows, da.from_array(rows, chunks=(count, 2))


def some_grad(seed, dtype):
    rng = np.random.default_rng(seed)
    data, rows = maps_and_rows(seed)
    values, argmax = roipool.roi_pool(data, rows, (3, 4), return_argmax=True)
    return normal_maps(rng, values.shape, dtype), argmax, rows


sizes = st.sampled_from(["1B", "100B", "1kB", "1MB"])


def parts(whole):
    """Ways to divide a side into chunks."""
    cuts = st.lists(st.integers(0, whole), max_size=4).map(lambda at: [0, *sorted(at), whole])
    return cuts.map(lambda at: tuple(b - a for a, b in pairwise(at)))
