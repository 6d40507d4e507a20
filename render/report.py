"""Write a report as one HTML page: its texts escaped, its plots as inline SVG in the colours of the page's style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files

from markupsafe import Markup

from engine.reports.document import Bars, Cell, Plot, Report, Table
from render import escape
from render.page.document import policy

LONGEST_TEXT = 2_000
"""Characters of one paragraph; those of a cell are `escape.LIMIT`."""

_WIDTH, _LABEL, _BAR, _GAP = 720, 200, 12, 8
_LONGEST_LABEL = 32
MOST_POINTS = 2_000
"""Points that are drawn; more are evenly thinned out."""


def html(report: Report) -> str:
    """Render a report as an HTML page: no script, no address but its own, every text escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("render").joinpath("report.html").read_text(encoding="utf-8"))
    return template.render(
        report=report,
        policy=policy(chunks=False),
        plain=lambda text: escape.plain(text, LONGEST_TEXT),
        shown=shown,
        draw=draw,
        numeric=numeric,
    )


def shown(cell: Cell) -> str:
    """Write a cell as text: numbers with thousands, nothing for None, strangers' text on one line."""
    if cell is None:
        return ""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return f"{cell:,}"
    return escape.plain(cell)


def numeric(table: Table, column: int) -> bool:
    """Tell whether a column holds numbers alone, and at least one."""
    cells = [row[column] for row in table.rows if row[column] is not None]
    return bool(cells) and all(isinstance(cell, int | float) for cell in cells)


def draw(plot: Plot) -> Markup:
    """Draw a report's plot as an SVG element."""
    if isinstance(plot, Bars):
        return _bars(plot.rows, plot.series, unit=plot.unit)
    return _cloud(plot.x, plot.y, plot.names)


def _bars(rows: Sequence[tuple[str, Sequence[float | None]]], series: Sequence[str], *, unit: str = "") -> Markup:
    """Horizontal bars, one group a row and one bar a series (at most 3). None draws no bar."""
    most = max((value for _, values in rows for value in values if value is not None), default=0.0) or 1.0
    group = len(series) * _BAR + _GAP
    top = 22 if len(series) > 1 else 4
    height = top + len(rows) * group
    room = _WIDTH - _LABEL - 70
    parts = [_open(_WIDTH, height, ", ".join(series))]
    for place, name in enumerate(series if len(series) > 1 else ()):
        x = _LABEL + place * 160
        parts.append(f'<rect class="s{place}" x="{x}" y="2" width="10" height="10"/>')
        parts.append(_text(x + 15, 11, name))
    for number, (label, values) in enumerate(rows):
        y = top + number * group
        parts.append(_text(_LABEL - 8, y + group / 2, escape.plain(label, _LONGEST_LABEL), anchor="end"))
        for place, value in enumerate(values):
            if value is None:
                continue
            width, at = room * max(value, 0.0) / most, y + place * _BAR
            parts.append(f'<rect class="s{place}" x="{_LABEL}" y="{at}" width="{width:.1f}" height="{_BAR - 2}"/>')
            parts.append(_text(_LABEL + width + 5, at + _BAR - 2.5, f"{value:,.4g}{unit}"))
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - numbers, and texts that `_text` escaped


def _cloud(x: Sequence[float], y: Sequence[float], names: tuple[str, str]) -> Markup:
    """A point for each pair of numbers, none negative, on scales of log10(1 + value)."""
    width, height, edge = 440, 340, 64
    step = max(1, math.ceil(len(x) / MOST_POINTS))
    pairs = [(math.log10(1 + max(a, 0)), math.log10(1 + max(b, 0))) for a, b in zip(x, y, strict=True)][::step]
    most = [max((pair[axis] for pair in pairs), default=0.0) or 1.0 for axis in (0, 1)]
    left, low = edge, height - edge
    parts = [_open(width, height, f"{names[0]} against {names[1]}")]
    parts.append(f'<path class="axis" fill="none" d="M{left} 6V{low}H{width - 6}"/>')
    for axis in (0, 1):
        for value in _ticks(most[axis]):
            share = math.log10(1 + value) / most[axis]
            name = f"{value:,}"
            if axis == 0:
                parts.append(_text(left + share * (width - edge - 10), low + 15, name, anchor="middle"))
            else:
                parts.append(_text(left - 6, low - share * (low - 10) + 4, name, anchor="end"))
    parts.append(_text((left + width) / 2, height - 8, names[0], anchor="middle"))
    parts.append(_text(left + 6, 14, names[1]))
    for a, b in pairs:
        cx, cy = left + a / most[0] * (width - edge - 10), low - b / most[1] * (low - 10)
        parts.append(f'<circle class="point s0" cx="{cx:.1f}" cy="{cy:.1f}" r="2"/>')
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - as above


def _ticks(most: float) -> list[int]:
    """0 and the powers of ten from 10 on, up to the largest value of a scale that ends at `most`."""
    return [0, *(10**power for power in range(1, 16) if math.log10(1 + 10**power) <= most)]


def _open(width: float, height: float, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{_safe(label)}">'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_safe(text)}</text>'


def _safe(text: str) -> Markup:
    return escape.html(escape.plain(text))
