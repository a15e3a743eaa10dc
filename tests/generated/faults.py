"""What can be wrong of one argument of a kernel's call: each takes a right call and makes it so."""

import numpy as np

from cases import unaligned
from generated.guarded import guarded_copy

ODD = [2**31 - 1, -(2**31), 2**30, 1 << 16, 300, 13, 12, 5, 1, 0, -1, -2]
DTYPES = ["int8", "int64", "float64", "float32", "bool", "complex64", "uint32", ">f4", "O"]


def _change(choices, call, change, among=("known", "results"), only=lambda array: True):
    """Put another array into the place of one; of a list, of one in it."""
    places = [
        (args, name, at)
        for kind in among
        for args in (getattr(call, kind),)
        for name, given in args.items()
        for at, array in enumerate(given if isinstance(given, list) else [given])
        if only(array)
    ]
    if not places:
        return
    args, name, at = choices.of(places)
    if isinstance(args[name], list):
        args[name] = [change(a) if i == at else a for i, a in enumerate(args[name])]
    else:
        args[name] = change(args[name])


def _is_whole(array):
    return array.dtype.kind == "i" and array.dtype.itemsize >= 4 and array.size > 0


def dtype(choices, call):
    other = np.dtype(choices.of(DTYPES))

    def changed(array):
        with np.errstate(all="ignore"):
            return array.astype(other)

    _change(choices, call, changed)


def axes(choices, call):
    ways = [lambda a: a[None], lambda a: a[..., None], np.ravel, lambda a: a[:, None]]
    _change(choices, call, choices.of(ways))


def length(choices, call):
    """One less along an axis, or one more."""

    def cut(array):
        axis = choices.number(0, array.ndim - 1)
        last = array[(slice(None),) * axis + (slice(-1, None),)]
        if choices.number(0, 1):
            return guarded_copy(np.concatenate([array, last], axis))
        return guarded_copy(np.delete(array, -1, axis) if array.shape[axis] else array)

    _change(choices, call, cut)


def strides(choices, call):
    def spread(array):
        axis = choices.number(0, array.ndim - 1)
        wide = np.repeat(array, 2, axis)
        kind = choices.number(0, 2)
        if kind == 0:
            return wide[(slice(None),) * axis + (slice(None, None, 2),)]
        if kind == 1:
            return np.broadcast_to(array.ravel()[:1] if array.size else array, array.shape)
        return np.flip(array.copy(), axis)

    _change(choices, call, spread)


def not_aligned(choices, call):
    _change(choices, call, unaligned)


def read_only(choices, call):
    def locked(array):
        array = array.view()
        array.flags.writeable = False
        return array

    _change(choices, call, locked, ("results",))


def overlap(choices, call):
    """A result lies where another array of the call does."""
    given = [a for a in call.known.values() if isinstance(a, np.ndarray)]
    given = [a for a in given if a.flags.c_contiguous and a.flags.writeable]

    def there(array):
        fitting = [a for a in given if a.nbytes >= array.nbytes]
        if not fitting:
            return array
        room = choices.of(fitting).reshape(-1).view(np.uint8)[: array.nbytes]
        return room.view(array.dtype).reshape(array.shape)

    _change(choices, call, there, ("results",))


def numbers(choices, call):
    """An image, position or pixel that may lie anywhere."""
    _odd_number(choices, call, lambda array: array.shape[-1:] != (2,) or array.ndim == 1)


def ranges(choices, call):
    """A bin that begins or ends anywhere."""
    _odd_number(choices, call, lambda array: array.shape[-1:] == (2,) and array.ndim > 1)


def _odd_number(choices, call, only):
    def changed(array):
        array = guarded_copy(array)
        array.reshape(-1)[choices.number(0, array.size - 1)] = choices.of(ODD)
        return array

    _change(choices, call, changed, ("known",), lambda a: _is_whole(a) and only(a))


def left_out(choices, call):
    args = choices.of([call.known, call.results])
    name = choices.of(list(args))
    kind = choices.number(0, 2)
    if kind == 0:
        del args[name]
    else:
        args[name] = [] if kind == 1 else [args[name]] * 2


FAULTS = {
    fault.__name__: fault
    for fault in (
        *(dtype, axes, length, strides, not_aligned, read_only, overlap),
        *(numbers, ranges, left_out),
    )
}
