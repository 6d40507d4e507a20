"""Libraries that take seconds to import, brought in when a pass needs them and without their chatter."""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from types import ModuleType
from typing import Any

from render import libraries_lean

_LEAN = {"umap": libraries_lean.umap, "toponymy": libraries_lean.toponymy}

# Warning filters and what is put in the place of modules are the whole process's: one import at a time.
_ONE_AT_A_TIME = threading.RLock()


def heavy(name: str, *, within: Callable[[], AbstractContextManager[object]] = nullcontext) -> ModuleType:
    """The module called `name`, imported `within` that context and without warnings about what else could be installed."""
    known = sys.modules.get(name)
    if known is not None and not getattr(known.__spec__, "_initializing", False):
        return known
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = name.partition(".")[0]
        if package in _LEAN and package not in sys.modules:
            _LEAN[package]()
        with within():
            return importlib.import_module(name)


@cache
def hdbscan(*, compiled: bool) -> dict[str, Any]:
    """As `libraries_lean.hdbscan`."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return libraries_lean.hdbscan(compiled=compiled)


def keep_compiled(module: ModuleType) -> None:
    """Have numba keep a module's functions on disk once they are compiled; its authors did not ask for it."""
    for function in vars(module).values():
        # A read-only disk has no place to keep them; a function made while running has no file that dates it.
        with suppress(AttributeError, RuntimeError, OSError):
            if function.__module__ == module.__name__ and not function.overloads:
                function.enable_caching()
