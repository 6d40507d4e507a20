"""What the database says of each card: as it stands, as a provider read it, and as another one did."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.reports.scores import Labels
from taxonomy.model import Taxonomy
from taxonomy.model_names import usual_spellings

Readers = Counter[tuple[str, str, str]]
"""How many cards each (stage, provider, model) read."""


@dataclass(slots=True)
class Answers:
    """Fields and summaries by dataset_id. A field without a valid value is None. `corrected` counts people's values."""

    fields: dict[int, dict[str, Labels | None]] = field(default_factory=dict)
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


_CLAIMS = "SELECT dataset_id, field, value, origin FROM claim"
_SUMMARIES = """
SELECT c.dataset_id, c.text FROM (
    SELECT d.dataset_id, v.summary AS text FROM datasets v JOIN dataset d ON d.repo_id = v.repo_id
    WHERE v.summary IS NOT NULL) c
"""
_CORRECTED = "SELECT count(*) FROM override"
_READERS = """
SELECT stage, provider, model, count(*) FROM in_force WHERE stage IN ('extract', 'summarize') GROUP BY 1, 2, 3
"""
# The result in force of each card and, beside it, the newest one that somebody else made from the same text.
_PAIRS = """
SELECT i.dataset_id, i.stage, i.provider, i.model, i.result_id, r.result_id, s.provider, s.model
FROM in_force i
JOIN result r ON r.result_id = (
    SELECT r2.result_id FROM result r2 JOIN spec s2 USING (spec_id)
    WHERE r2.input_hash = i.input_hash AND s2.stage = i.stage AND r2.result_id <> i.result_id
      AND (CASE WHEN :name IS NULL THEN s2.provider <> i.provider OR s2.model <> i.model
           ELSE s2.provider = :name OR s2.model = :name END)
    ORDER BY r2.result_id DESC LIMIT 1)
JOIN spec s ON s.spec_id = r.spec_id
WHERE i.stage IN ('extract', 'summarize')
"""


def in_force(conn: sqlite3.Connection, taxonomy: Taxonomy) -> Answers:
    """What the database says, people's corrections included."""
    found = Answers()
    names = {each.name for each in taxonomy}
    for dataset_id, name, value, origin in conn.execute(_CLAIMS):
        if name in names:
            found.fields.setdefault(dataset_id, {})[name] = labels(value)
            found.corrected += origin == "person"
    found.summaries = dict(conn.execute(_SUMMARIES).fetchall())
    for stage, provider, model, count in conn.execute(_READERS):
        found.readers[stage, provider, model] = count
    return found


def beside(conn: sqlite3.Connection, taxonomy: Taxonomy, name: str | None) -> tuple[Answers, Answers]:
    """Cards that were read twice: the results in force (without corrections), and those of another reader.

    `name` is a provider or a model; None takes the newest result of any other reader. Both results of a card were
    made from the same text. A name that has read nothing gives two empty ones.
    """
    ours, theirs = Answers(), Answers()
    for dataset_id, stage, provider, model, mine, other, their_provider, their_model in conn.execute(
        _PAIRS, {"name": name}
    ).fetchall():
        ours.readers[stage, provider, model] += 1
        theirs.readers[stage, their_provider, their_model] += 1
        for answers, result_id in ((ours, mine), (theirs, other)):
            if stage == "extract":
                answers.fields[dataset_id] = _fields(conn, result_id, taxonomy)
            else:
                row = conn.execute("SELECT text FROM summary WHERE result_id = ?", (result_id,)).fetchone()
                if row:
                    answers.summaries[dataset_id] = row[0]
    return ours, theirs


def readers(conn: sqlite3.Connection) -> list[tuple[str, str]]:
    """Every (provider, model) that has read a card."""
    return [
        (row[0], row[1])
        for row in conn.execute(
            "SELECT DISTINCT s.provider, s.model FROM result r JOIN spec s USING (spec_id) "
            "WHERE s.stage IN ('extract', 'summarize') ORDER BY 1, 2"
        )
    ]


def labels(value: str | None) -> Labels | None:
    """The labels of a stored (JSON) value; None where there is none."""
    if value is None:
        return None
    parsed = json.loads(value)
    if isinstance(parsed, list):
        return tuple(str(item) for item in parsed)
    return (str(parsed).lower() if isinstance(parsed, bool) else str(parsed),)


def spelled_alike(*sides: Sequence[Labels | None]) -> list[list[Labels | None]]:
    """Labels of an open field as they are compared: each name in the spelling that is commonest on all sides."""
    usual = usual_spellings(Counter(name for side in sides for values in side for name in values or ()))

    def alike(values: Labels | None) -> Labels | None:
        return None if values is None else tuple(dict.fromkeys(usual.get(name, name) for name in values))

    return [[alike(values) for values in side] for side in sides]


def _fields(conn: sqlite3.Connection, result_id: int, taxonomy: Taxonomy) -> dict[str, Labels | None]:
    names = {each.name for each in taxonomy}
    rows = conn.execute("SELECT field, value FROM field_value WHERE result_id = ?", (result_id,))
    return {name: labels(value) for name, value in rows if name in names}
