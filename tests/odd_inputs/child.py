"""One library, imported once; each case runs in a process forked off it: `child.py MODULE`.

Reads a line of JSON for each case and answers with a line: what became of the process, and what
it reported. It forks before any operator has run, where a library has no threads yet; whether that
is so it says at first, and who asks starts a new one for each case if not.
"""

import importlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from odd_inputs.calls import UnsupportedError
from odd_inputs.cases import BY_NAME

GIB = 2**30
ADDRESSES = 32 * GIB  # beyond what importing took: twice the largest maps, which are not written
RESIDENT = 4 * GIB  # of a process
PAGE = os.sysconf("SC_PAGE_SIZE")


def memory(pid: int | str = "self") -> tuple[int, int]:
    """Bytes of addresses, and of those that are in memory."""
    try:
        sizes = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:  # it has just ended
        return 0, 0
    return int(sizes[0]) * PAGE, int(sizes[1]) * PAGE


def run_case(module: Any, operator: str, case_name: str, folder: Path) -> None:
    """Report, in a file, as far as it comes."""

    def report(**said: Any) -> None:
        (folder / "written.json").write_text(json.dumps(said))
        (folder / "written.json").replace(folder / "report.json")  # whole, whenever it is killed

    case = BY_NAME[case_name]
    report(stage="making arrays")
    try:
        run = module.prepare(operator, case.call())
    except UnsupportedError as reason:
        return report(stage="unsupported", message=str(reason))
    except Exception as error:  # the library has no array that holds it
        return report(stage="unsupported", message=f"{type(error).__name__}: {error}")
    report(stage="calling")
    try:
        values = run()
        if case.forks:
            values = in_a_child(run)
    except Exception as error:
        return report(stage="error", kind=type(error).__name__, message=str(error)[:20_000])
    if values is not None:
        np.save(folder / "values.npy", np.asarray(values))
        report(stage="answered")
    return None


def in_a_child(run: Any) -> Any:
    """What it gives in a process forked off one that has called it, which dies as that does."""
    pid = os.fork()
    if pid == 0:
        return run()
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    return None


def start(module: Any, job: dict[str, Any]) -> int:
    """A process, in a group of its own, that runs the case and ends."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setsid()
        sink = os.open(Path(job["folder"]) / "output.txt", os.O_CREAT | os.O_WRONLY)
        for stream in (0, 1, 2):
            os.dup2(sink, stream)
        most = memory()[0] + ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        run_case(module, job["operator"], job["case"], Path(job["folder"]))
        status = 0
    finally:
        os._exit(status)


def watch(pid: int, seconds: float) -> dict[str, Any]:
    """Wait for the end, or make it: of time or memory."""
    stop, ended = time.monotonic() + seconds, ""
    while not (found := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > stop:
            ended = "time"
        elif memory(pid)[1] > RESIDENT:
            ended = "memory"
        if ended:
            os.killpg(pid, signal.SIGKILL)
            found = os.waitpid(pid, 0)
            break
        time.sleep(0.002)
    status = found[1]
    name = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else ""
    return {"ended": ended, "signal": name, "status": os.waitstatus_to_exitcode(status)}


def main(module_name: str) -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print
    module = importlib.import_module(f"odd_inputs.contenders.{module_name}")
    threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    print(json.dumps({"version": module.VERSION, "threads": threads}), file=replies, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        pid = start(module, job)
        reply = watch(pid, job["seconds"])
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
