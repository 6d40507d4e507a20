"""A report as data, and as one page that needs nothing else. Every report has this form, on a terminal too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from markupsafe import Markup

from render.drawing import escape
from render.drawing.document import policy

Cell = str | int | float | None

LONGEST_TEXT = 2_000
"""Characters of one paragraph; those of a cell are `escape.LIMIT`."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under their columns. A column of numbers is set to the right."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what is to be said about the table, the table, and a picture of it.

    `most` is how many rows a terminal shows; `figure` is SVG that `render.reports.figures` made.
    """

    title: str
    text: str = ""
    table: Table | None = None
    figure: Markup | None = None
    most: int = 40


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report. Its texts may hold what strangers wrote: they are escaped on their way out."""

    title: str
    lead: str
    sections: tuple[Section, ...]


def html(report: Report) -> str:
    """Return a report as a page: no script, no address but its own, every text escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("render.reports").joinpath("report.html").read_text(encoding="utf-8"))
    return template.render(
        report=report,
        policy=policy(chunks=False),
        plain=lambda text: escape.plain(text, LONGEST_TEXT),
        shown=shown,
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


def percent(part: float, whole: float) -> float | None:
    """`part` of `whole` per cent, to one decimal; None of nothing."""
    return round(100 * part / whole, 1) if whole else None
