"""Files to write: never over an input, and whole or not at all."""

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from roipool.command.features import InputError


def refuse_overwriting(paths: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Raise if a file to write is one to read, or written twice."""
    for i, path in enumerate(paths):
        if any(path.exists() and other.exists() and path.samefile(other) for other in inputs):
            raise InputError(f"{path} is an input too, and would be overwritten; write elsewhere")
        if path.resolve() in [other.resolve() for other in paths[:i]]:
            raise InputError(f"{path} is to hold both values and positions; name two files")


def size_in_words(count: int) -> str:
    """For example 200.7 MB."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if count >= 1000**power:
            return f"{count / 1000**power:,.1f} {unit}"
    return f"{count} bytes"


@contextlib.contextmanager
def whole_file(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> Iterator[np.ndarray]:
    """A memory-mapped .npy under another name, renamed when the block ends, removed if it fails.

    Its place on the disk is taken first: writing to a mapped file on a full disk kills a process.
    """
    final = path.resolve()
    part = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        try:
            array = np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape)
            _take_room(part)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            reason = "the disk has no room for it" if full else error.strerror or str(error)
            raise InputError(f"{path} cannot be written: {reason}") from None
        yield array
        array.flush()
        del array
        part.replace(final)
    finally:
        part.unlink(missing_ok=True)


def _take_room(path: Path) -> None:
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # the file system cannot
                raise
