"""Modules that are imported when they are first needed, by any thread, and no fork meanwhile.

A child of fork has the locks of imports that were going on, but not the threads that would end
them: it would wait for ever.
"""

import os
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

MOST_WAITED = 10  # seconds; an import that waits for the forking thread would never end

_changed = threading.Condition()
_importing: list[int] = []  # threads, once for each import that they are in


def when_needed(package: str, *modules: str) -> Callable[[str], Any]:
    """What a package is to have as `__getattr__`, to import these modules of its own."""

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        me = threading.get_ident()
        with _changed:
            _importing.append(me)
        try:
            return import_module(f"{package}.{name}")
        finally:
            with _changed:
                _importing.remove(me)
                _changed.notify_all()

    return get


def _none_but_mine() -> bool:
    me = threading.get_ident()
    return all(thread == me for thread in _importing)


def _wait() -> None:
    _changed.acquire()
    _changed.wait_for(_none_but_mine, MOST_WAITED)


def _forget() -> None:
    """In a child: nobody else is there."""
    global _changed
    me = threading.get_ident()
    _importing[:] = [thread for thread in _importing if thread == me]
    _changed = threading.Condition()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_wait, after_in_parent=lambda: _changed.release(), after_in_child=_forget
    )
