"""Interpreters beside the main one: refused in words, where a call would wait for ever."""

import subprocess
import sys

import pytest

pytest.importorskip("_xxsubinterpreters", reason="Python 3.13 has it under another name")

CODE = """
import _xxsubinterpreters as interpreters

try:
    interpreters.run_string(interpreters.create(), "import roipool")
except interpreters.RunFailedError as error:
    print(error)
"""


def test_a_sub_interpreter():
    command = [sys.executable, "-W", "ignore", "-c", CODE]
    told = subprocess.check_output(command, text=True, timeout=60)
    assert "roipool runs in the main interpreter alone" in told or "more than once" in told
