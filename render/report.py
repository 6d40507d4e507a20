"""Write a report as one page: its texts escaped, its plots as inline SVG."""

from __future__ import annotations

from importlib.resources import files

from engine.reports.document import Cell, Report, Table
from render import escape, figures
from render.page.document import policy

LONGEST_TEXT = 2_000
"""Characters of one paragraph; those of a cell are `escape.LIMIT`."""


def html(report: Report) -> str:
    """Return a report as a page: no script, no address but its own, every text escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("render").joinpath("report.html").read_text(encoding="utf-8"))
    return template.render(
        report=report,
        policy=policy(chunks=False),
        plain=lambda text: escape.plain(text, LONGEST_TEXT),
        shown=shown,
        draw=figures.draw,
        numeric=numeric,
    )


def shown(cell: Cell) -> str:
    """Return a cell as text: numbers with thousands, nothing for None, strangers' text on one line."""
    if cell is None:
        return ""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return f"{cell:,}"
    return escape.plain(cell)


def numeric(table: Table, column: int) -> bool:
    """Whether a column holds numbers alone, and at least one."""
    cells = [row[column] for row in table.rows if row[column] is not None]
    return bool(cells) and all(isinstance(cell, int | float) for cell in cells)
