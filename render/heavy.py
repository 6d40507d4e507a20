"""Libraries that take seconds to import, brought in when a pass needs them and without their chatter."""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from types import ModuleType

# What each pass will import: `preload` can run while the last downloads are still going.
LAYOUT = ("umap",)
TOPICS = ("toponymy.clustering", "scipy.optimize", "scipy.spatial")


def heavy(name: str) -> ModuleType:
    """The module called `name`, imported without warnings about what else could be installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name.startswith("toponymy"):
            # transformers prints a line about PyTorch when it is first imported.
            logger = logging.getLogger("transformers")
            level = logger.level
            os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
            logger.setLevel(logging.ERROR)
            try:
                return importlib.import_module(name)
            finally:
                logger.setLevel(level)
        return importlib.import_module(name)


def preload(*names: str) -> None:
    """Import modules ahead of the pass that needs them; call it from a thread that has nothing else to do."""
    for name in names:
        heavy(name)
