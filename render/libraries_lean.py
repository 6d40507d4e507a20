"""Third-party libraries without the parts that hfmap never calls, and that compile whenever they are imported.

In the place of those parts stand placeholders while a library is imported; whoever imports them later gets the real
ones. A cold import of everything takes a minute on two cores, and one of what is needed a few seconds.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_HDBSCAN = "fast_hdbscan"
_HDBSCAN_PARTS = ("numba_kdtree", "boruvka", "cluster_trees")

# UMAP searches neighbours with it where it is not given any.
_WITHOUT_SEARCH: Mapping[str, Mapping[str, object]] = {
    "pynndescent": {},
    "pynndescent.distances": {"named_distances": {}},
    "pynndescent.sparse": {"sparse_named_distances": {}},
}
# Toponymy's clusters, key phrases and choices among exemplars, and its local models: hfmap hands it the first two, and
# asks for those nearest the middle of a topic.
_ONLY_PROMPTS: Mapping[str, Mapping[str, object]] = {
    name: {}
    for name in (
        _HDBSCAN,
        *(f"{_HDBSCAN}.{part}" for part in _HDBSCAN_PARTS),
        *("apricot", "apricot.functions", "apricot.functions.base", "apricot.optimizers"),
        *("vectorizers", "vectorizers.transformers", "transformers"),
    )
}


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


def umap() -> ModuleType:
    """UMAP without its search for neighbours."""
    with instead(_WITHOUT_SEARCH):
        return importlib.import_module("umap")


def toponymy() -> ModuleType:
    """Toponymy without what finds clusters and key phrases, and without local models."""
    with instead(_ONLY_PROMPTS):
        return importlib.import_module("toponymy")


def hdbscan(*, compiled: bool) -> dict[str, Any]:
    """The functions of fast_hdbscan that ToponymyClusterer calls, by name.

    Args:
        compiled: whether numba compiles them: half a second to load, half a minute where they are not on disk yet.
            Else they are a copy that stays plain Python.
    """
    if compiled:
        # What numba kept on disk looks for the modules by their names: these stay.
        if _HDBSCAN not in sys.modules:
            sys.modules[_HDBSCAN] = _bare_package()
        return _functions()
    config: Any = importlib.import_module("numba.core.config")
    from numba.core.compiler_lock import global_compiler_lock

    others = _forget()
    disabled = config.DISABLE_JIT
    # Another thread that compiles meanwhile would find its own functions left as they are.
    with global_compiler_lock:
        try:
            config.DISABLE_JIT = True
            sys.modules[_HDBSCAN] = _bare_package()
            return _functions()
        finally:
            config.DISABLE_JIT = disabled
            _forget()
            sys.modules.update(others)


def _bare_package() -> ModuleType:
    """The package without its own code, which would import, and compile, all that it has."""
    spec = importlib.util.find_spec(_HDBSCAN)
    assert spec is not None  # noqa: S101 - a dependency
    return importlib.util.module_from_spec(spec)


def _functions() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in _HDBSCAN_PARTS:
        module = importlib.import_module(f"{_HDBSCAN}.{part}")
        found.update((name, value) for name, value in vars(module).items() if callable(value))
    return found


def _forget() -> dict[str, ModuleType]:
    """Take the package out of the imported modules; returns what was there."""
    names = [name for name in sys.modules if name.partition(".")[0] == _HDBSCAN]
    return {name: sys.modules.pop(name) for name in names}
