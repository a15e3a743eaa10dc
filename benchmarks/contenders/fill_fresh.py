"""A floor: a new array of the result's size is filled, as whoever returns one must at least.

For training the result is all that is written: values, argmax where there is one, and gradient.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from benchmarks.contenders import Case

ABOUT = np.__version__
AGREES = ""
WORTH_THREADS = 2**20  # bytes; below, waking threads costs more than it saves


def arrays_of(case: Case, mode: str) -> list[np.ndarray]:
    """As bytes, which NumPy fills fastest (with memset)."""
    count, itemsize = int(np.prod(case.result_shape)), case.maps[0].itemsize
    values, gradient = count * itemsize, sum(data.nbytes for data in case.maps)
    argmax = [count * 4] if case.operator == "roi_pool" else []
    needed = {
        "forward": [values],
        "backward": [gradient],
        "backward_rois": [case.rois.nbytes],
        "train": [values, *argmax, gradient],
    }
    return [np.empty(size, np.uint8) for size in needed[mode]]


def filler(threads: int):
    """A function that fills arrays on so many threads."""
    pool = ThreadPoolExecutor(threads)

    def fill(arrays: list[np.ndarray]) -> list[np.ndarray]:
        for array in arrays:
            if array.nbytes < WORTH_THREADS:
                array.fill(1)
            else:
                list(pool.map(lambda part: part.fill(1), np.array_split(array, threads)))
        return arrays

    return fill


def _fill(mode: str, case: Case):
    fill = filler(case.threads)
    return lambda: fill(arrays_of(case, mode))


forward, train, backward, backward_rois = (
    partial(_fill, mode) for mode in ("forward", "train", "backward", "backward_rois")
)
