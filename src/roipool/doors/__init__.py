"""One module per array library, chosen by the type of the arrays; none imported before use."""

import importlib
from types import ModuleType
from typing import Any

# The package that an array's type comes from, and the door it opens.
_DOORS = {"numpy": "numpy", "builtins": "numpy"}


def door_of(data: Any) -> ModuleType:
    """The module that pools this kind of array."""
    package = type(data).__module__.partition(".")[0]
    for kind in type(data).__mro__:  # a subclass of ndarray (np.memmap, a user's own) is one
        name = _DOORS.get(kind.__module__.partition(".")[0])
        if name and kind is not object:
            return importlib.import_module(f"{__name__}.{name}")
    raise TypeError(
        f"no door for {package}.{type(data).__name__}; roipool takes NumPy arrays and nested "
        "lists: convert with numpy.asarray"
    )
