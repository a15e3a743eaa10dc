"""Files to write: never over an input, and whole or not at all."""

import contextlib
import errno
import glob
import math
import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from roipool.command.features import InputError

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def resolved(path: Path) -> Path:
    """Where a file to write is, links followed."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        raise InputError(f"{path} is a link that leads back to itself; name a file") from None


def refuse_overwriting(paths: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Raise if a file to write is one to read, or written twice."""
    for i, path in enumerate(paths):
        if any(path.exists() and other.exists() and path.samefile(other) for other in inputs):
            raise InputError(f"{path} is an input too, and would be overwritten; write elsewhere")
        if resolved(path) in [resolved(other) for other in paths[:i]]:
            raise InputError(f"{path} is to hold both values and positions; name two files")


def size_in_words(count: int) -> str:
    """For example 200.7 MB."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if count >= 1000**power:
            return f"{count / 1000**power:,.1f} {unit}"
    return f"{count} bytes"


@contextlib.contextmanager
def whole_files(
    paths: Sequence[Path], shape: tuple[int, ...], dtypes: Sequence[np.dtype]
) -> Iterator[list[np.ndarray]]:
    """A memory-mapped .npy for each path: all are there when the block ends, or none if it fails.

    Until then they lie beside their places under names that nobody can foresee. A link is followed:
    what it names is written. What an earlier run left behind, killed, is cleared.
    """
    with contextlib.ExitStack() as stack:
        parts = [
            stack.enter_context(_part(path, shape, dtype))
            for path, dtype in zip(paths, dtypes, strict=True)
        ]
        yield [part.array for part in parts]
        for part in parts:
            part.array.flush()
        _rename(parts)


class _Part(NamedTuple):
    file: IO[bytes]
    name: Path
    final: Path
    array: np.memmap


@contextlib.contextmanager
def _part(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> Iterator[_Part]:
    final = resolved(path)
    if final.exists() and not final.is_file():
        raise InputError(f"{path} is there and no regular file; name a file, or a new one")
    _clear_left(final)
    with contextlib.ExitStack() as stack:
        try:
            file, name = _new_part(final)
            stack.callback(name.unlink, missing_ok=True)
            stack.enter_context(file)
            array = _mapped(file, shape, dtype)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            reason = "the disk has no room for it" if full else error.strerror or str(error)
            raise InputError(f"{path} cannot be written: {reason}") from None
        yield _Part(file, name, final, array)


def _new_part(final: Path) -> tuple[IO[bytes], Path]:
    """A file that nobody else has; it is locked as long as it is being written."""
    while True:
        handle, name = tempfile.mkstemp(".part", f".{final.name}.", final.parent)
        file = os.fdopen(handle, "r+b")
        if fcntl is None:
            return file, Path(name)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:  # or it was cleared before it was locked
            mask = os.umask(0)
            os.umask(mask)
            os.fchmod(handle, 0o666 & ~mask)
            return file, Path(name)
        file.close()


def _mapped(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype) -> np.memmap:
    """Its place on the disk is taken first: a full disk kills who writes to a mapped file."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    begin = file.tell()
    file.flush()
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, begin + math.prod(shape) * dtype.itemsize)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # the file system cannot
                raise
    return np.memmap(file, dtype, "r+", begin, shape)


def _clear_left(final: Path) -> None:
    """Remove parts of this file that nobody writes any more: of runs that were killed."""
    if fcntl is None:
        return
    for left in final.parent.glob(f".{glob.escape(final.name)}.*.part"):
        with contextlib.suppress(OSError):
            handle = os.open(left, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()


def _rename(parts: Sequence[_Part]) -> None:
    """Put all in their places; who interrupts meanwhile comes too late."""
    with _too_late():
        for part in parts:
            if fcntl is None:  # where open files cannot be renamed
                part.file.close()
            part.name.replace(part.final)


@contextlib.contextmanager
def _too_late() -> Iterator[None]:
    """Signals wait, and then end the process if they are more than Ctrl-C.

    Their handlers do: a mask is of one thread, and any takes a signal.
    """
    before: dict[int, Any] = {}
    came: list[int] = []
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and callable(signal.getsignal(number)):
                before[number] = signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in came:
        if number != signal.SIGINT:
            before[number](number, None)
