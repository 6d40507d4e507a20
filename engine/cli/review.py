"""`hfmap review`: the values most worth a look, and how to correct them."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from engine import queries
from engine.cli._options import db_option, json_option, reading
from engine.cli._output import Output
from engine.cli._text import plain
from taxonomy.corrections import written

if TYPE_CHECKING:
    from engine.queries.doubts import Doubt


@click.command()
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many at most.")
@db_option
@json_option
def review(limit: int, db: str | None, as_json: bool) -> None:
    """List the values most worth a look, and how to correct them.

    These are values whose quote is not in the card, on which two providers disagree, of low confidence, or that
    had to be repaired. What was corrected is not listed: to confirm a value, set it to what it is.
    """
    output = Output("json" if as_json else "human")
    with reading(db) as conn:
        found = queries.review(conn)
    first = found[:limit]
    if as_json:
        output.json([{**asdict(doubt), "command": command(doubt)} for doubt in first], indent=2)
        return
    for doubt in first:
        value = "no value" if doubt.value is None else _shown(doubt.value)
        output.data(f"{plain(doubt.repo_id)}  {doubt.field}: {plain(value)}")
        for reason in doubt.reasons:
            output.data(f"    {plain(reason)}")
        if doubt.quote and not doubt.verified:
            output.data(f"    “{plain(doubt.quote)}”")
        output.data(f"    {plain(command(doubt))}")
    if not found:
        output.say("Nothing to review: every value is verified, and nobody disagrees.")
    elif len(found) > limit:
        output.say(f"{len(found) - limit:,} more: hfmap review --limit {len(found)}")


def command(doubt: Doubt) -> str:
    """The command that corrects a value: with what another provider read, where one disagrees."""
    value = shlex.quote(written(doubt.others[0].value)) if doubt.others else "VALUE"
    return f"hfmap override {shlex.quote(doubt.repo_id)} {doubt.field} {value}"


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else written(value)
