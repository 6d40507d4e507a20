"""Import and patch DataMapPlot 0.7.3: everything that is changed of it, each change with its reason.

It reads and writes files in the user's home, downloads what its cache lacks, puts the time of day into what it
compresses and orders addresses by their hash. Here it is given a home that lasts as long as the drawing does, and its
clock and its order are fixed, so that the same database gives the same bytes. tests/render/test_page_datamapplot.py
quotes the line that each patch answers, and fails when that line changes.
"""

from __future__ import annotations

import gzip
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from render.libraries import heavy, instead

HALF_EXTENT = 15.0
"""Degrees from the middle of the drawn map to its farthest edge: the scale that DataMapPlot gives its maps. It
draws on a Mercator map, which is conformal and, so near the equator, distorts by at most 3.5 %."""


def load() -> ModuleType:
    """Import DataMapPlot, at the first time without the user's files and without datashader's bundling of edges.

    The bundling compiles for two thirds of the import's time, and maps have no edges.
    """
    return heavy("datamapplot", within=_first_import)


@contextmanager
def patched() -> Iterator[Path]:
    """Have DataMapPlot draw the same bytes for the same values; yields the folder that it takes for its home."""
    # Imported before the places of its files are changed: a thread may be at it since the downloads.
    load()
    from datamapplot import config, create_plots, interactive_helpers, interactive_rendering

    with _own_home() as home, ExitStack() as undo, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, and those of what it imports
        # Its defaults can be changed by a file of the user's, which whoever imported it first may have read.
        undo.enter_context(_replaced(config.ConfigManager(), "_config", config.DEFAULT_CONFIG.copy()))
        # Its own bounds leave out one point in a thousand, at least one: all of them, where there is but one.
        for module in (create_plots, interactive_rendering):
            undo.enter_context(_replaced(module, "compute_percentile_bounds", _bounds))
        # What it compresses would hold the time of day.
        timeless = SimpleNamespace(compress=lambda data: gzip.compress(data, mtime=0))
        undo.enter_context(_replaced(interactive_helpers, "gzip", timeless))
        # It returns its addresses in the order of their hashes, which is another one in every process.
        urls = interactive_rendering.get_js_dependency_urls
        undo.enter_context(
            _replaced(interactive_rendering, "get_js_dependency_urls", lambda *a, **k: sorted(urls(*a, **k)))
        )
        yield home


@contextmanager
def _first_import() -> Iterator[None]:
    with _own_home(), instead({"datashader.bundling": {"hammer_bundle": _no_edges}}):
        yield


def _no_edges(*_args: object, **_kwargs: object) -> None:
    raise NotImplementedError("hfmap's maps have no edges")


@contextmanager
def _own_home() -> Iterator[Path]:
    """Let a scratch folder be the one where DataMapPlot looks for the user's settings and keeps its downloads."""
    import platformdirs

    with tempfile.TemporaryDirectory() as scratch, ExitStack() as undo:
        # A missing cache of style sheets would be downloaded; the page needs none of them.
        (Path(scratch) / "datamapplot_css_encoded.json").write_text("{}")
        for name in ("user_config_dir", "user_data_dir"):
            undo.enter_context(_replaced(platformdirs, name, lambda *_args, **_kwargs: scratch))
        yield Path(scratch)


def _bounds(*_args: object, **_kwargs: object) -> list[float]:
    return [-HALF_EXTENT, HALF_EXTENT, -HALF_EXTENT, HALF_EXTENT]


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
