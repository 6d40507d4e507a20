"""`hfmap search` (full text or meaning) and `hfmap related` (nearest cards in embedding space)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING

import click

from engine import queries
from engine.cli._options import db_option, json_option, reading
from engine.cli._output import Output
from engine.cli._rows import write_rows

if TYPE_CHECKING:
    from engine.queries.matches import TextMatch, VectorMatch

_limit = click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many at most.")


@click.command()
@click.argument("text", nargs=-1, required=True)
@db_option
@_limit
@click.option("--semantic", is_flag=True, help="Look for the meaning, not the words.")
@json_option
def search(text: tuple[str, ...], db: str | None, limit: int, semantic: bool, as_json: bool) -> None:
    """Look for words in ids, names, summaries and cards.

    All words must occur; "two words" in quotes are a phrase, and word* finds what begins with it. With --semantic the
    datasets come whose cards mean something near; this needs no network where the local embedder made the map.
    """
    output = Output("json" if as_json else "human")
    words = " ".join(text)
    with reading(db) as conn:
        if semantic:
            _write(output, queries.alike(conn, words, limit), "similarity")
        else:
            _write(output, queries.search(conn, words, limit), "hit")


@click.command()
@click.argument("dataset_id", metavar="ID")
@db_option
@_limit
@json_option
def related(dataset_id: str, db: str | None, limit: int, as_json: bool) -> None:
    """Show the datasets with the nearest cards.

    Nearness is the cosine of two cards' embeddings, not their distance on the map.
    """
    output = Output("json" if as_json else "human")
    with reading(db) as conn:
        _write(output, queries.related(conn, dataset_id, limit), "similarity")


def _write(output: Output, matches: Sequence[TextMatch] | Sequence[VectorMatch], last: str) -> None:
    rows = [[int(cell) if isinstance(cell, bool) else cell for cell in astuple(match)] for match in matches]
    columns = ("repo_id", "likes", "on_map", "summary", last)
    write_rows(output, columns, rows, "json" if output.mode == "json" else "table")
    if not matches:
        output.say("Nothing found.")
