"""Report as data: sections of text, tables and plots. Every report has this form, on a terminal and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under their columns. A column of numbers is set to the right."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars, one group a row and one bar a series (at most 3); None draws no bar."""

    rows: Sequence[tuple[str, Sequence[float | None]]]
    series: Sequence[str]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Cloud:
    """A point for each pair of numbers, none negative, on scales of log10(1 + value)."""

    x: Sequence[float]
    y: Sequence[float]
    names: tuple[str, str]


Plot = Bars | Cloud


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what is to be said about the table, the table, and a picture of it.

    `most` is how many rows a terminal shows.
    """

    title: str
    text: str = ""
    table: Table | None = None
    plot: Plot | None = None
    most: int = 40


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report. Its texts may hold what strangers wrote: they are escaped on their way out."""

    title: str
    lead: str
    sections: tuple[Section, ...]


def percent(part: float, whole: float) -> float | None:
    """Return `part` of `whole` in per cent, to one decimal; None of nothing."""
    return round(100 * part / whole, 1) if whole else None
