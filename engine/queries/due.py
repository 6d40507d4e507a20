"""Ask what a sync would find done, given up and at hand, and what earlier calls took; for estimates and samples of cards.

Unlike the view `todo`, these questions are about specifications that need not be in force yet.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from engine.store.results import Spec
from engine.usage import Usage

_PRESENT = """
SELECT r.input_hash FROM result r JOIN spec s USING (spec_id)
WHERE s.stage = ? AND s.spec_hash = ? AND r.input_hash IN (SELECT value FROM json_each(?))
"""
_GIVEN_UP = """
SELECT g.input_hash FROM given_up g JOIN spec s ON s.spec_id = g.spec_id AND s.stage = g.stage
WHERE s.stage = ? AND s.spec_hash = ? AND g.input_hash IN (SELECT value FROM json_each(?))
  AND (g.kind = 'permanent' OR NOT ?)
"""
_TEXTS = "SELECT DISTINCT input_hash, text FROM card WHERE input_hash IN (SELECT value FROM json_each(?))"
_LEAVING = "SELECT count(*) FROM dataset WHERE on_map = 1 AND dataset_id NOT IN (SELECT value FROM json_each(?))"
_IN_FORCE = "SELECT s.spec_hash FROM current_spec cs JOIN spec s USING (spec_id) WHERE cs.stage = ?"
_SPENT = """
SELECT c.stage, c.model, CASE c.stage WHEN 'topics' THEN count(*) ELSE
        (SELECT count(*) FROM result r JOIN spec s USING (spec_id) WHERE s.stage = c.stage AND s.model = c.model) END,
    sum(c.input_tokens), sum(c.output_tokens), sum(c.cache_write_tokens), sum(c.cache_read_tokens)
FROM call c GROUP BY c.stage, c.model
"""
_READ = """
SELECT d.dataset_id, d.repo_id, coalesce(v.value, '') FROM dataset d
JOIN in_force i ON i.dataset_id = d.dataset_id AND i.stage = 'extract'
LEFT JOIN field_value v ON v.result_id = i.result_id AND v.field = ?
WHERE d.on_map = 1
"""
_CARDS = """
SELECT c.dataset_id, d.repo_id, c.input_hash, c.text FROM card c JOIN dataset d USING (dataset_id)
WHERE c.dataset_id IN (SELECT value FROM json_each(?)) ORDER BY d.repo_id
"""
_ON_MAP = "SELECT DISTINCT c.input_hash, c.text FROM card c JOIN dataset d USING (dataset_id) WHERE d.on_map = 1"


@dataclass(frozen=True, slots=True)
class DoneTexts:
    """Hashes of card texts that need nothing: they have a result, or failed and are not tried again."""

    present: frozenset[str]
    given_up: frozenset[str]


def done_texts(conn: sqlite3.Connection, spec: Spec, hashes: Collection[str], *, retry_failed: bool) -> DoneTexts:
    """Return which of these card texts need nothing under a specification.

    With `retry_failed`, only what failed for good is given up.
    """
    asked = (spec.stage, spec.hash, json.dumps(list(hashes)))
    return DoneTexts(
        frozenset(row[0] for row in conn.execute(_PRESENT, asked)),
        frozenset(row[0] for row in conn.execute(_GIVEN_UP, (*asked, retry_failed))),
    )


@dataclass(frozen=True, slots=True)
class CardText:
    """One stored card text, and its hash."""

    input_hash: str
    text: str


def card_texts(conn: sqlite3.Connection, hashes: Collection[str]) -> Iterator[CardText]:
    """Return the stored cards with these hashes, one at a time: together they may be large."""
    return (CardText(*row) for row in conn.execute(_TEXTS, (json.dumps(sorted(hashes)),)))


def texts_on_map(conn: sqlite3.Connection) -> Iterator[CardText]:
    """Return the cards of the map, one of each text, one at a time."""
    return (CardText(*row) for row in conn.execute(_ON_MAP))


def count_leaving(conn: sqlite3.Connection, staying: Collection[int]) -> int:
    """Count the datasets on the map that are not among those that stay."""
    return int(conn.execute(_LEAVING, (json.dumps(list(staying)),)).fetchone()[0])


def is_in_force(conn: sqlite3.Connection, spec: Spec) -> bool:
    """Return whether a specification is the present one of its stage."""
    return [row[0] for row in conn.execute(_IN_FORCE, (spec.stage,))] == [spec.hash]


@dataclass(frozen=True, slots=True)
class TokensSpent:
    """What the calls of one stage to one model took, those that were repeated or failed included, and for how many
    results; for topics, `items` are calls."""

    stage: str
    model: str
    items: int
    usage: Usage


def tokens_spent(conn: sqlite3.Connection) -> list[TokensSpent]:
    """Return what all calls in the ledger took, by stage and model."""
    return [TokensSpent(stage, model, items, Usage(*sums)) for stage, model, items, *sums in conn.execute(_SPENT)]


@dataclass(frozen=True, slots=True)
class ReadCard:
    """A dataset on the map whose fields have been read, and the value of one of them, as JSON; "" where it has none."""

    dataset_id: int
    repo_id: str
    value: str


def read_cards(conn: sqlite3.Connection, field: str) -> list[ReadCard]:
    """Return the datasets on the map that have been read, with what was read of a field."""
    return [ReadCard(*row) for row in conn.execute(_READ, (field,))]


@dataclass(frozen=True, slots=True)
class SampledCard:
    """One dataset's stored card."""

    dataset_id: int
    repo_id: str
    input_hash: str
    text: str


def dataset_cards(conn: sqlite3.Connection, dataset_ids: Collection[int]) -> list[SampledCard]:
    """Return the stored cards of datasets, by name."""
    return [SampledCard(*row) for row in conn.execute(_CARDS, (json.dumps(list(dataset_ids)),))]
