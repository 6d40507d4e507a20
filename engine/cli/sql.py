"""`hfmap sql`: questions to the database, in SQL."""

from __future__ import annotations

import os
import sys
from dataclasses import astuple
from itertools import chain
from typing import TYPE_CHECKING

import click

from engine import queries
from engine.cli._options import db_option, reading
from engine.cli._output import Output
from engine.cli._rows import FORMATS, write_rows
from engine.errors import UsageError

if TYPE_CHECKING:
    from engine.queries.sql import TimeLimitError

TIMEOUT_SECONDS = 30.0
LONGEST_QUERY = 1_000_000


@click.command()
@click.argument("query", metavar="Q", required=False)
@db_option
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--schema", is_flag=True, help="List the views and tables with their columns.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="The most time the query itself may take.",
)
def sql(query: str | None, db: str | None, form: str, schema: bool, timeout: float) -> int:
    """Ask the database a question in SQL; it can only be read.

    Q is one SELECT, or - to read it from stdin. A table shortens long values; json, csv and tsv give them
    whole, as they are: what cards say may look like a formula to a spreadsheet, so import it there as text.
    Start from the views datasets, quotes and spending: hfmap sql --schema
    """
    output = Output()
    if (query is None) != schema:
        raise UsageError(
            "hfmap sql takes a query, or --schema.",
            hint="hfmap sql 'select repo_id, likes from datasets limit 5'",
        )
    with reading(db) as conn:
        if query is None:
            rows = [astuple(column) for column in queries.schema(conn)]
            write_rows(output, ("name", "kind", "column", "type"), rows, form)
            return 0
        statement = _read_query() if query == "-" else query
        guarded = queries.GuardedConnection(conn, seconds=timeout, stuck=_end)
        columns, batches = guarded.query(statement)
        write_rows(output, columns, chain.from_iterable(batches), form)
    return 0


def _read_query() -> str:
    text = sys.stdin.read(LONGEST_QUERY + 1)
    if len(text) > LONGEST_QUERY:
        raise UsageError(f"The query on stdin is longer than {LONGEST_QUERY:,} characters.")
    return text


def _end(error: TimeLimitError) -> None:
    """End the process: what SQLite is at cannot be stopped otherwise."""
    sys.stderr.write(f"hfmap: {error}\n       {error.hint}\n")
    sys.stderr.flush()
    os._exit(error.exit_code)
