"""What this process holds, as Linux and its allocator tell it."""

import ctypes
import sys
from pathlib import Path


def _bytes_in(file, name):
    lines = Path("/proc/self", file).read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def resident():
    return _bytes_in("smaps_rollup", "Rss")


def lazily_freed():
    """What is still there, but the system's to take."""
    return _bytes_in("smaps_rollup", "LazyFree")


def most_resident():
    """Since the process began, or since `forget_most_resident`."""
    return _bytes_in("status", "VmHWM")


def forget_most_resident():
    Path("/proc/self/clear_refs").write_text("5")
    return most_resident()


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "mapped"),
            *("usmblks", "fsmblks", "in_use", "free", "keepcost"),
        )
    ]


def allocated():
    """Bytes that C has and objects that Python has given out; None where C's can't be asked.

    Whether pages lie in memory does not change it: a system that takes those unused back makes
    `resident` grow when they are touched again.
    """
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is None:
        return None
    mallinfo2.restype = _Mallinfo2
    found = mallinfo2()
    return found.in_use + found.mapped, sys.getallocatedblocks()
