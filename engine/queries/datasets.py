"""Find a dataset by what a person types, and tell everything known of it and what proves it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import HfmapError
from engine.store.views import taxonomy_in_force

_KNOWN = """
SELECT dataset_id, repo_id FROM (
    SELECT dataset_id, repo_id, card_status = 'deleted' AS place FROM dataset WHERE repo_id = ?1
    UNION ALL SELECT d.dataset_id, d.repo_id, 0.5 FROM alias a JOIN dataset d USING (dataset_id) WHERE a.repo_id = ?1
) ORDER BY place LIMIT 1
"""
_CLAIMS = """
SELECT field, value, quote, verified, confidence, problem, origin, model, note, created_at
FROM claim WHERE dataset_id = ? ORDER BY field
"""
_ORIGINS = "SELECT stage, provider, model, spec_hash, input_hash, created_at FROM in_force WHERE dataset_id = ?"
_TOPICS = """
SELECT t.layer, t.name, t.named_by FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
WHERE m.tree_id = (SELECT max(tree_id) FROM topic_tree) AND m.dataset_id = ? ORDER BY t.layer
"""
_FAILURES = "SELECT stage, kind, reason, attempts, failed_at FROM failure WHERE dataset_id = ? ORDER BY stage"
_CARD = "SELECT text, body_chars, front_matter, problems, stored_at FROM card WHERE dataset_id = ?"


@dataclass(frozen=True, slots=True)
class FieldClaim:
    """What is said of one field, and the sentence of the card that is to prove it.

    `value` is a JSON value, None where the answer held nothing valid (`problem` says why). `provider` is "person" for a
    correction, and `model` then its author.
    """

    field: str
    value: Any
    quote: str | None
    verified: bool
    confidence: float | None
    problem: str | None
    provider: str
    model: str | None
    note: str | None
    created_at: str


@dataclass(frozen=True, slots=True)
class DatasetTopic:
    """A topic that a dataset lies in; layer 0 is the coarsest."""

    layer: int
    name: str
    named_by: str


@dataclass(frozen=True, slots=True)
class ResultOrigin:
    """Who made the result in force at a stage, and from what."""

    stage: str
    provider: str
    model: str
    spec_hash: str
    input_hash: str
    created_at: str


@dataclass(frozen=True, slots=True)
class DatasetFailure:
    """What could not be done for a dataset; `kind` is "transient" or "permanent"."""

    stage: str
    kind: str
    reason: str
    attempts: int
    failed_at: str


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """A dataset's card as it is stored; `body_chars` counts what is left without front matter and white space."""

    text: str
    body_chars: int
    front_matter: str
    problems: Any
    stored_at: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """Everything known of one dataset.

    `columns` is its row of the view `datasets`, whose columns follow the taxonomy; lists in it are lists.
    """

    columns: Mapping[str, Any]
    card_reason: str | None
    fields: tuple[FieldClaim, ...]
    topics: tuple[DatasetTopic, ...]
    origins: tuple[ResultOrigin, ...]
    failures: tuple[DatasetFailure, ...]
    card: DatasetCard | None

    @property
    def repo_id(self) -> str:
        """Its present id on the Hub."""
        return str(self.columns["repo_id"])

    @property
    def summary(self) -> str | None:
        """The sentence that says what is in it; None where there is none yet."""
        text: str | None = self.columns["summary"]
        return text

    def as_json(self) -> dict[str, Any]:
        """Return it as `hfmap show --json` prints it: the columns first, then the rest."""
        facts = {name: value for name, value in asdict(self).items() if name != "columns"}
        return {**self.columns, **facts}


def dataset(conn: sqlite3.Connection, wanted: str) -> Dataset:
    """Tell everything known of one dataset; `wanted` is what `find_dataset` takes.

    Raises:
        HfmapError: there is none; the hint names those with ids like it.
    """
    dataset_id, repo_id = find_dataset(conn, wanted)
    cursor = conn.execute("SELECT * FROM datasets WHERE repo_id = ?", (repo_id,))
    columns = dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))
    for name in ("tags", *(field.name for field in taxonomy_in_force(conn) if field.kind in {"many", "open"})):
        columns[name] = _loads(columns[name])
    reason = conn.execute("SELECT card_reason FROM dataset WHERE dataset_id = ?", (dataset_id,)).fetchone()
    card = conn.execute(_CARD, (dataset_id,)).fetchone()
    return Dataset(
        columns=columns,
        card_reason=reason[0],
        fields=tuple(
            FieldClaim(field, _loads(value), quote, bool(verified), *rest)
            for field, value, quote, verified, *rest in conn.execute(_CLAIMS, (dataset_id,))
        ),
        topics=tuple(DatasetTopic(*row) for row in conn.execute(_TOPICS, (dataset_id,))),
        origins=tuple(ResultOrigin(*row) for row in conn.execute(_ORIGINS, (dataset_id,))),
        failures=tuple(DatasetFailure(*row) for row in conn.execute(_FAILURES, (dataset_id,))),
        card=None if card is None else DatasetCard(card[0], card[1], card[2], _loads(card[3]), card[4]),
    )


def known_dataset(conn: sqlite3.Connection, repo_id: str) -> tuple[int, str] | None:
    """Find a dataset by its id or by one it had before it was renamed; return its row number and present id."""
    row = conn.execute(_KNOWN, (repo_id,)).fetchone()
    return None if row is None else (int(row[0]), str(row[1]))


def find_dataset(conn: sqlite3.Connection, wanted: str) -> tuple[int, str]:
    """Find a dataset by any of its ids, its address on the Hub, or its name where only one has it.

    Returns:
        Its row number (`dataset_id`) and its present id.

    Raises:
        HfmapError: there is none; the hint names those with ids like it.
    """
    name = re.sub(r"^https?://[^/]+/(datasets/)?", "", wanted.strip()).strip("/")
    if (known := known_dataset(conn, name)) is not None:
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


def _loads(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
