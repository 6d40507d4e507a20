"""`hfmap diff`: what one run changed, or several together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from engine import queries
from engine.cli._options import db_option, json_option, reading
from engine.cli._output import Output
from engine.cli._text import dollars, plain

if TYPE_CHECKING:
    from engine.queries.diff import Change, Changes

MOST_SHOWN = 20
"""Items of a kind that are shown to people; --json has all."""

LONGEST = 100

# The heading of each kind for people.
HEADINGS = {
    "entered": "new on the map",
    "left": "left the map",
    "deleted": "deleted on the Hub",
    "renamed": "renamed",
    "card": "changed cards",
    "rank": "moved in rank",
    "field": "changed fields",
    "summary": "changed summaries",
}


@click.command()
@click.argument("first", metavar="[RUN", required=False, type=click.IntRange(min=1))
@click.argument("second", metavar="[RUN]]", required=False, type=click.IntRange(min=1))
@db_option
@json_option
def diff(first: int | None, second: int | None, db: str | None, as_json: bool) -> None:
    """Show what runs changed: datasets, cards, ranks, fields, summaries.

    Without RUN: the last sync that ended. One RUN: that one. Two: all after the first, up to and including the
    second, taken together. `hfmap status` shows the numbers of the last runs.
    """
    output = Output("json" if as_json else "human")
    with reading(db) as conn:
        found = queries.changes(conn, first, second)
    if as_json:
        output.json(found.as_json(), indent=2)
    else:
        _print(output, found)


def _print(output: Output, found: Changes) -> None:
    line, runs = output.data, found.runs
    if len(runs) == 1:
        run = runs[0]
        line(f"run {run.run_id}: {run.command}, {run.started_at}, {run.outcome}, {dollars(found.usd)}")
    elif runs:
        line(f"runs {runs[0].run_id} to {runs[-1].run_id}, since {runs[0].started_at}, {dollars(found.usd)}")
    changed = [kind for kind in HEADINGS if found.of(kind)]
    if not changed:
        line("nothing changed")
    for kind in changed:
        items = found.of(kind)
        line("")
        line(f"{HEADINGS[kind]}: {len(items):,}")
        for item in items[:MOST_SHOWN]:
            for text in _lines(kind, item):
                line(f"  {text}")
        if len(items) > MOST_SHOWN:
            line(f"  … and {len(items) - MOST_SHOWN:,} more; all of them: --json")


def _lines(kind: str, item: Change) -> list[str]:
    name, before, after = plain(item.repo_id), _words(item.before), _words(item.after)
    if kind == "entered":
        return [f"{after:>6}  {name}"]
    if kind == "left":
        return [f"{before:>6}  {name}" + (f" ({after})" if after not in ("", "ok") else "")]
    if kind == "deleted":
        return [f"{name}: {after}" if after else name]
    if kind == "renamed":
        return [f"{before} → {after}"]
    if kind == "card":
        return [name]
    if kind == "rank":
        return [f"{before:>6} → {after:<6}  {name}"]
    if kind == "field":
        return [f"{name}: {item.field}: {before or 'no value'} → {after or 'no value'}"]
    return [name, f"    - {before}", f"    + {after}"]


def _words(value: Any) -> str:
    """A value on one line that no terminal obeys, cut where it is long."""
    if value is None:
        return ""
    text = ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
    text = plain(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
