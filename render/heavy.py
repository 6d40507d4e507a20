"""Libraries that take seconds to import, brought in when a pass needs them and without their chatter."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

# What each pass will import: `preload` can run while the last downloads are still going.
LAYOUT = ("umap",)
TOPICS = ("toponymy.clustering", "scipy.optimize", "scipy.spatial")
REBUILD = LAYOUT + TOPICS
# A refresh that places a few cards on a map that stays needs no more than these.
REFRESH = ("scipy.spatial", "datamapplot")

# Warning filters and what is put in the place of modules are the whole process's: one import at a time.
_ONE_AT_A_TIME = threading.RLock()


def heavy(name: str) -> ModuleType:
    """The module called `name`, imported without warnings about what else could be installed."""
    known = sys.modules.get(name)
    if known is not None and not getattr(known.__spec__, "_initializing", False):
        return known
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name.startswith("toponymy"):
            with _quiet_transformers():
                return importlib.import_module(name)
        if name.startswith("datamapplot"):
            with _light_datamapplot():
                return importlib.import_module(name)
        return importlib.import_module(name)


def preload(*names: str) -> None:
    """Import modules ahead of the pass that needs them; call it from a thread that has nothing else to do."""
    for name in names:
        heavy(name)


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """It prints a line about PyTorch when it is first imported."""
    logger = logging.getLogger("transformers")
    level = logger.level
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _light_datamapplot() -> Iterator[None]:
    """DataMapPlot without the user's files, and without datashader's bundling of edges.

    The one reads and writes files in the user's home when it is imported. The other compiles for two thirds of
    the import's time, and maps have no edges; whoever imports it later gets the real one.
    """
    import platformdirs

    with tempfile.TemporaryDirectory() as scratch, ExitStack() as undo:
        # A missing cache of style sheets would be downloaded.
        (Path(scratch) / "datamapplot_css_encoded.json").write_text("{}")
        for folder in ("user_config_dir", "user_data_dir"):
            undo.callback(setattr, platformdirs, folder, getattr(platformdirs, folder))
            setattr(platformdirs, folder, lambda *_args, **_kwargs: scratch)
        if "datashader.bundling" not in sys.modules:
            placeholder: Any = ModuleType("datashader.bundling")
            placeholder.hammer_bundle = _no_edges
            sys.modules["datashader.bundling"] = placeholder
            undo.callback(sys.modules.pop, "datashader.bundling", None)
        yield


def _no_edges(*_args: object, **_kwargs: object) -> None:
    raise NotImplementedError("hfmap's maps have no edges")
