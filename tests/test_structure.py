"""The house: who imports whom, what loads at import, and stubs that match."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import roipool
from roipool import _core, geometry, native
from roipool.descriptions import OPERATORS
from roipool.kernels import KERNELS

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


# Of all doors.
COMMON = {
    "_core",
    "checks",
    "descriptions",
    "geometry",
    "kernels",
    "memory",
    "native",
    "planes",
    "rois",
}
GEOMETRY = {
    name.replace("/", ".")
    for name in MODULES
    if name.startswith("geometry/") and name != "geometry/__init__"
}
REFERENCE = [name for name in MODULES if name.startswith("reference/")]
OPERATOR_FILES = [name for name in MODULES if name.startswith("operators/")]

# What each room may import of the package; rooms not named here are front ends, free to use all.
ALLOWED = {
    "__init__": {"importing", "operators", "threads"},
    "importing": set(),
    "operators/__init__": {name.replace("/", ".") for name in OPERATOR_FILES},
    **{
        name: {"arrays", "checks", "descriptions", "doors", "geometry", "native"}
        for name in OPERATOR_FILES
        if name != "operators/__init__"
    },
    "arrays": set(),
    "checks": set(),
    "kernels": set(),
    **{name: {other.replace("/", ".") for other in REFERENCE} for name in REFERENCE},
    "planes": set(),
    "rois": {"descriptions"},
    "descriptions": {"checks", "kernels"},
    "geometry/__init__": GEOMETRY,
    **{name.replace(".", "/"): GEOMETRY for name in GEOMETRY},
    "geometry/regions": set(),
    "memory": {"_core"},
    "onnx_nodes": {"descriptions", "geometry"},
    "native": {"_core", "descriptions", "geometry", "kernels", "memory", "planes", "rois", "twins"},
    "twins": {"_core", "geometry"},
    "threads": {"_core"},
    "windows": {"geometry", "kernels"},
    "doors/__init__": {"checks", "doors", "importing"},
    **{door: {*COMMON, *files_of(door)} for door in DOORS},
    "doors/dlpack": {*COMMON, "doors.numpy"},
}
for door in DOORS:
    if door.startswith("doors/dask/"):  # its chunks are NumPy arrays
        ALLOWED[door] |= {"doors", "doors.numpy", "windows"}
ALLOWED["doors/spox"].add("onnx_nodes")
ALLOWED["operators/multi_scale"] |= {  # over any other, and what it takes for a region
    "operators.crop_and_resize",
    "operators.roi_align_rotated",
    "rois",
}
ALLOWED["operators/check_rois"] |= {"operators.roi_align_rotated", "rois"}
# Kernels of other devices, which PyTorch's door alone has.
ALLOWED["doors/torch/devices"].add("devices")
DEVICES = [name for name in MODULES if name.startswith("devices/")]
for _name in DEVICES:
    files = {name.replace("/", ".").removesuffix(".__init__") for name in DEVICES}
    ALLOWED[_name] = {"descriptions", "geometry", "geometry.align", "geometry.regions", *files}
ALLOWED["devices/__init__"] |= {"importing", "kernels"}
for _name in ("doors/mxnet/__init__", "doors/mxnet/derivatives"):  # over NumPy's arrays too
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


@pytest.mark.parametrize("module", sorted(ALLOWED))
def test_who_imports_whom(module):
    ours, _ = imports(MODULES[module])
    assert ours <= ALLOWED[module]


def test_nothing_below_imports_the_operators():
    front = {"__init__", "nn"}
    users = {
        name
        for name, path in MODULES.items()
        if any(module.partition(".")[0] == "operators" for module in imports(path)[0])
    }
    below = {
        name for name in users - front if not name.startswith(("compat/", "command/", "operators/"))
    }
    assert not below


def named(tree):
    """Every name in a file's code and its texts, but for docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings:
                yield node.value
        else:
            for field in ("name", "id", "attr", "arg"):
                if isinstance(getattr(node, field, None), str):
                    yield getattr(node, field)


@pytest.mark.parametrize("module", DOORS)
def test_no_door_names_an_operator(module):
    found = [
        name
        for name in named(ast.parse(MODULES[module].read_text()))
        if any(operator in name.lower() for operator in OPERATORS)
    ]
    assert not found


def test_the_native_seam_names_no_operator_and_calls_name_no_kernel():
    source = Path(__file__).parents[1] / "csrc"
    for name in ("python.cpp", "xla.cpp", "call.cpp"):
        text = (source / name).read_text()
        assert not [operator for operator in OPERATORS if operator in text]
        if name != "call.cpp":  # where the table of kernels is
            assert not [kernel for kernel in KERNELS if f'"{kernel}"' in text]


def test_the_definition_and_the_geometry_stand_alone():
    for name in GEOMETRY:
        assert imports(MODULES[name.replace(".", "/")])[1] <= {"collections.abc", "typing"}
    for name in REFERENCE:
        assert imports(MODULES[name])[1] <= {"math", "numpy", "typing"}


def test_importing_loads_numpy_and_nothing_else():
    code = (
        "import sys, numpy; before = set(sys.modules); import roipool; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = done.stdout.split()
    packages = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert {name for name in packages if not name.startswith("_")} == {"roipool"}
    # What only a call needs is imported by its door.
    assert not {"roipool.geometry", "roipool.native", "roipool.rois"} & set(loaded)


def test_native_geometry_has_the_name_of_its_text():
    assert all(callable(getattr(geometry, name)) for name in native.TWINS)
    assert {operator.twin for operator in OPERATORS.values()} <= {"", *native.TWINS}


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
