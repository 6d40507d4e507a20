"""Libraries that take seconds to import, brought in when a pass needs them and without their chatter."""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from functools import cache
from types import ModuleType
from typing import Any

from render import lean

_LEAN = {"umap": lean.umap, "toponymy": lean.toponymy, "datamapplot": lean.datamapplot}

# Warning filters and what is put in the place of modules are the whole process's: one import at a time.
_ONE_AT_A_TIME = threading.RLock()


def heavy(name: str) -> ModuleType:
    """The module called `name`, imported without warnings about what else could be installed."""
    known = sys.modules.get(name)
    if known is not None and not getattr(known.__spec__, "_initializing", False):
        return known
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = name.partition(".")[0]
        if package in _LEAN and package not in sys.modules:
            _LEAN[package]()
        return importlib.import_module(name)


@cache
def hdbscan(*, compiled: bool) -> dict[str, Any]:
    """As `lean.hdbscan`."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lean.hdbscan(compiled=compiled)
