"""Store, take back and list what people corrected: table `override`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.store.clock import utc_now
from engine.store.connection import transaction
from engine.store.views import MODELS, update_model_names

SUMMARY = "summary"
"""The name under which the summary is corrected; no field of a taxonomy has it."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One value that a person set. `value` is a JSON value; `created_at` None is now."""

    dataset_id: int
    field: str
    value: Any
    note: str | None = None
    author: str | None = None
    created_at: str | None = None


def put_corrections(conn: sqlite3.Connection, corrections: Sequence[Correction]) -> None:
    """Store corrections, all or none, each in place of an earlier one. `conn` must be in autocommit mode."""
    now = utc_now()
    with transaction(conn):
        conn.executemany(
            "INSERT INTO override (dataset_id, field, value, note, author, created_at) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (dataset_id, field) DO UPDATE SET value = excluded.value, note = excluded.note, "
            "author = excluded.author, created_at = excluded.created_at",
            [
                (c.dataset_id, c.field, json.dumps(c.value, ensure_ascii=False), c.note, c.author, c.created_at or now)
                for c in corrections
            ],
        )
    if any(c.field == MODELS for c in corrections):
        update_model_names(conn)


def clear_corrections(conn: sqlite3.Connection, dataset_id: int, field: str | None = None) -> list[str]:
    """Take back the corrections of a dataset, or that of one field; return the fields, in order."""
    with transaction(conn):
        rows = conn.execute(
            "DELETE FROM override WHERE dataset_id = ?1 AND (?2 IS NULL OR field = ?2) RETURNING field",
            (dataset_id, field),
        ).fetchall()
    fields = sorted(row[0] for row in rows)
    if MODELS in fields:
        update_model_names(conn)
    return fields


def read_corrections(conn: sqlite3.Connection, dataset_id: int | None = None) -> list[tuple[str, Correction]]:
    """Return (repo_id, correction) of one dataset or of all, ordered by both names."""
    rows = conn.execute(
        "SELECT d.repo_id, o.dataset_id, o.field, o.value, o.note, o.author, o.created_at "
        "FROM override o JOIN dataset d USING (dataset_id) WHERE ?1 IS NULL OR o.dataset_id = ?1 "
        "ORDER BY d.repo_id, o.field",
        (dataset_id,),
    )
    return [(row[0], Correction(row[1], row[2], json.loads(row[3]), *row[4:])) for row in rows]
