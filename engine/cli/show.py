"""`hfmap show`: everything known of one dataset, and what proves it."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

import click

from engine import queries
from engine.cli._options import db_option, json_option, reading
from engine.cli._output import Output
from engine.cli._text import plain

if TYPE_CHECKING:
    from engine.queries.datasets import Dataset, FieldClaim

# Shown apart from the rest, or under the fields.
_ELSEWHERE = re.compile(r"repo_id|pretty_name|summary|primary_stage|role|topic_\d+")


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
        found = queries.dataset(conn, dataset_id)
    if as_json:
        output.json(found.as_json(), indent=2)
    else:
        _print(output, found)


def _print(output: Output, found: Dataset) -> None:
    line, columns = output.data, found.columns
    line(plain(found.repo_id))
    if columns["pretty_name"]:
        line(plain(columns["pretty_name"]))
    if found.summary:
        line("")
        line(_wrapped(found.summary, ""))
    line("")
    named = {claim.field for claim in found.fields}
    for name, value in {**columns, "card_reason": found.card_reason}.items():
        if _ELSEWHERE.fullmatch(name) or name in named or isinstance(value, list | dict) or value is None:
            continue
        line(f"{name:<16}{plain(str(value))}")
    if columns["tags"]:
        line(_wrapped(", ".join(map(str, columns["tags"])), f"{'tags':<16}"))
    for topic in found.topics:
        line(f"{'topic ' + str(topic.layer):<16}{plain(topic.name)}")
    if found.fields:
        line("")
    for claim in found.fields:
        _print_claim(output, claim)
    for failure in found.failures:
        again = "will be tried again" if failure.kind == "transient" else "for good, until the card changes"
        line(_wrapped(f"{failure.reason} ({failure.attempts} attempts; {again})", f"failed: {failure.stage}: "))
    for origin in found.origins:
        line(f"{origin.stage + ' by':<16}{plain(origin.provider)} {plain(origin.model)}, {origin.created_at}")


def _print_claim(output: Output, claim: FieldClaim) -> None:
    value = claim.value
    text = ", ".join(map(str, value)) if isinstance(value, list) else "no valid value" if value is None else str(value)
    output.data(_wrapped(text or "none", f"{claim.field}: "))
    if claim.quote:
        mark = "✓ in the card" if claim.verified else "✗ not in the card"
        output.data(_wrapped(f"“{claim.quote}” {mark}", "    "))
    if claim.provider == "person":
        note = f": {claim.note}" if claim.note else ""
        output.data(_wrapped(f"corrected by {claim.model or 'a person'}{note}", "    "))
    if claim.problem:
        output.data(_wrapped(f"problem: {claim.problem}", "    "))


def _wrapped(text: str, head: str) -> str:
    return textwrap.fill(plain(text), 100, initial_indent=head, subsequent_indent=" " * min(len(head), 16) or "")
