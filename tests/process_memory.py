"""What this process holds, as Linux tells it."""

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
