"""The command `roipool`: every way it can end, as an exit status and at most one line."""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from roipool.command.features import InputError, needs
from roipool.command.words import plain

INTERRUPTED, BAD_INPUT, FAILED = 130, 2, 1


def main() -> NoReturn:
    """Run the command with the process's arguments, and end the process."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end_in_order)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows no arrows
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    try:
        status = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except InputError as error:
        return _say(str(error), BAD_INPUT)
    except KeyboardInterrupt:
        return _say("interrupted; nothing was written", INTERRUPTED)
    except BrokenPipeError:
        # Python flushes once more when it ends: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return FAILED
    except MemoryError as error:
        return _say(f"out of memory: {error or 'try fewer or smaller regions'}", BAD_INPUT)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}", BAD_INPUT)
    except Exception as error:
        if os.environ.get("ROIPOOL_TRACEBACK"):
            raise
        return _say(
            f"a bug, please report it: {type(error).__name__}: {error} "
            "(ROIPOOL_TRACEBACK=1 shows where)",
            FAILED,
        )


def _run(arguments: Sequence[str]) -> int:
    try:
        import typer
    except ImportError:
        raise InputError(needs("typer", "the commands")) from None
    from roipool.command.arguments import app, usage_error
    from roipool.command.roi import as_words

    try:
        status = app(as_words(arguments) or ["--help"], prog_name="roipool", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        line = usage_error(error, arguments)
        if line is None:
            raise
        return _say(line, BAD_INPUT)
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    return status if isinstance(status, int) else 0


def _say(line: str, status: int) -> int:
    print("roipool:", plain(line), file=sys.stderr)
    return status


def _end_in_order(number: int, frame: FrameType | None) -> NoReturn:
    """As Ctrl-C, so that no half file is left."""
    raise SystemExit(128 + number)
