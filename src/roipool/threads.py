"""The number of threads of the native core, in one place for every door."""

import operator

from roipool import _core

MOST = 1024


def get_num_threads() -> int:
    """The number of threads that an operator may use.

    At first ROIPOOL_NUM_THREADS, or the number of processors this process may run on.
    """
    return _core.default_threads()


def set_num_threads(count: int) -> None:
    """Let every operator use up to `count` threads from now on.

    No result depends on it: the same bits come out on any number of threads.

    Raises:
        ValueError: `count` is not a whole number from 1 to 1024.
    """
    try:
        number = 0 if isinstance(count, bool) else operator.index(count)
    except TypeError:
        number = 0
    if not 1 <= number <= MOST:
        raise ValueError(
            f"the number of threads is {count!r}; expected a whole number from 1 to {MOST}"
        )
    _core.set_default_threads(number)
