"""The parent's side of a child: one contender's cases, each with limits, and what came of them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.environments import link_package, python_of

from odd_inputs.contenders import UNITS, Contender
from odd_inputs.outcomes import Report

TESTS = Path(__file__).parents[1]
SECONDS = 30.0
SETTINGS = {
    "PYTHONWARNINGS": "ignore",
    "OPENBLAS_NUM_THREADS": "1",  # NumPy's import starts none, so that children may be forked
    "OMP_NUM_THREADS": "2",
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # New memory is filled with 0x4b, as a float 1.3e7: who returns it unwritten gives no zeros.
    "MALLOC_PERTURB_": str(0x4B ^ 0xFF),
}


def python_for(unit: str) -> Path | None:
    """The Python that runs it, if it was made."""
    environment = UNITS[unit].environment
    return python_of(environment) if environment else Path(sys.executable)


class Child:
    """A running child, which has imported its library."""

    def __init__(self, unit: str):
        self._files = ExitStack()
        folder = Path(self._files.enter_context(tempfile.TemporaryDirectory()))
        paths = [str(TESTS), str(TESTS.parent)]
        if UNITS[unit].ours and UNITS[unit].environment:
            link_package(folder)
            paths.append(str(folder))
        settings = SETTINGS | {"PYTHONPATH": os.pathsep.join(paths), "ODD_DOOR": door_of(unit)}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - until close
        self._process = subprocess.Popen(
            [str(python_for(unit)), "-m", "odd_inputs.child", UNITS[unit].module],
            env=os.environ | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.hello = self._reply()

    def _reply(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace")
            raise RuntimeError(f"the child ended: {said[-2000:]}")
        return json.loads(line)

    def ask(self, operator: str, case: str) -> Report:
        with tempfile.TemporaryDirectory() as folder:
            job = {"operator": operator, "case": case, "folder": folder, "seconds": SECONDS}
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            ended = self._reply()
            report, values = Path(folder) / "report.json", Path(folder) / "values.npy"
            said = json.loads(report.read_text()) if report.exists() else {}
            output = (Path(folder) / "output.txt").read_text(errors="replace")
            found = np.load(values) if said.get("stage") == "answered" else None
        return Report(**ended, **said, values=found, output=output[-2000:])

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()
        self._files.close()


def door_of(unit: str) -> str:
    """The door's name among those of the tests."""
    return "mxnet" if unit == "mxnet door" else unit


def answers(contender: Contender, cases: list[str]) -> Iterator[tuple[str, Report, str]]:
    """For each case its report, and the library's version."""
    child = Child(contender.unit)
    try:
        for case in cases:
            report = child.ask(contender.operator, case)
            yield case, report, child.hello["version"]
            if child.hello["threads"] > 1:  # which a process forked off it would lack
                child.close()
                child = Child(contender.unit)
    finally:
        child.close()
