"""The seam to DataMapPlot: its page, drawn from a frame.

DataMapPlot 0.7.3 reads and writes files in the user's home when it is imported, downloads a style sheet where
its cache has none, puts the time of day into what it compresses and orders addresses by their hash. Here it
is given a home of its own that lasts as long as the drawing does, and its clock and its order are fixed, so
that the same database gives the same bytes.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.frame import Frame
from render.vendor import FONT_FAMILY, Vendor

HALF_EXTENT = 15.0
"""Degrees from the middle of the drawn map to its farthest edge: the scale that DataMapPlot gives its maps. It
draws on a Mercator map, which is conformal and, so near the equator, distorts by at most 3.5 %."""

NOISE = ""
"""DataMapPlot's name for points of no topic; never a topic's name."""


@dataclass(frozen=True, slots=True)
class Style:
    """What the page adds to DataMapPlot's own: markup, style sheet and script, all trusted."""

    html: str
    css: str
    js: str


def coordinates(frame: Frame) -> NDArray[np.float32]:
    """Positions for drawing, shape (n, 2): centred, in ±HALF_EXTENT."""
    points = np.array([frame.x, frame.y], dtype=np.float64).T
    low, high = points.min(axis=0), points.max(axis=0)
    extent = float((high - low).max())
    scale = 2 * HALF_EXTENT / extent if extent > 0 else 1.0
    return ((points - (low + high) / 2) * scale).astype(np.float32)


def label_layers(frame: Frame) -> list[NDArray[Any]]:
    """Topic names per dataset, finest layer first; NOISE where a dataset is in no topic.

    A topic that has the name of a topic above it is not named a second time.
    """
    return [names for _, names in _named_layers(frame)]


def label_rows(frame: Frame) -> dict[int, int]:
    """For each topic layer, which of `label_layers` it is; layers without a name are in none."""
    return {layer: row for row, (layer, _) in enumerate(_named_layers(frame))}


def _named_layers(frame: Frame) -> list[tuple[int, NDArray[Any]]]:
    layers = []
    for layer, members in reversed(list(enumerate(frame.topic_of))):
        names = []
        for topic in members:
            name, above = (frame.topics[topic].name, frame.topics[topic].parent) if topic >= 0 else (NOISE, -1)
            while above >= 0 and name:
                if frame.topics[above].name == name:
                    name = NOISE
                above = frame.topics[above].parent
            names.append(name)
        if any(names):
            layers.append((layer, np.array(names, dtype=object)))
    return layers


def topic_places(frame: Frame, coords: NDArray[np.float32]) -> list[tuple[float, float]]:
    """Where each topic's name goes: at the dataset of it that is nearest to its mean."""
    middle = coords.mean(axis=0)
    places = []
    for i, topic in enumerate(frame.topics):
        members = coords[np.array(frame.topic_of[topic.layer]) == i]
        offsets = members - members.mean(axis=0)
        x, y = members[int(np.argmin((offsets**2).sum(axis=1)))] - middle
        places.append((round(float(x), 4), round(float(y), 4)))
    return places


def script_urls() -> list[str]:
    """Where DataMapPlot would link its scripts from."""
    with _alone():
        from datamapplot.interactive_helpers import get_js_dependency_urls  # noqa: PLC0415

        return sorted(get_js_dependency_urls(False, False, False))


def topic_colors(coords: NDArray[np.float32], layers: Sequence[NDArray[Any]]) -> dict[str, str]:
    """A colour (#rrggbb) per topic name: the hue tells the direction from the map's middle."""
    from datamapplot.palette_handling import palette_from_datamap  # noqa: PLC0415

    places: dict[str, NDArray[np.float32]] = {}
    for names in layers:
        for name in sorted(set(names) - {NOISE}):
            places.setdefault(name, coords[names == name].mean(axis=0))
    if not np.ptp(coords, axis=0).any():
        return dict.fromkeys(places, "#3b7ea1")  # no direction to tell apart: all datasets are in one spot
    palette = palette_from_datamap(coords, np.array(list(places.values())), theta_range=np.pi / 16)
    return dict(zip(places, palette, strict=True))


