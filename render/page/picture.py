"""Draw the map as PNG pictures, for papers, READMEs and previews of links: DataMapPlot's static plot.

Text is drawn with the typeface that comes with matplotlib, so that the same database gives the same bytes
everywhere; the size and the colours of points are those of the page.
"""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import PassError
from render.page import frame, plot
from render.page.datamapplot import patched

MOST_LABELS = 24
"""More names than that hide one another: then a coarser layer names the regions."""
_FONT = "DejaVu Sans"
_PLACE = (0.02, 0.03, 0.96, 0.84)
"""Of the map in its picture: left, bottom, width, height as shares; title and subtitle stand above."""
_NOISE = "#a0a4ab"
# How far colours are mixed with white on black. DataMapPlot lifts names once more: they have to be read.
_POINTS_LIFTED, _NAMES_LIFTED = 0.18, 0.3


@dataclass(frozen=True, slots=True)
class Format:
    """Width and height in pixels; `scale` enlarges points and text with them."""

    width: int
    height: int
    scale: float


PRINT = Format(2400, 1600, 1.0)
CARD = Format(1200, 630, 0.5)
"""What sites that show previews ask for: 1.91 to 1."""


def dark_name(path: Path) -> Path:
    """Return where the dark variant of a picture goes: map.png → map-dark.png."""
    return path.with_name(f"{path.stem}-dark{path.suffix}")


def write(data: frame.Frame, path: Path, *, title: str, preview: Path | None = None) -> list[Path]:
    """Draw the map into `path`, its dark variant beside it, and a preview if asked for; returns the files written.

    Raises:
        PassError: a file cannot be written.
    """
    drawing = plot.prepare(data)
    wanted = [(path, PRINT, False), (dark_name(path), PRINT, True)]
    if preview is not None:
        wanted.append((preview, CARD, False))
    for target, shape, dark in wanted:
        _replace(target, draw(data, drawing, title=title, shape=shape, dark=dark))
    return [target for target, *_ in wanted]


def draw(data: frame.Frame, drawing: plot.Drawing, *, title: str, shape: Format = PRINT, dark: bool = False) -> bytes:
    """Draw the map as PNG."""
    with patched():
        import matplotlib as mpl

        # Text of strangers is no formula, whatever it says between dollar signs.
        plain: dict[Any, Any] = {
            "text.parse_math": False,
            "text.usetex": False,
            "font.family": _FONT,
            "savefig.bbox": None,
        }
        silent = io.StringIO()  # the placing of labels counts its steps aloud
        with mpl.rc_context(plain), contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
            try:
                figure = _figure(data, drawing, _labels(data, drawing, dark=dark), title=title, shape=shape, dark=dark)
            except ValueError:
                # Names are put around the middle of all names, which has no direction from there: better a map without.
                figure = _figure(data, drawing, {"label_color_map": {}}, title=title, shape=shape, dark=dark)
            out = io.BytesIO()
            figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _figure(
    data: frame.Frame,
    drawing: plot.Drawing,
    labels: dict[str, Any],
    *,
    title: str,
    shape: Format,
    dark: bool,
) -> Any:
    import datamapplot
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dpi = 200 * shape.scale
    inches = (shape.width / dpi, shape.height / dpi)
    figure = Figure(figsize=inches, dpi=dpi)
    FigureCanvasAgg(figure)
    axes = figure.add_axes(_PLACE)
    datamapplot.create_plot(
        drawing.coords,
        **labels,
        title=title,
        sub_title=_subtitle(data),
        figsize=inches,
        dpi=dpi,
        ax=axes,
        darkmode=dark,
        marker_color_array=_colors(data, drawing, dark=dark),
        # Diameters in pixels of the page, as areas in points.
        marker_size_array=np.array(data.sizes()) ** 2 * _shrink(len(data)),
        point_size=1.0,
        alpha=0.8,
        font_family=_FONT,
        noise_color=_NOISE,
        label_wrap_width=18,
        title_keywords={"fontweight": "bold", "fontsize": 24},
        sub_title_keywords={"fontsize": 13},
        add_glow=False,
        force_matplotlib=True,
        use_system_fonts=True,
    )
    axes.spines[:].set_visible(False)
    return figure


def _subtitle(data: frame.Frame) -> str:
    number = "One dataset" if len(data) == 1 else f"{len(data):,} datasets, positioned by what their cards say"
    return f"{number} · {data.day.day} {data.day:%B %Y}" if data.day else number


def _shrink(n: int) -> float:
    """Points of large maps are drawn smaller, so that they do not hide each other."""
    return float(np.clip(400 / n, 0.03, 0.3))


def _labels(data: frame.Frame, drawing: plot.Drawing, *, dark: bool) -> dict[str, Any]:
    """The finest layer whose names have room, as DataMapPlot's arguments."""
    fitting = [names for names in drawing.layers if len(set(names) - {plot.NOISE}) <= MOST_LABELS]
    chosen = fitting[0] if fitting else drawing.layers[-1] if drawing.layers else None
    # One name has no direction from the middle of all names, where DataMapPlot starts from.
    if chosen is None or len(set(chosen) - {plot.NOISE}) < 2:
        return {"label_color_map": {}}
    colors = {t.name: color for t, color in reversed(list(zip(data.topics, drawing.colors, strict=True)))}
    if dark:
        colors = {name: _lift(color, _NAMES_LIFTED) for name, color in colors.items()}
    return {"labels": chosen, "noise_label": plot.NOISE, "label_color_map": colors}


def _colors(data: frame.Frame, drawing: plot.Drawing, *, dark: bool) -> list[str]:
    """As on the page: a dataset has the colour of the finest topic it is in."""
    out = [_NOISE if data.topics else plot.NEUTRAL] * len(data)
    for members in data.topic_of:
        for row, topic in enumerate(members):
            if topic >= 0:
                out[row] = drawing.colors[topic]
    return [_lift(color, _POINTS_LIFTED) for color in out] if dark else out


def _lift(color: str, share: float) -> str:
    """Colours of topics are made for white paper: on black they are lifted towards it."""
    parts = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * share):02x}" for part in parts)


def _replace(target: Path, content: bytes) -> None:
    scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            scratch.write_bytes(content)
            scratch.replace(target)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        raise PassError(f"The picture cannot be written: {error}", hint="Choose another file with --png.") from error
