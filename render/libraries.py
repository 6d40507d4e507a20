"""Imports of libraries that take seconds: without their chatter, and without the parts that hfmap never calls.

A cold import of everything takes a minute on two cores, and one of what is needed a few seconds. In the place of the
parts that compile whenever they are imported stand placeholders while a library is imported; whoever imports them
later gets the real ones.
"""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from types import ModuleType
from typing import Any

# By library: modules that it imports in vain, and what it wants to find in them.
_LEFT_OUT: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    # UMAP searches neighbours with it where it is not given any.
    "umap": {
        "pynndescent": {},
        "pynndescent.distances": {"named_distances": {}},
        "pynndescent.sparse": {"sparse_named_distances": {}},
    },
    # Toponymy's clusters, key phrases and choices among exemplars, and its local models: hfmap hands it the first two,
    # and asks for those nearest the middle of a topic.
    "toponymy": {
        name: {}
        for name in (
            *("fast_hdbscan", "fast_hdbscan.numba_kdtree", "fast_hdbscan.boruvka", "fast_hdbscan.cluster_trees"),
            *("apricot", "apricot.functions", "apricot.functions.base", "apricot.optimizers"),
            *("vectorizers", "vectorizers.transformers", "transformers"),
        )
    },
}

# Warning filters and what is put in the place of modules are the whole process's: one import at a time.
_ONE_AT_A_TIME = threading.RLock()
# What is in sys.modules may be a placeholder, or half imported by another thread.
_imported: dict[str, ModuleType] = {}


def heavy(name: str, *, within: Callable[[], AbstractContextManager[object]] = nullcontext) -> ModuleType:
    """The module called `name`, imported `within` that context and without warnings about what else could be installed."""
    if name in _imported:
        return _imported[name]
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name in _imported:
            return _imported[name]
        package = name.partition(".")[0]
        if package in _LEFT_OUT and package not in sys.modules:
            with instead(_LEFT_OUT[package]):
                importlib.import_module(package)
        with within():
            _imported[name] = importlib.import_module(name)
        return _imported[name]


def keep_compiled(module: ModuleType) -> None:
    """Have numba keep a module's functions on disk once they are compiled; its authors did not ask for it."""
    for function in vars(module).values():
        # A read-only disk has no place to keep them; a function made while running has no file that dates it.
        with suppress(AttributeError, RuntimeError, OSError):
            if function.__module__ == module.__name__ and not function.overloads:
                function.enable_caching()


class _Placeholder(ModuleType):
    """Has a class of whatever name is asked of it, which can be inherited from and does nothing."""

    __path__: list[str] = []  # noqa: RUF012 - as ModuleType has it

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__module__": self.__name__})


@contextmanager
def instead(modules: Mapping[str, Mapping[str, object]]) -> Iterator[None]:
    """Put placeholders with these attributes where modules are not imported yet.

    Only for modules that nothing else in hfmap imports: another thread would find the placeholder.
    """
    put: dict[str, ModuleType] = {}
    for name, attributes in modules.items():
        if name not in sys.modules:
            put[name] = _Placeholder(name)
            vars(put[name]).update(attributes)
    sys.modules.update(put)
    try:
        yield
    finally:
        for name in put:
            sys.modules.pop(name, None)
