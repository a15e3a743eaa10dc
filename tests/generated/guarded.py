"""Arrays between pages that nobody may touch: who reads or writes past an end is stopped there."""

import ctypes
import mmap
from math import prod

import numpy as np

PAGE = mmap.PAGESIZE
NOTHING = 0  # PROT_NONE
protect = ctypes.CDLL(None, use_errno=True).mprotect
protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def guarded(shape, dtype, at_end=True):
    """Memory for an array, which ends where a page begins that is closed, or begins behind one."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    room = -(-size // PAGE) * PAGE
    pages = mmap.mmap(-1, room + 2 * PAGE)
    first = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    for closed in (first, first + PAGE + room):
        if protect(closed, PAGE, NOTHING):
            raise OSError(ctypes.get_errno(), "mprotect")
    begin = PAGE + (room - size if at_end else 0)
    return np.ndarray(shape, dtype, pages, begin)


def guarded_copy(array, at_end=True):
    """The same numbers in such memory, axes in the order in which they lie."""
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    lying = guarded([array.shape[axis] for axis in order], array.dtype, at_end)
    copy = lying.transpose(np.argsort(order))
    copy[...] = array
    return copy


LAYOUTS = {  # the order of axes in memory, and what of each is taken
    "contiguous": ((0, 1, 2, 3), None),
    "channels last": ((0, 2, 3, 1), None),
    "width first": ((3, 2, 1, 0), None),
    "reversed": ((0, 1, 2, 3), np.s_[::-1, ::-1, ::-1, ::-1]),
    "strided": ((0, 2, 3, 1), np.s_[:, ::2, ::2, ::2]),
    "one channel for all": ((0, 1, 2, 3), np.s_[:, :1]),
}
PLAIN = ["contiguous", "channels last"]  # as kernels fill them


def laid(values, layout, at_end=True):
    """Values (N, C, H, W) that lie in memory in one of these ways; of one channel, that for all."""
    order, taken = LAYOUTS[layout]
    if layout == "one channel for all":
        return np.broadcast_to(guarded_copy(values[taken], at_end), values.shape)
    steps = [1] * 4 if taken is None else [each.step or 1 for each in taken]
    sides = [
        max(1, side * abs(step) - (at_end and abs(step) > 1)) if side else 0
        for side, step in zip(values.shape, steps, strict=True)
    ]
    lying = guarded([sides[axis] for axis in order], values.dtype, at_end)
    array = lying.transpose(np.argsort(order))
    array = array if taken is None else array[taken]
    array[...] = values
    return array
