"""`hfmap diff`: what one run changed, or several together."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from engine.cli._options import db_option, json_option, reading
from engine.cli._output import Output
from engine.cli._text import dollars, plain
from engine.errors import HfmapError, UsageError

MOST_SHOWN = 20
"""Items of a kind that are shown to people; --json has all."""

LONGEST = 100

# The order of the answer, and the heading of each kind for people.
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
_CHANGES = """
SELECT c.run_id, c.dataset_id, c.kind, c.field, c.before, c.after, d.repo_id, d.rank
FROM change c JOIN dataset d ON d.dataset_id = c.dataset_id
WHERE c.run_id > ? AND c.run_id <= ? ORDER BY c.run_id
"""
_RUNS = """
SELECT run_id, command, source, started_at, finished_at, outcome,
    (SELECT coalesce(sum(usd), 0) FROM call WHERE call.run_id = run.run_id) AS usd
FROM run WHERE run_id > ? AND run_id <= ? ORDER BY run_id
"""

Change = dict[str, Any]


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
        after, upto = _span(conn, first, second)
        facts = collect(conn, after, upto)
    if as_json:
        output.json(facts, indent=2)
    else:
        _print(output, facts)


def _span(conn: sqlite3.Connection, first: int | None, second: int | None) -> tuple[int, int]:
    """Return the runs that are meant: all after the one number, up to the other.

    Raises:
        HfmapError: there is no such run.
        UsageError: the runs are in the wrong order.
    """
    if first is None:
        row = conn.execute("SELECT max(run_id) FROM run WHERE command = 'sync' AND finished_at IS NOT NULL").fetchone()
        if row[0] is None:
            raise HfmapError("No sync has ended yet.", hint="Make one: hfmap sync; or name a run: hfmap diff RUN")
        return row[0] - 1, row[0]
    for number in (first, second):
        if number is not None and not conn.execute("SELECT 1 FROM run WHERE run_id = ?", (number,)).fetchone():
            raise HfmapError(f"There is no run {number}.", hint="See the last runs: hfmap status")
    if second is None:
        return first - 1, first
    if second < first:
        raise UsageError(f"Run {second} came before run {first}.", hint=f"hfmap diff {second} {first}")
    return first, second


def collect(conn: sqlite3.Connection, after: int, upto: int) -> dict[str, Any]:
    """What the runs after `after`, up to `upto`, changed together, as JSON values: a list for each kind of HEADINGS."""
    runs = [dict(row) for row in conn.execute(_RUNS, (after, upto))]
    changes = fold([dict(row) for row in conn.execute(_CHANGES, (after, upto))])
    facts: dict[str, Any] = {"runs": runs, "usd": sum(run["usd"] for run in runs)}
    for kind in HEADINGS:
        found = [_item(change) for change in changes if change["kind"] == kind]
        facts[kind] = sorted(found, key=_ORDER.get(kind, _by_name))
    return facts


def fold(rows: Iterable[Change]) -> list[Change]:
    """Take changes of several runs, in their order, together: the value before the first, and after the last.

    What was there and is there again in the end, or came and went, is no change. A dataset that only passed over the
    map has none at all, but for its name.
    """
    kept: dict[tuple[int, str, str], Change] = {}
    was_on: dict[int, bool] = {}
    is_on: dict[int, bool] = {}
    for row in rows:
        dataset, kind = row["dataset_id"], row["kind"]
        if kind in ("entered", "left"):
            was_on.setdefault(dataset, kind == "left")
            is_on[dataset] = kind == "entered"
            if kind == "entered" and (gone := kept.get((dataset, "deleted", ""))) and gone["run_id"] < row["run_id"]:
                del kept[dataset, "deleted", ""]
        first = kept.setdefault((dataset, kind, row["field"]), dict(row))
        first["after"], first["run_id"] = row["after"], row["run_id"]
    folded = []
    for (dataset, kind, _), change in kept.items():
        before, now = was_on.get(dataset), is_on.get(dataset)
        if kind == "entered" and (before or not now):
            continue
        if kind == "left" and (not before or now):
            continue
        if before is False and now is False and kind not in ("renamed", "deleted"):
            continue
        if kind in ("renamed", "card", "rank", "field", "summary") and _value(change, "before") == _value(
            change, "after"
        ):
            continue
        folded.append(change)
    return folded


def _value(change: Change, name: str) -> Any:
    text = change[name]
    if text is None:
        return None
    if change["kind"] in ("field", "rank") or (change["kind"], name) in (("entered", "after"), ("left", "before")):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _item(change: Change) -> Change:
    item = {"repo_id": change["repo_id"], "before": _value(change, "before"), "after": _value(change, "after")}
    if change["kind"] == "field":
        item["field"] = change["field"]
    return item


def _by_name(item: Change) -> Any:
    return item["repo_id"], item.get("field", "")


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else math.inf


def _by_move(item: Change) -> Any:
    before, after = _number(item["before"]), _number(item["after"])
    far = abs(math.log(after / before)) if math.isfinite(before) and math.isfinite(after) else math.inf
    return -far, item["repo_id"]


_ORDER: dict[str, Callable[[Change], Any]] = {
    "entered": lambda item: (_number(item["after"]), item["repo_id"]),
    "left": lambda item: (_number(item["before"]), item["repo_id"]),
    "rank": _by_move,
}


def _print(output: Output, facts: dict[str, Any]) -> None:
    line, runs = output.data, facts["runs"]
    if len(runs) == 1:
        run = runs[0]
        line(f"run {run['run_id']}: {run['command']}, {run['started_at']}, {run['outcome']}, {dollars(facts['usd'])}")
    elif runs:
        line(
            f"runs {runs[0]['run_id']} to {runs[-1]['run_id']}, since {runs[0]['started_at']}, {dollars(facts['usd'])}"
        )
    changed = [kind for kind in HEADINGS if facts[kind]]
    if not changed:
        line("nothing changed")
    for kind in changed:
        items: Sequence[Change] = facts[kind]
        line("")
        line(f"{HEADINGS[kind]}: {len(items):,}")
        for item in items[:MOST_SHOWN]:
            for text in _lines(kind, item):
                line(f"  {text}")
        if len(items) > MOST_SHOWN:
            line(f"  … and {len(items) - MOST_SHOWN:,} more; all of them: --json")


def _lines(kind: str, item: Change) -> list[str]:
    name, before, after = plain(item["repo_id"]), _words(item["before"]), _words(item["after"])
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
        return [f"{name}: {item['field']}: {before or 'no value'} → {after or 'no value'}"]
    return [name, f"    - {before}", f"    + {after}"]


def _words(value: Any) -> str:
    """A value on one line that no terminal obeys, cut where it is long."""
    if value is None:
        return ""
    text = ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
    text = plain(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
