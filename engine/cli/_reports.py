"""How a report leaves: as tables on stdout, as JSON, and as a page in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engine.cli._output import Output
from engine.cli._rows import write_rows
from engine.cli._text import plain

if TYPE_CHECKING:
    from engine.reports.document import Report

F = TypeVar("F", bound=Callable[..., Any])


def html_option(function: F) -> F:
    """Add --html."""
    return click.option(
        "--html",
        "page",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Also write it as a page that needs no network.",
    )(function)


def deliver(output: Output, report: Report, facts: dict[str, Any], page: Path | None) -> None:
    """Write a report's page, if one is wanted, then its facts as JSON or its tables as text.

    Raises:
        OSError: the page cannot be written.
    """
    if page is not None:
        from render.report import html

        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(html(report), encoding="utf-8", errors="replace")
        output.say(f"Written: {page}")
    if output.mode == "json":
        output.json(facts, indent=2)
        return
    output.data(plain(report.title))
    if report.lead:
        output.data(plain(report.lead))
    for section in report.sections:
        table = section.table
        if table is None:
            # It is a picture alone.
            continue
        output.data("")
        output.data(plain(section.title))
        if section.text:
            output.data(plain(section.text))
        if not table.rows:
            continue
        write_rows(output, table.columns, table.rows[: section.most], "table")
        if len(table.rows) > section.most:
            output.data(f"… and {len(table.rows) - section.most:,} more: --json, or --html FILE")
