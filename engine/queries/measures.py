"""Read what reports measure: values by reader, the listing's signals, the versions of the layout."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.vectors import FloatMatrix, unit_rows

_ON_MAP = "JOIN dataset d ON d.dataset_id = i.dataset_id AND d.on_map = 1"
# The result in force of each card and, beside it, the newest one that somebody else made from the same text.
_SECOND_RESULTS = """
SELECT i.dataset_id, i.stage, i.provider, i.model, i.result_id, s.provider, s.model, r.result_id
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


class ClaimedValue(NamedTuple):
    """A value as the database says it, a person's correction before what was read. `value` is JSON or None."""

    dataset_id: int
    field: str
    value: str | None
    origin: str


class ReaderCount(NamedTuple):
    """How many cards are in force as a provider's model read them at a stage."""

    stage: str
    provider: str
    model: str
    cards: int


class SecondResult(NamedTuple):
    """A card that was read twice from the same text: the result in force, and the newest of another reader."""

    dataset_id: int
    stage: str
    provider: str
    model: str
    result_id: int
    other_provider: str
    other_model: str
    other_id: int


class ReadValue(NamedTuple):
    """A value in force of a dataset on the map as it was read, without corrections. `value` is JSON or None."""

    field: str
    dataset_id: int
    value: str | None
    verified: int
    confidence: float | None
    problem: str | None


class ListedDataset(NamedTuple):
    """A dataset of the newest listing with what it can be ranked by."""

    repo_id: str
    likes: int | None
    downloads: int | None
    trending_score: float | None
    modality: str
    task_category: str


@dataclass(frozen=True, slots=True)
class LayoutVersion:
    """One row of the table `layout`. placed: points that still lie where their neighbours are, since the last fit.

    quality: trustworthiness, knn_preservation and subject_purity, 0 to 1; one that was not measured is left out.
    """

    layout_id: int
    run_id: int
    created_at: str
    made_by: str
    parent_id: int | None
    points: int
    changed: int
    placed: int
    quality: dict[str, float]
    parameters: dict[str, Any]


def claimed_values(conn: sqlite3.Connection) -> Iterator[ClaimedValue]:
    """Yield every value of every dataset."""
    return map(ClaimedValue._make, conn.execute("SELECT dataset_id, field, value, origin FROM claim"))


def summaries(conn: sqlite3.Connection) -> dict[int, str]:
    """Return the summary of every dataset that has one from a reader, a person's before that, by dataset_id."""
    return dict(
        conn.execute(
            "SELECT i.dataset_id, v.summary FROM in_force i JOIN summary s ON s.result_id = i.result_id"
            " JOIN dataset d ON d.dataset_id = i.dataset_id JOIN datasets v ON v.repo_id = d.repo_id"
            " WHERE i.stage = 'summarize'"
        ).fetchall()
    )


def reader_counts(conn: sqlite3.Connection) -> list[ReaderCount]:
    """Count the cards in force by who read them."""
    rows = conn.execute(
        "SELECT stage, provider, model, count(*) FROM in_force WHERE stage IN ('extract', 'summarize') GROUP BY 1, 2, 3"
    )
    return [ReaderCount(*row) for row in rows]