def draw(frame: Frame, columns: dict[str, list[Any]], *, title: str, style: Style, vendor: Vendor | None) -> str:
    """DataMapPlot's page as HTML.

    `columns` go into the page as they are and reach the page's script as `datamap.metaData`; `title` is HTML.
    Without `vendor` the libraries are left out: the caller links them.
    """
    coords = coordinates(frame)
    layers = label_layers(frame)
    sizes = np.array(frame.sizes(), dtype=np.float32)
    with _alone() as home:
        import datamapplot  # noqa: PLC0415
        import pandas as pd  # noqa: PLC0415

        scripts = home / "js.json"
        if vendor is None:
            stub = {url: {"name": f"linked{i}", "encoded_content": ""} for i, url in enumerate(script_urls())}
            scripts.write_text(json.dumps(stub))
            (home / "fonts.json").write_text("{}")
            fonts = home / "fonts.json"
        else:
            scripts.write_text(json.dumps(vendor.scripts(script_urls())))
            fonts = vendor.fonts
        figure = datamapplot.create_interactive_plot(
            coords,
            *layers,
            extra_point_data=pd.DataFrame(columns),
            label_color_map=topic_colors(coords, layers) if layers else None,
            marker_size_array=sizes,
            # Keeps sizes in pixels: DataMapPlot divides by the mean and multiplies by a hundredth of this.
            point_size_scale=100 * float(sizes.mean()),
            point_radius_max_pixels=4,
            initial_zoom_fraction=1.0,
            label_wrap_width=18,
            min_fontsize=14,
            max_fontsize=24,
            text_min_pixel_size=13,
            text_max_pixel_size=26,
            text_outline_color="#ffffffee",
            font_family=FONT_FAMILY,
            font_weight=600,
            noise_label=NOISE,
            noise_color="#a0a4ab",
            background_color="#ffffff",
            title=title,
            widgets=[],
            show_loading_progress=False,
            offline_mode=True,
            offline_mode_js_data_file=scripts,
            offline_mode_font_data_file=fonts,
            custom_html=style.html,
            custom_css=style.css,
            custom_js=style.js,
        )
    return str(figure)


@contextlib.contextmanager
def _alone() -> Iterator[Path]:
    """DataMapPlot without the user's files, the clock and the order of a hash table."""
    import platformdirs  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as undo, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # DataMapPlot's own, and those of what it imports
        home = Path(scratch)
        # A missing cache of style sheets would be downloaded; the page needs none of them.
        (home / "datamapplot_css_encoded.json").write_text("{}")
        for name in ("user_config_dir", "user_data_dir"):
            undo.enter_context(_replaced(platformdirs, name, lambda *_args, **_kwargs: scratch))
        import datamapplot.config  # noqa: PLC0415
        from datamapplot import create_plots, interactive_helpers, interactive_rendering  # noqa: PLC0415

        manager = datamapplot.config.ConfigManager()
        undo.enter_context(_replaced(manager, "_config", datamapplot.config.DEFAULT_CONFIG.copy()))
        # Its own bounds leave out one point in a thousand, at least one: all of them, where there is but one.
        for module in (create_plots, interactive_rendering):
            bounds = [-HALF_EXTENT, HALF_EXTENT, -HALF_EXTENT, HALF_EXTENT]
            undo.enter_context(_replaced(module, "compute_percentile_bounds", lambda *_a, b=bounds, **_k: list(b)))
        timeless = SimpleNamespace(compress=lambda data: gzip.compress(data, mtime=0))
        undo.enter_context(_replaced(interactive_helpers, "gzip", timeless))
        urls = interactive_helpers.get_js_dependency_urls
        undo.enter_context(
            _replaced(
                interactive_rendering,
                "get_js_dependency_urls",
                lambda *args, **kwargs: sorted(urls(*args, **kwargs)),
            )
        )
        yield home


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
