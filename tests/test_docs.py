"""The examples of README and docstrings, run as typed."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from roipool import operators

ROOT = Path(__file__).parent.parent
EXAMPLES = [
    test
    for name in sorted(path.stem for path in Path(operators.__file__).parent.glob("[a-z]*.py"))
    for test in doctest.DocTestFinder().find(import_module(f"roipool.operators.{name}"))
    if test.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda test: test.name)
def test_docstrings(example):
    results = doctest.DocTestRunner().run(example)
    assert results.attempted > 0
    assert results.failed == 0


def test_readme():
    results = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert results.attempted > 0
    assert results.failed == 0