def readers(conn: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return every (provider, model) that has read a card."""
    return conn.execute(
        "SELECT DISTINCT s.provider, s.model FROM result r JOIN spec s USING (spec_id) "
        "WHERE s.stage IN ('extract', 'summarize') ORDER BY 1, 2"
    ).fetchall()


def second_results(conn: sqlite3.Connection, name: str | None) -> list[SecondResult]:
    """Return the cards that `name`, a provider or a model, has read besides the reader in force; None takes anyone."""
    return [SecondResult(*row) for row in conn.execute(_SECOND_RESULTS, {"name": name})]


def field_values(conn: sqlite3.Connection, result_id: int) -> list[tuple[str, str | None]]:
    """Return the (field, JSON value) of a result."""
    return conn.execute("SELECT field, value FROM field_value WHERE result_id = ?", (result_id,)).fetchall()


def summary_text(conn: sqlite3.Connection, result_id: int) -> str | None:
    """Return the summary of a result, if it is one."""
    row = conn.execute("SELECT text FROM summary WHERE result_id = ?", (result_id,)).fetchone()
    return row[0] if row else None


def cards_read(conn: sqlite3.Connection) -> int:
    """Count the datasets on the map whose fields have been read."""
    return int(conn.execute(f"SELECT count(*) FROM in_force i {_ON_MAP} WHERE i.stage = 'extract'").fetchone()[0])


def read_values(conn: sqlite3.Connection) -> Iterator[ReadValue]:
    """Yield every value of the datasets on the map as it was read."""
    rows = conn.execute(
        f"SELECT v.field, i.dataset_id, v.value, v.verified, v.confidence, v.problem FROM in_force i {_ON_MAP}"
        " JOIN field_value v ON v.result_id = i.result_id WHERE i.stage = 'extract'"
    )
    return map(ReadValue._make, rows)


def problems(conn: sqlite3.Connection, words: str) -> Iterator[tuple[str, str, str]]:
    """Yield the (field, card's hash, problem) of every value that was ever read and whose problem holds these words."""
    return conn.execute(
        "SELECT v.field, r.input_hash, v.problem FROM field_value v JOIN result r USING (result_id)"
        " JOIN spec s USING (spec_id) WHERE s.stage = 'extract' AND instr(v.problem, ?)",
        (words,),
    )


def map_vectors(conn: sqlite3.Connection) -> tuple[NDArray[np.int64], FloatMatrix]:
    """Return the dataset_ids on the map that have a vector, shape (n,), and the vectors at length 1, shape (n, d)."""
    rows = conn.execute(
        f"SELECT i.dataset_id, e.vector FROM in_force i {_ON_MAP}"
        " JOIN embedding e ON e.result_id = i.result_id WHERE i.stage = 'embed' ORDER BY i.dataset_id"
    ).fetchall()
    if not rows:
        return np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
    vectors = np.vstack([np.frombuffer(blob, dtype="<f4") for _, blob in rows])
    return np.array([dataset_id for dataset_id, _ in rows], np.int64), unit_rows(vectors)


def values_of_cards(conn: sqlite3.Connection, dataset_ids: Iterable[int]) -> Iterator[tuple[int, str, str | None, int]]:
    """Yield the (dataset_id, field, JSON value, verified) in force of these datasets, as they were read."""
    return conn.execute(
        "SELECT i.dataset_id, v.field, v.value, v.verified FROM in_force i"
        " JOIN field_value v ON v.result_id = i.result_id"
        " WHERE i.stage = 'extract' AND i.dataset_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(dataset_ids)),),
    )


def readers_of_cards(conn: sqlite3.Connection, dataset_ids: Iterable[int]) -> list[tuple[str, str]]:
    """Return the (provider, model) who read the fields of these datasets that are in force."""
    return conn.execute(
        "SELECT DISTINCT i.provider, i.model FROM in_force i"
        " WHERE i.stage = 'extract' AND i.dataset_id IN (SELECT value FROM json_each(?)) ORDER BY 1, 2",
        (json.dumps(list(dataset_ids)),),
    ).fetchall()


def known_names(conn: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    """Yield the (repo_id, dataset_id) of every name that datasets had, then of those they have."""
    yield from conn.execute("SELECT repo_id, dataset_id FROM alias")
    yield from conn.execute("SELECT repo_id, dataset_id FROM dataset")


def newest_listing(conn: sqlite3.Connection) -> list[ListedDataset]:
    """Return the newest listing, ordered by repo_id."""
    rows = conn.execute(
        "SELECT repo_id, likes, downloads, trending_score, modality, task_category FROM dataset"
        " WHERE rank IS NOT NULL ORDER BY repo_id"
    )
    return [ListedDataset(*row) for row in rows]


def layout_versions(conn: sqlite3.Connection) -> tuple[LayoutVersion, ...]:
    """Return every layout that is kept, the oldest first."""
    rows = conn.execute(
        "SELECT l.layout_id, l.run_id, l.created_at, l.made_by, l.parent_id, l.points, l.changed,"
        " (SELECT count(*) FROM position p WHERE p.layout_id = l.layout_id AND p.placed = 1),"
        " l.quality, l.parameters FROM layout l ORDER BY l.layout_id"
    )
    return tuple(LayoutVersion(*(*row[:8], json.loads(row[8]), json.loads(row[9]))) for row in rows)
