"""What a type checker makes of calls: tests/typing_calls.py, line by line."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")
pytest.importorskip("torch")

CALLS = Path(__file__).with_name("typing_calls.py")


def test_arrays_give_arrays_of_their_kind_and_wrong_calls_are_told():
    mypy = [sys.executable, "-m", "mypy", "--config-file=", "--strict", "--python-version=3.11"]
    done = subprocess.run([*mypy, CALLS], capture_output=True, text=True)
    told = {int(line): [] for line in re.findall(r":(\d+): ", done.stdout)}
    for line, kind, text in re.findall(r"py:(\d+): (error|note): (.*)", done.stdout):
        told[int(line)].append(text if kind == "note" else "error")
    for number, line in enumerate(CALLS.read_text().splitlines(), 1):
        _, mark, expected = line.partition("  # ")
        if mark and expected == "error":
            assert "error" in told.get(number, []), line
        elif mark:
            (revealed,) = told[number]
            kinds = re.findall(r"\bndarray|\bTensor|tuple(?=\[(?:numpy|torch))", revealed)
            assert " ".join(kinds) == expected, line
        else:
            assert number not in told, line
