"""The child: one contender, one workload, told what to do by lines of JSON on standard input.

Runs in any Python with NumPy 1.23 or later and the contender's library.
"""

import contextlib
import gc
import importlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import Case, UnsupportedError

MOST_CALLS = 200  # in one turn


def serve(requests, replies) -> None:
    """Answer each line with a line, the first of which names the job."""
    gc.disable()  # a collection inside a timed call would be ours, not the library's
    contender = None
    for line in requests:
        request = json.loads(line)
        try:
            if contender is None:
                contender = Prepared(request)
                reply = {"about": contender.module.ABOUT, "agrees": contender.agrees}
            else:
                reply = getattr(contender, request.pop("do"))(**request)
        except UnsupportedError as reason:
            reply = {"failure": str(reason), "unsupported": True}
        except Exception as error:
            reply = {"failure": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


class Prepared:
    """A contender with its workload loaded."""

    def __init__(self, job: dict[str, Any]):
        self.module = importlib.import_module(job["module"])
        prepare = getattr(self.module, job["mode"], None)
        if prepare is None:
            raise UnsupportedError(f"no {job['mode']}")
        self.call = prepare(Case.load(job))
        agrees = self.module.AGREES
        self.agrees = agrees if isinstance(agrees, str) else agrees[job["mode"]]

    def first_call(self, folder: str) -> dict[str, Any]:
        """Save the result of the first call, and tell the memory it took beyond that result."""
        before = _memory("VmRSS")
        _forget_peak()
        result = self.call()
        peak = _memory("VmHWM")
        if self.agrees:
            arrays = getattr(self.module, "to_numpy", tuple)(result)
            for i, array in enumerate(arrays):
                np.save(Path(folder) / f"{i}.npy", _storable(array))
        else:
            arrays = result
        returned = sum(array.nbytes for array in arrays)
        known = before is not None and peak is not None
        return {"extra_bytes": max(peak - before - returned, 0) if known else None}

    def turn(self, seconds: float) -> dict[str, Any]:
        """Time calls until so many seconds have passed; always at least one."""
        times: list[float] = []
        stop = time.perf_counter() + seconds
        while not times or (time.perf_counter() < stop and len(times) < MOST_CALLS):
            start = time.perf_counter()
            result = self.call()
            times.append(time.perf_counter() - start)
            del result  # freeing it is not timed
        _wait_for_quiet()
        return {"times": times}


def _storable(array: np.ndarray) -> np.ndarray:
    """bfloat16, which .npy doesn't know, as its bits."""
    return array.view(np.uint16) if array.dtype.kind == "V" else array


def _wait_for_quiet() -> None:
    """Thread pools spin for a while after their work, which would slow whoever is next."""
    for _ in range(100):
        before = time.process_time()
        time.sleep(0.01)
        if time.process_time() - before < 0.002:
            return


def _memory(field: str) -> int | None:
    """Bytes of resident memory, now (VmRSS) or at most so far (VmHWM); Linux only."""
    try:
        found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def _forget_peak() -> None:
    """Let VmHWM start again from the present."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    # Libraries may print: that goes to standard error, and the replies keep a pipe of their own.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, replies)
