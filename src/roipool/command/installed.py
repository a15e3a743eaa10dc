"""What is installed here: the core's choices, and the array libraries, none of them imported."""

import importlib.metadata
import importlib.util
import pkgutil
import platform

import roipool
from roipool import _core, doors

# Array libraries by the name they are imported by: those with a door, and those tested by DLPack.
LIBRARIES = ("numpy", "torch", "jax", "mxnet", "dask", "spox", "paddle", "mlx", "pyarrow")


def report() -> str:
    """One fact a line."""
    open_doors = {module.name for module in pkgutil.iter_modules(doors.__path__)}
    others = ", ".join(name for name in _core.isas() if name != _core.isa()) or "no other"
    lines = [
        ("roipool", f"{roipool.__version__}, Python {platform.python_version()}"),
        ("instructions", f"{_core.isa()} (here too: {others}; set ROIPOOL_ISA to choose)"),
        ("threads", f"{roipool.get_num_threads()} (set ROIPOOL_NUM_THREADS to change)"),
    ]
    for name in LIBRARIES:
        version = _version_of(name)
        if version is not None:
            use = "by a door of its own" if name in open_doors else "by DLPack"
            lines.append((name, f"{version}, {use}"))
    return "\n".join(f"{name:<13} {text}" for name, text in lines)


def _version_of(name: str) -> str | None:
    """The version of an installed package; None where there is none."""
    if importlib.util.find_spec(name) is None:
        return None
    provided_by = importlib.metadata.packages_distributions().get(name, [name])
    try:
        return importlib.metadata.version(provided_by[0])
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"
