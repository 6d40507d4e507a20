"""Answers of readers: what the database says of each card, what a provider read from it, and what another one did."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.queries import measures
from engine.reports.scores import CardLabels
from taxonomy.model import Taxonomy
from taxonomy.model_names import usual_spellings

Readers = Counter[tuple[str, str, str]]
"""How many cards each (stage, provider, model) read."""


@dataclass(slots=True)
class Answers:
    """Fields and summaries by dataset_id. A field without a valid value is None. `corrected` counts people's values."""

    fields: dict[int, dict[str, CardLabels | None]] = field(default_factory=dict)
    summaries: dict[int, str] = field(default_factory=dict)
    readers: Readers = field(default_factory=Counter)
    corrected: int = 0

    def only(self, field_ids: set[int], summary_ids: set[int]) -> Answers:
        """Keep what is known of these datasets."""
        return Answers(
            {i: v for i, v in self.fields.items() if i in field_ids},
            {i: v for i, v in self.summaries.items() if i in summary_ids},
            self.readers,
            self.corrected,
        )


def in_force(conn: sqlite3.Connection, taxonomy: Taxonomy) -> Answers:
    """Read what the database says, people's corrections included."""
    found = Answers(summaries=measures.summaries(conn))
    names = {each.name for each in taxonomy}
    for claim in measures.claimed_values(conn):
        if claim.field in names:
            found.fields.setdefault(claim.dataset_id, {})[claim.field] = labels(claim.value)
            found.corrected += claim.origin == "person"
    for count in measures.reader_counts(conn):
        found.readers[count[:3]] = count.cards
    return found


def beside(conn: sqlite3.Connection, taxonomy: Taxonomy, name: str | None) -> tuple[Answers, Answers]:
    """Read the cards that were read twice: the results in force (without corrections), and those of another reader.

    `name` is a provider or a model; None takes the newest result of any other reader. Both results of a card were
    made from the same text. A name that has read nothing gives two empty ones.
    """
    ours, theirs = Answers(), Answers()
    for each in measures.second_results(conn, name):
        ours.readers[each.stage, each.provider, each.model] += 1
        theirs.readers[each.stage, each.other_provider, each.other_model] += 1
        for answers, result_id in ((ours, each.result_id), (theirs, each.other_id)):
            if each.stage == "extract":
                answers.fields[each.dataset_id] = _fields(conn, result_id, taxonomy)
            elif (text := measures.summary_text(conn, result_id)) is not None:
                answers.summaries[each.dataset_id] = text
    return ours, theirs


def labels(value: str | None) -> CardLabels | None:
    """Return the labels of a stored (JSON) value; None where there is none."""
    if value is None:
        return None
    parsed = json.loads(value)
    if isinstance(parsed, list):
        return tuple(str(item) for item in parsed)
    return (str(parsed).lower() if isinstance(parsed, bool) else str(parsed),)


def spelled_alike(*sides: Sequence[CardLabels | None]) -> list[list[CardLabels | None]]:
    """Return labels of an open field as they are compared: each name in the spelling that is commonest on all sides."""
    usual = usual_spellings(Counter(name for side in sides for values in side for name in values or ()))

    def alike(values: CardLabels | None) -> CardLabels | None:
        return None if values is None else tuple(dict.fromkeys(usual.get(name, name) for name in values))

    return [[alike(values) for values in side] for side in sides]


def _fields(conn: sqlite3.Connection, result_id: int, taxonomy: Taxonomy) -> dict[str, CardLabels | None]:
    names = {each.name for each in taxonomy}
    return {name: labels(value) for name, value in measures.field_values(conn, result_id) if name in names}
