"""Draw a frame with DataMapPlot: scale the map, place and colour its topics, and make the HTML of the page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.page.datamapplot import HALF_EXTENT, patched
from render.page.frame import Frame
from render.vendor import FONT_FAMILY, Vendor

NOISE = ""
"""DataMapPlot's name for points of no topic; never a topic's name."""


NEUTRAL = "#3b7ea1"


@dataclass(frozen=True, slots=True)
class Style:
    """Markup, style sheet and script that the page adds to DataMapPlot's own, all trusted."""

    html: str
    css: str
    js: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """Coordinates, label layers and colours of a frame, as DataMapPlot takes them.

    coords: float32, shape (n, 2), centred, in ±HALF_EXTENT. layers: topic names per dataset, finest layer
    first, NOISE where there is none; a topic that has the name of one above it is not named again.
    layer_rows: which of `layers` a topic layer of the frame is. places, colors: of each topic, the map position
    of its name and its colour as #rrggbb.
    """

    coords: NDArray[np.float32]
    layers: list[NDArray[Any]]
    layer_rows: dict[int, int]
    places: list[tuple[float, float]]
    colors: list[str]


def prepare(frame: Frame) -> Drawing:
    """Scale the map, and place and colour its topics."""
    points = np.array([frame.x, frame.y], dtype=np.float64).T
    # The farthest point from the mean decides the scale: DataMapPlot moves the mean to the origin.
    points -= points.mean(axis=0)
    extent = float(np.abs(points).max())
    coords = (points * (HALF_EXTENT / extent if extent > 0 else 1.0)).astype(np.float32)
    named = _named_layers(frame)
    places = [_place(coords[np.array(frame.topic_of[t.layer]) == i]) for i, t in enumerate(frame.topics)]
    return Drawing(
        coords,
        [names for _, names in named],
        {layer: row for row, (layer, _) in enumerate(named)},
        places,
        _topic_colors(coords, frame, places),
    )


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


def _place(members: NDArray[np.float32]) -> tuple[float, float]:
    """At the member nearest to the mean of all: the mean of two islands lies in the sea."""
    offsets = members - members.mean(axis=0)
    x, y = members[int(np.argmin((offsets**2).sum(axis=1)))]
    return round(float(x), 4), round(float(y), 4)


def _topic_colors(coords: NDArray[np.float32], frame: Frame, places: list[tuple[float, float]]) -> list[str]:
    """The hue tells the direction from the middle of the map, so that related topics have related colours."""
    if not places:
        return []
    if not np.ptp(coords, axis=0).any():
        return [NEUTRAL] * len(places)  # no direction to tell apart: all datasets are in one spot
    with patched():
        from datamapplot.palette_handling import palette_from_datamap

        # Finest first, as DataMapPlot orders them: the colours depend on the order.
        order = sorted(range(len(places)), key=lambda i: (-frame.topics[i].layer, frame.topics[i].name))
        palette = palette_from_datamap(coords, np.array([places[i] for i in order]), theta_range=np.pi / 16)
    colors = dict(zip(order, palette, strict=True))
    return [colors[i] for i in range(len(places))]


def script_urls() -> list[str]:
    """Return the addresses that DataMapPlot would link its scripts from, sorted."""
    with patched():
        from datamapplot.interactive_helpers import get_js_dependency_urls

        return sorted(get_js_dependency_urls(False, False, False))


def draw(
    frame: Frame,
    drawing: Drawing,
    columns: dict[str, list[Any]],
    *,
    title: str,
    style: Style,
    vendor: Vendor | None,
) -> str:
    """Draw a frame as DataMapPlot's HTML page.

    `columns` go into the page as they are and reach the page's script as `datamap.metaData`; `title` is HTML.
    Without `vendor` the libraries are left out: the caller links them.
    """
    sizes = np.array(frame.sizes(), dtype=np.float32)
    # Equal names of two layers share a colour, that of the coarser.
    colors = {t.name: color for t, color in reversed(list(zip(frame.topics, drawing.colors, strict=True)))}
    with patched() as home:
        import datamapplot
        import pandas as pd

        scripts, fonts = home / "js.json", home / "fonts.json"
        if vendor is None:
            stub = {url: {"name": f"linked{i}", "encoded_content": ""} for i, url in enumerate(script_urls())}
            scripts.write_text(json.dumps(stub))
            fonts.write_text("{}")
        else:
            scripts.write_text(json.dumps(vendor.scripts(script_urls())))
            fonts = vendor.fonts
        figure = datamapplot.create_interactive_plot(
            drawing.coords,
            *drawing.layers,
            extra_point_data=pd.DataFrame(columns),
            label_color_map=colors if drawing.layers else None,
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
            font_family=FONT_FAMILY,
            font_weight=600,
            noise_label=NOISE,
            noise_color="#a0a4ab",
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
