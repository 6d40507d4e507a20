"""The ledger of runs, and the specifications in force. Written before and after the pipeline, synchronously."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.store.clock import utc_now
from engine.store.connection import transaction
from engine.store.records import ResultStage, to_json


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


def start_run(conn: sqlite3.Connection, command: str, source: str | None, settings: Mapping[str, Any]) -> int:
    """Enter a run into the ledger and return its number. Runs that never ended are marked interrupted."""
    with transaction(conn):
        conn.execute("UPDATE run SET outcome = 'interrupted' WHERE outcome = 'running'")
        cursor = conn.execute(
            "INSERT INTO run (command, source, started_at, settings, host, pid) VALUES (?, ?, ?, ?, ?, ?)",
            (command, source, utc_now(), to_json(dict(settings)), platform.node(), os.getpid()),
        )
    return int(cursor.lastrowid or 0)


def finish_run(
    conn: sqlite3.Connection,
    run_id: int,
    *,
    outcome: str,
    exit_code: int,
    counts: Mapping[str, int],
    seconds: Mapping[str, float],
) -> None:
    """Complete a run's row."""
    rounded = {stage: round(value, 3) for stage, value in seconds.items()}
    with transaction(conn):
        conn.execute(
            "UPDATE run SET finished_at = ?, outcome = ?, exit_code = ?, counts = ?, seconds = ? WHERE run_id = ?",
            (utc_now(), outcome, exit_code, to_json(dict(counts)), to_json(rounded), run_id),
        )


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
                _search_summaries(conn)
    return spec_id


def _search_summaries(conn: sqlite3.Connection) -> None:
    """Bring the summaries in the search index in line with those in force."""
    conn.execute(
        "UPDATE card SET summary = f.text FROM (SELECT i.dataset_id, s.text FROM in_force i "
        "JOIN summary s ON s.result_id = i.result_id WHERE i.stage = 'summarize') f "
        "WHERE f.dataset_id = card.dataset_id AND card.summary IS NOT f.text AND NOT EXISTS ("
        "SELECT 1 FROM override o WHERE o.dataset_id = card.dataset_id AND o.field = 'summary')"
    )


@dataclass(slots=True)
class Ids:
    """Row numbers given out in memory, so that rows can refer to each other before they are written.

    Safe because one process at a time writes to a database.
    """

    dataset: int
    result: int
    call: int

    @classmethod
    def after(cls, conn: sqlite3.Connection) -> Ids:
        """Continue after what the database holds."""
        return cls(
            *(
                conn.execute(f"SELECT coalesce(max({table}_id), 0) FROM {table}").fetchone()[0]
                for table in ("dataset", "result", "call")
            )
        )

    def next_dataset(self) -> int:
        """Give out a dataset_id."""
        self.dataset += 1
        return self.dataset

    def next_result(self) -> int:
        """Give out a result_id."""
        self.result += 1
        return self.result

    def next_call(self) -> int:
        """Give out a call_id."""
        self.call += 1
        return self.call
