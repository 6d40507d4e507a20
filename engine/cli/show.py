"""`hfmap show`: everything known of one dataset, and what proves it."""

from __future__ import annotations

import json
import re
import sqlite3
import textwrap
from typing import Any

import click

from engine.cli._options import db_option, json_option, reading
from engine.cli._output import Output
from engine.cli._text import plain
from engine.errors import HfmapError
from engine.store.datasets import find_dataset
from engine.store.views import MOST_LAYERS, taxonomy_in_force

_FIELDS = """
SELECT field, value, quote, verified, confidence, problem, origin AS provider, model, note, created_at
FROM claim WHERE dataset_id = ? ORDER BY field
"""
_ORIGINS = "SELECT stage, provider, model, spec_hash, input_hash, created_at FROM in_force WHERE dataset_id = ?"
_TOPICS = """
SELECT t.layer, t.name, t.named_by FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
WHERE m.tree_id = (SELECT max(tree_id) FROM topic_tree) AND m.dataset_id = ? ORDER BY t.layer
"""
_FAILURES = "SELECT stage, kind, reason, attempts, failed_at FROM failure WHERE dataset_id = ? ORDER BY stage"
_CARD = "SELECT text, body_chars, front_matter, problems, stored_at FROM card WHERE dataset_id = ?"
# Shown apart from the rest, or under "fields".
_ELSEWHERE = frozenset(
    {
        *("repo_id", "pretty_name", "summary", "primary_stage", "role"),
        *(f"topic_{layer}" for layer in range(MOST_LAYERS)),
    }
)


@click.command()
@click.argument("dataset_id", metavar="ID")
@db_option
@json_option
def show(dataset_id: str, db: str | None, as_json: bool) -> None:
    """Show all that is known of one dataset.

    Each field stands with its quote, and whether that is in the card.

    ID is author/name, or the address of its page on the Hub.
    """
    output = Output("json" if as_json else "human")
    with reading(db) as conn:
        facts = describe(conn, *find(conn, dataset_id))
    if as_json:
        output.json(facts, indent=2)
    else:
        _print(output, facts)


def find(conn: sqlite3.Connection, wanted: str) -> tuple[int, str]:
    """The row and id of a dataset, by its id, its address on the Hub, or its name where only one has it.

    Raises:
        HfmapError: there is none; the hint names those with ids like it.
    """
    name = re.sub(r"^https?://[^/]+/(datasets/)?", "", wanted.strip()).strip("/")
    if (known := find_dataset(conn, name)) is not None:
        return known
    for where in ("repo_id = ? COLLATE NOCASE", "name = ? COLLATE NOCASE"):
        rows = conn.execute(f"SELECT dataset_id, repo_id FROM dataset WHERE {where} LIMIT 2", (name,)).fetchall()
        if len(rows) == 1:
            return int(rows[0][0]), str(rows[0][1])
    near = _near(conn, name)
    hint = f"Did you mean {', '.join(near)}?" if near else "Look for it: hfmap search TEXT"
    raise HfmapError(f"There is no dataset '{wanted}' in the database.", hint=hint)


def _near(conn: sqlite3.Connection, name: str) -> list[str]:
    from rapidfuzz import fuzz, process

    ids = [row[0] for row in conn.execute("SELECT repo_id FROM dataset ORDER BY rank IS NULL, rank")]
    found = process.extract(name.lower(), ids, scorer=fuzz.WRatio, processor=str.lower, limit=3, score_cutoff=65)
    return [match[0] for match in found]


def describe(conn: sqlite3.Connection, dataset_id: int, repo_id: str) -> dict[str, Any]:
    """Everything known of one dataset, as JSON values; lists are lists."""
    facts = dict(conn.execute("SELECT * FROM datasets WHERE repo_id = ?", (repo_id,)).fetchone())
    for column in ("tags", *(field.name for field in taxonomy_in_force(conn) if field.kind in {"many", "open"})):
        facts[column] = _loads(facts[column])
    reason = conn.execute("SELECT card_reason FROM dataset WHERE dataset_id = ?", (dataset_id,)).fetchone()
    facts["card_reason"] = reason[0]
    fields = []
    for row in conn.execute(_FIELDS, (dataset_id,)):
        field = dict(row)
        field["value"] = _loads(field["value"])
        field["verified"] = bool(field["verified"])
        fields.append(field)
    card = conn.execute(_CARD, (dataset_id,)).fetchone()
    facts["fields"] = fields
    facts["topics"] = [dict(row) for row in conn.execute(_TOPICS, (dataset_id,))]
    facts["origins"] = [dict(row) for row in conn.execute(_ORIGINS, (dataset_id,))]
    facts["failures"] = [dict(row) for row in conn.execute(_FAILURES, (dataset_id,))]
    facts["card"] = None if card is None else {**dict(card), "problems": _loads(card["problems"])}
    return facts


def _loads(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _print(output: Output, facts: dict[str, Any]) -> None:
    line = output.data
    line(plain(facts["repo_id"]))
    if facts["pretty_name"]:
        line(plain(facts["pretty_name"]))
    if facts["summary"]:
        line("")
        line(_wrapped(facts["summary"], ""))
    line("")
    named = {field["field"] for field in facts["fields"]}
    for name, value in facts.items():
        if name not in _ELSEWHERE and name not in named and not isinstance(value, list | dict) and value is not None:
            line(f"{name:<16}{plain(str(value))}")
    if facts["tags"]:
        line(_wrapped(", ".join(map(str, facts["tags"])), f"{'tags':<16}"))
    for topic in facts["topics"]:
        line(f"{'topic ' + str(topic['layer']):<16}{plain(topic['name'])}")
    if facts["fields"]:
        line("")
    for field in facts["fields"]:
        _print_field(output, field)
    for failure in facts["failures"]:
        again = "will be tried again" if failure["kind"] == "transient" else "for good, until the card changes"
        line(
            _wrapped(
                f"{failure['reason']} ({failure['attempts']} attempts; {again})",
                f"failed: {failure['stage']}: ",
            )
        )
    for origin in facts["origins"]:
        line(
            f"{origin['stage'] + ' by':<16}{plain(origin['provider'])} {plain(origin['model'])}, {origin['created_at']}"
        )


def _print_field(output: Output, field: dict[str, Any]) -> None:
    value = field["value"]
    text = ", ".join(map(str, value)) if isinstance(value, list) else "no valid value" if value is None else str(value)
    output.data(_wrapped(text or "none", f"{field['field']}: "))
    if field["quote"]:
        mark = "✓ in the card" if field["verified"] else "✗ not in the card"
        output.data(_wrapped(f"“{field['quote']}” {mark}", "    "))
    if field["provider"] == "person":
        note = f": {field['note']}" if field["note"] else ""
        output.data(_wrapped(f"corrected by {field['model'] or 'a person'}{note}", "    "))
    if field["problem"]:
        output.data(_wrapped(f"problem: {field['problem']}", "    "))


def _wrapped(text: str, head: str) -> str:
    return textwrap.fill(plain(text), 100, initial_indent=head, subsequent_indent=" " * min(len(head), 16) or "")
