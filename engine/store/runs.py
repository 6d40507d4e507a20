"""Keep the ledger of runs, calls and files written, and give out row numbers: tables `run`, `call` and `artifact`."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.store.clock import utc_now
from engine.store.connection import transaction
from engine.store.writer import Statement, statement, to_json
from engine.usage import Usage


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


@dataclass(frozen=True, slots=True)
class CallRow:
    """One row of the ledger."""

    call_id: int
    run_id: int
    stage: str
    provider: str
    model: str
    items: int
    usage: Usage
    usd: float
    seconds: float
    retries: int
    outcome: str


def insert_call(call: CallRow) -> Statement:
    """Enter a call into the ledger."""
    return statement(
        "INSERT INTO call (call_id, run_id, stage, provider, model, items, input_tokens, output_tokens, "
        "cache_write_tokens, cache_read_tokens, usd, seconds, retries, outcome, finished_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        call.call_id,
        call.run_id,
        call.stage,
        call.provider,
        call.model,
        call.items,
        call.usage.input,
        call.usage.output,
        call.usage.cache_write,
        call.usage.cache_read,
        call.usd,
        call.seconds,
        call.retries,
        call.outcome,
        utc_now(),
    )


def put_artifact(conn: sqlite3.Connection, path: Path, input_hash: str, run_id: int) -> None:
    """Store that a run wrote a file, and what from; `path` is absolute. Commits."""
    with conn:
        conn.execute(
            "INSERT INTO artifact (path, input_hash, run_id, created_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (path) DO UPDATE SET input_hash = excluded.input_hash, run_id = excluded.run_id,"
            " created_at = excluded.created_at",
            (str(path), input_hash, run_id, utc_now()),
        )


def artifact_hash(conn: sqlite3.Connection, path: Path) -> str | None:
    """Return the hash under which a file was stored; None for one that no run wrote."""
    row = conn.execute("SELECT input_hash FROM artifact WHERE path = ?", (str(path),)).fetchone()
    return row[0] if row else None


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
