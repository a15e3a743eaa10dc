"""The parent's side of a worker: a contender in its own process, asked with a time limit."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import FLOORS, OURS, PEERS

ROOT = Path(__file__).parents[1]
KNOWN = (*OURS, *PEERS, *FLOORS)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ROIPOOL_NUM_THREADS")


@dataclass(frozen=True)
class Contender:
    """What to run, where and on how many threads."""

    name: str
    module: str
    threads: int
    python: str = sys.executable

    @classmethod
    def parse(cls, given: str, threads: int) -> "Contender":
        """From NAME[@THREADS][=PYTHON], such as mxnet=venv/bin/python or roipool@1."""
        name, _, python = given.partition("=")
        library, _, own_threads = name.partition("@")
        if library not in KNOWN or not (own_threads or "1").isdigit():
            raise ValueError(
                f"{given!r} is not NAME, NAME@THREADS, NAME=PYTHON or NAME@THREADS=PYTHON; "
                f"names are {', '.join(KNOWN)}"
            )
        return cls(
            name,
            f"benchmarks.contenders.{library}",
            int(own_threads or threads),
            # Not resolved: that a virtual environment's python is a link is what makes it one.
            str(Path(python).absolute()) if python else sys.executable,
        )


class ContenderError(Exception):
    """A contender that has no answer, and why."""

    def __init__(self, reason: str, unsupported: bool = False):
        super().__init__(reason)
        self.unsupported = unsupported


class Worker:
    """A running contender."""

    def __init__(self, contender: Contender, job: dict[str, Any], limit: float):
        self.contender, self.limit = contender, limit
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - until close
        try:
            self._process = subprocess.Popen(
                [contender.python, "-m", "benchmarks.worker"],
                cwd=ROOT,
                env=os.environ | dict.fromkeys(THREAD_VARIABLES, str(contender.threads)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,  # so that select sees all there is to read
            )
        except OSError as error:
            self._errors.close()
            raise ContenderError(f"{contender.python}: {error.strerror}") from None
        self.hello = self.ask(**job, module=contender.module, threads=contender.threads)

    def ask(self, **request: Any) -> dict[str, Any]:
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            if not select.select([self._process.stdout], [], [], self.limit)[0]:
                self.close()
                raise ContenderError(f"timed out after {self.limit:g} s")
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = b""
        reply = json.loads(line) if line else {"failure": self._death()}
        if "failure" in reply:
            self.close()
            raise ContenderError(reply["failure"], reply.get("unsupported", False))
        return reply

    def _death(self) -> str:
        status = self._process.wait()
        if status < 0:
            return f"crashed ({signal.Signals(-status).name})"
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"exited with status {status}: {said[-1] if said else ''}"

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._errors.close()
