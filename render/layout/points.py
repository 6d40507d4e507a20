"""What the passes work on: the datasets on the map that have a vector, in one fixed order."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEAD = """
SELECT d.dataset_id, d.repo_id, i.input_hash, i.result_id, i.spec_hash
FROM dataset d
JOIN in_force i ON i.dataset_id = d.dataset_id AND i.stage = 'embed'
WHERE d.on_map = 1
ORDER BY d.repo_id
"""


@dataclass(frozen=True, slots=True)
class Points:
    """The datasets of a layout, ordered by repository id; all lists have one entry a dataset."""

    ids: list[int]
    repo_ids: list[str]
    input_hashes: list[str]
    result_ids: list[int]
    spec_hash: str
    """Which specification the vectors were made under; empty where there are no points."""

    def __len__(self) -> int:
        return len(self.ids)


def read_points(conn: sqlite3.Connection) -> Points:
    """The datasets on the map with an embedding in force. Vectors are left where they are."""
    rows = conn.execute(_HEAD).fetchall()
    return Points(
        ids=[row[0] for row in rows],
        repo_ids=[row[1] for row in rows],
        input_hashes=[row[2] for row in rows],
        result_ids=[row[3] for row in rows],
        spec_hash=rows[0][4] if rows else "",
    )


def read_vectors(conn: sqlite3.Connection, points: Points) -> NDArray[np.float32]:
    """The vectors of the points, float32, shape (points, dimensions); anything not finite becomes 0."""
    if not len(points):
        return np.zeros((0, 0), dtype=np.float32)
    rows_of: dict[int, list[int]] = {}
    for row, result_id in enumerate(points.result_ids):
        rows_of.setdefault(result_id, []).append(row)
    found = conn.execute(
        "SELECT e.result_id, e.dimensions, e.vector FROM embedding e WHERE e.result_id IN"
        " (SELECT i.result_id FROM in_force i JOIN dataset d ON d.dataset_id = i.dataset_id"
        "  WHERE i.stage = 'embed' AND d.on_map = 1)"
    )
    vectors = np.zeros((0, 0), dtype=np.float32)
    for result_id, dimensions, blob in found:
        if not vectors.size:
            vectors = np.zeros((len(points), dimensions), dtype=np.float32)
        vectors[rows_of.get(result_id, [])] = np.frombuffer(blob, dtype="<f4")
    return np.nan_to_num(vectors, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def digest(parameters: dict[str, Any], rows: Iterable[Iterable[object]]) -> str:
    """A hash of parameters and rows, the same for the same values in the same order."""
    hasher = hashlib.blake2b(digest_size=16)
    hasher.update(json.dumps(parameters, sort_keys=True, ensure_ascii=False).encode())
    for row in rows:
        hasher.update(json.dumps(list(row), ensure_ascii=False).encode("utf-8", "surrogatepass"))
        hasher.update(b"\n")
    return hasher.hexdigest()


def now() -> str:
    """The time as the database writes it: ISO-8601, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def transaction(conn: sqlite3.Connection) -> Iterator[None]:
    """One transaction, whatever the connection's isolation level: all of it is kept, or nothing."""
    if conn.in_transaction:
        conn.commit()
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        conn.rollback()
        raise
    conn.commit()
