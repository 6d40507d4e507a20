"""Store and read the results of enrichment, what they were made with, what is due and what failed.

Tables `spec`, `current_spec`, `result`, `embedding`, `field_value`, `summary` and `failure`; view `todo`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Literal

import aiosqlite
import numpy as np
from numpy.typing import NDArray

from engine.store.clock import utc_now
from engine.store.connection import transaction
from engine.store.datasets import SEARCH_SUMMARIES
from engine.store.writer import Statement, statement, to_json

ResultStage = Literal["embed", "extract", "summarize"]
FailureStage = Literal["card", "embed", "extract", "summarize"]


@dataclass(frozen=True, slots=True)
class Spec:
    """All that a stage's results depend on besides the card.

    `parameters` holds JSON values: prompt and taxonomy digests, truncation, dimensions, sampling.
    """

    stage: ResultStage
    provider: str
    model: str
    parameters: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """SHA-256 over the canonical JSON of all parts, in hex."""
        parts = [self.stage, self.provider, self.model, dict(self.parameters)]
        canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def put_in_force(conn: sqlite3.Connection, spec: Spec) -> int:
    """Make a specification the present one of its stage and return its number.

    Results under another specification stay; going back to that one finds them again.
    """
    with transaction(conn):
        conn.execute(
            "INSERT INTO spec (stage, spec_hash, provider, model, parameters, created_at) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (stage, spec_hash) DO NOTHING",
            (spec.stage, spec.hash, spec.provider, spec.model, to_json(dict(spec.parameters)), utc_now()),
        )
        spec_id = int(
            conn.execute(
                "SELECT spec_id FROM spec WHERE stage = ? AND spec_hash = ?", (spec.stage, spec.hash)
            ).fetchone()[0]
        )
        before = conn.execute("SELECT spec_id FROM current_spec WHERE stage = ?", (spec.stage,)).fetchone()
        if before is None or before[0] != spec_id:
            conn.execute(
                "INSERT INTO current_spec (stage, spec_id) VALUES (?, ?) "
                "ON CONFLICT (stage) DO UPDATE SET spec_id = excluded.spec_id",
                (spec.stage, spec_id),
            )
            if spec.stage == "summarize":
                conn.execute(SEARCH_SUMMARIES)
    return spec_id


@dataclass(frozen=True, slots=True)
class ResultKey:
    """Which card text, under which specification, made by which run and call."""

    result_id: int
    spec_id: int
    input_hash: str
    run_id: int
    call_id: int | None


def _results(keys: Sequence[ResultKey]) -> Statement:
    now = utc_now()
    return Statement(
        "INSERT INTO result (result_id, spec_id, input_hash, run_id, call_id, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        [(k.result_id, k.spec_id, k.input_hash, k.run_id, k.call_id, now) for k in keys],
    )


def insert_embeddings(keys: Sequence[ResultKey], vectors: NDArray[np.float32]) -> tuple[Statement, ...]:
    """Store one vector per key; `vectors` is float32, shape (keys, dimensions)."""
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    return (
        _results(keys),
        Statement(
            "INSERT INTO embedding (result_id, dimensions, vector) VALUES (?, ?, ?)",
            [(k.result_id, rows.shape[1], row.tobytes()) for k, row in zip(keys, rows, strict=True)],
        ),
    )


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of one card. Field names are the columns of table `field_value`; `value` is JSON or None."""

    field: str
    value: str | None
    quote: str | None
    verified: bool
    quote_start: int | None
    quote_end: int | None
    confidence: float | None
    problem: str | None


_FIELD = tuple(column.name for column in fields(FieldRow))
_field_values = attrgetter(*_FIELD)
_INSERT_FIELD = f"INSERT INTO field_value (result_id, {', '.join(_FIELD)}) VALUES (?{', ?' * len(_FIELD)})"


def insert_field_values(key: ResultKey, values: Sequence[FieldRow]) -> tuple[Statement, ...]:
    """Store the fields of one card."""
    return (_results([key]), Statement(_INSERT_FIELD, [(key.result_id, *_field_values(one)) for one in values]))


def insert_summary(key: ResultKey, text: str, problem: str | None) -> tuple[Statement, ...]:
    """Store the summary of one card."""
    return (
        _results([key]),
        statement("INSERT INTO summary (result_id, text, problem) VALUES (?, ?, ?)", key.result_id, text, problem),
    )


@dataclass(frozen=True, slots=True)
class FailureRow:
    """What could not be done for one dataset at one stage."""

    dataset_id: int
    stage: FailureStage
    spec_id: int | None
    input_hash: str | None
    permanent: bool
    reason: str
    attempts: int
    run_id: int


def record_failures(rows: Sequence[FailureRow]) -> Statement:
    """Record failures, each in place of the one before at its stage."""
    now = utc_now()
    return Statement(
        "INSERT INTO failure (dataset_id, stage, spec_id, input_hash, kind, reason, attempts, run_id, failed_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (dataset_id, stage) DO UPDATE SET "
        "spec_id = excluded.spec_id, input_hash = excluded.input_hash, kind = excluded.kind, "
        "reason = excluded.reason, attempts = excluded.attempts, run_id = excluded.run_id, "
        "failed_at = excluded.failed_at, "
        "runs = CASE WHEN failure.spec_id IS excluded.spec_id AND failure.input_hash IS excluded.input_hash "
        "THEN failure.runs + (failure.run_id <> excluded.run_id) ELSE 1 END",
        [
            (
                f.dataset_id,
                f.stage,
                f.spec_id,
                f.input_hash,
                "permanent" if f.permanent else "transient",
                f.reason,
                f.attempts,
                f.run_id,
                now,
            )
            for f in rows
        ],
    )


def delete_failures(rows: Sequence[tuple[int, FailureStage]]) -> Statement:
    """Forget failures of what has been done since."""
    return Statement("DELETE FROM failure WHERE dataset_id = ? AND stage = ?", list(rows))


def reset_failures(conn: sqlite3.Connection) -> None:
    """Take back to the to-do lists what was given up after failing in several runs."""
    with transaction(conn):
        conn.execute("UPDATE failure SET runs = 0 WHERE kind = 'transient'")


@dataclass(frozen=True, slots=True)
class DueCard:
    """One card that a stage has no result for."""

    stage: ResultStage
    dataset_id: int
    repo_id: str
    input_hash: str


class ResultReader:
    """Reads on a connection of its own; it sees every committed change."""

    def __init__(self, conn: aiosqlite.Connection) -> None:
        self._conn = conn

    async def due(self, dataset_ids: Sequence[int]) -> list[DueCard]:
        """Return what the stages have to do for these datasets, in rank order."""
        rows = await self._conn.execute_fetchall(
            "SELECT t.stage, t.dataset_id, t.repo_id, t.input_hash FROM todo t "
            "WHERE t.dataset_id IN (SELECT value FROM json_each(?)) ORDER BY t.rank, t.stage",
            (json.dumps(list(dataset_ids)),),
        )
        return [DueCard(*row) for row in rows]

    async def dimensions(self, spec_id: int) -> int:
        """Return how many numbers the stored vectors of a specification have; 0 where there are none."""
        rows = await self._conn.execute_fetchall(
            "SELECT e.dimensions FROM result r JOIN embedding e USING (result_id) WHERE r.spec_id = ? LIMIT 1",
            (spec_id,),
        )
        return int(next(iter(rows), (0,))[0])
