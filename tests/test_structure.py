"""The house: who imports whom, what loads at import, and stubs that match."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import roipool
from roipool import _core

PACKAGE = Path(roipool.__file__).parent
MODULES = {
    path.relative_to(PACKAGE).as_posix().removesuffix(".py"): path for path in PACKAGE.rglob("*.py")
}
DOORS = [name for name in MODULES if name.startswith("doors/") and name != "doors/__init__"]


def files_of(door):
    """A door of several files is a package, whose files may import each other."""
    package = "/".join(door.split("/")[:2]) + "/"
    names = {name for name in DOORS if name.startswith(package)}
    return {name.replace("/", ".").removesuffix(".__init__") for name in names}


COMMON = {"_core", "bins", "boxes", "checks", "geometry", "memory"}  # of all doors

# What each room may import of the package; rooms not named here are front ends, free to use all.
ALLOWED = {
    "__init__": {"ops", "threads"},
    "ops": {"checks", "doors"},
    "threads": {"_core"},
    "geometry": set(),
    "reference": set(),
    "boxes": set(),
    "checks": set(),
    "memory": {"_core"},
    "bins": {"_core", "boxes", "geometry"},
    "doors/__init__": {"doors"},
    **{door: {*COMMON, *files_of(door)} for door in DOORS},
    "doors/dlpack": {"checks", "doors.numpy"},
}
for door in DOORS:
    if door.startswith("doors/dask/"):  # its chunks are NumPy arrays
        ALLOWED[door] |= {"doors", "doors.numpy"}
for _name in ("doors/mxnet/__init__", "doors/mxnet/recording"):  # over NumPy's arrays too
    ALLOWED[_name].add("doors.numpy")


def imports(path):
    """Names of modules imported anywhere in a file: ours without the package, others whole."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
            if node.module == "roipool":
                names = [f"roipool.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            (ours if package == "roipool" else others).add(rest if package == "roipool" else name)
    return ours, others


@pytest.mark.parametrize("module", ALLOWED)
def test_who_imports_whom(module):
    ours, _ = imports(MODULES[module])
    assert ours <= ALLOWED[module]


def test_nothing_below_imports_the_operators():
    front = {"__init__", "cli", "explain", "demo", "nn"}
    users = {name for name, path in MODULES.items() if "ops" in imports(path)[0]}
    assert users <= front | {name for name in MODULES if name.startswith("compat/")}


def test_the_definition_and_the_geometry_stand_alone():
    assert imports(MODULES["geometry"])[1] == {"typing"}
    assert imports(MODULES["reference"])[1] == {"math", "numpy"}


def test_importing_loads_numpy_and_nothing_else():
    code = (
        "import sys, numpy; before = set(sys.modules); import roipool; "
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split()) - set(sys.stdlib_module_names)
    assert {name for name in loaded if not name.startswith("_")} == {"roipool"}


def test_the_stub_tells_what_the_core_has():
    stub = ast.parse((PACKAGE / "_core.pyi").read_text())
    told = {
        node.name: [arg.arg for arg in node.args.args]
        for node in stub.body
        if isinstance(node, ast.FunctionDef)
    }
    has = {
        name: re.findall(r"(\w+):", function.__doc__.partition("->")[0])
        for name, function in inspect.getmembers(_core, callable)
        if not name.startswith("_")
    }
    assert told == has
