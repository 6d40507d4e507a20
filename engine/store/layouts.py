"""Tables `layout`, `position` and `neighbor`: where the datasets stand on the map, and what they are placed by."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.store.clock import utc_now
from engine.store.connection import transaction

MadeBy = Literal["fit", "refit", "placed"]

# Placing new datasets among kept ones costs .01 of trustworthiness at this share (real summaries, 2,440 rows); a fit
# from the old coordinates gets it back.
REFIT_SHARE = 0.20

KEPT_LAYOUTS = 5
"""Layouts whose coordinates are kept; of older ones the row with their quality stays."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A stored layout without its coordinates."""

    layout_id: int
    input_hash: str
    parameters: dict[str, Any]
    points: int
    made_by: MadeBy
    changed: int
    quality: dict[str, float]
    created_at: str

    @property
    def stale(self) -> float:
        """Share of datasets that came, changed or went since the last full fit, 0 to 1."""
        return min(1.0, self.changed / self.points) if self.points else 0.0


@dataclass(frozen=True, slots=True)
class Position:
    """Where one dataset stands in a layout."""

    dataset_id: int
    x: float
    y: float
    input_hash: str
    """Of the card text whose vector was laid out."""
    placed: bool
    """Whether it was set among its neighbours since the last full fit."""


@dataclass(frozen=True, slots=True)
class Points:
    """The datasets on the map that have a vector, ordered by repository id; all lists have one entry a dataset."""

    ids: list[int]
    repo_ids: list[str]
    input_hashes: list[str]
    result_ids: list[int]
    spec_hash: str
    """Which specification the vectors were made under; empty where there are no points."""

    def __len__(self) -> int:
        return len(self.ids)


def refit_at(points: int) -> int:
    """The datasets that have to come, change or go since the last full fit for a new one; at least 1."""
    return max(1, round(REFIT_SHARE * points))


def read_newest_layout(conn: sqlite3.Connection) -> Layout | None:
    """The layout in force, or None where there is none yet."""
    row = conn.execute(
        "SELECT layout_id, input_hash, parameters, points, made_by, changed, quality, created_at"
        " FROM layout ORDER BY layout_id DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    return Layout(row[0], row[1], json.loads(row[2]), row[3], row[4], row[5], json.loads(row[6]), row[7])


def read_positions(conn: sqlite3.Connection, layout_id: int) -> list[Position]:
    """The coordinates of a layout, ordered by repository id; none of one whose coordinates are not kept."""
    rows = conn.execute(
        "SELECT p.dataset_id, p.x, p.y, p.input_hash, p.placed FROM position p"
        " JOIN dataset d ON d.dataset_id = p.dataset_id WHERE p.layout_id = ? ORDER BY d.repo_id",
        (layout_id,),
    )
    return [Position(dataset_id, x, y, text, bool(placed)) for dataset_id, x, y, text, placed in rows]


def read_points(conn: sqlite3.Connection) -> Points:
    """The datasets on the map with an embedding in force. Vectors are left where they are."""
    rows = conn.execute(
        "SELECT d.dataset_id, d.repo_id, i.input_hash, i.result_id, i.spec_hash FROM dataset d"
        " JOIN in_force i ON i.dataset_id = d.dataset_id AND i.stage = 'embed'"
        " WHERE d.on_map = 1 ORDER BY d.repo_id"
    ).fetchall()
    return Points(
        ids=[row[0] for row in rows],
        repo_ids=[row[1] for row in rows],
        input_hashes=[row[2] for row in rows],
        result_ids=[row[3] for row in rows],
        spec_hash=rows[0][4] if rows else "",
    )


def read_embeddings(conn: sqlite3.Connection) -> Iterator[tuple[int, int, bytes]]:
    """Result id, dimensions and little-endian float32 vector of every embedding in force of a dataset on the map."""
    yield from conn.execute(
        "SELECT e.result_id, e.dimensions, e.vector FROM embedding e WHERE e.result_id IN"
        " (SELECT i.result_id FROM in_force i JOIN dataset d ON d.dataset_id = i.dataset_id"
        "  WHERE i.stage = 'embed' AND d.on_map = 1)"
    )


def read_subjects(conn: sqlite3.Connection, ids: Sequence[int]) -> list[str | None]:
    """The subject domain of each dataset, None where none is known or stated."""
    known: dict[int, str | None] = dict(
        conn.execute(
            "SELECT i.dataset_id, v.value ->> '$' FROM in_force i"
            " JOIN field_value v ON v.result_id = i.result_id"
            " WHERE i.stage = 'extract' AND v.field = 'subject_domain'"
        )
    )
    return [None if known.get(i) in (None, "not_stated") else known[i] for i in ids]


def insert_layout(
    conn: sqlite3.Connection,
    run_id: int,
    *,
    input_hash: str,
    parameters: Mapping[str, Any],
    made_by: MadeBy,
    parent_id: int | None,
    changed: int,
    quality: Mapping[str, float],
    positions: Sequence[Position],
    neighbors: Iterable[tuple[int, int, int, float]],
) -> int:
    """Store a layout in one transaction, drop coordinates of old ones, and return its number.

    Args:
        conn: a connection that may write.
        run_id: the run that made it.
        input_hash: of all that it was made from.
        parameters: of the fit, JSON values.
        made_by: how.
        parent_id: the layout before.
        changed: datasets that came, changed or went since the last full fit.
        quality: measures, each 0 to 1.
        positions: of all its datasets.
        neighbors: (dataset_id, place, neighbor_id, distance), place 1 the nearest; they replace those of the layout
            before.
    """
    with transaction(conn):
        cursor = conn.execute(
            "INSERT INTO layout (run_id, input_hash, parameters, points, made_by, parent_id, changed,"
            " quality, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run_id,
                input_hash,
                json.dumps(parameters, sort_keys=True),
                len(positions),
                made_by,
                parent_id,
                changed,
                json.dumps(quality, sort_keys=True),
                utc_now(),
            ),
        )
        layout_id = int(cursor.lastrowid or 0)
        conn.executemany(
            "INSERT INTO position (layout_id, dataset_id, x, y, input_hash, placed) VALUES (?, ?, ?, ?, ?, ?)",
            sorted((layout_id, p.dataset_id, p.x, p.y, p.input_hash, int(p.placed)) for p in positions),
        )
        conn.execute(
            "DELETE FROM position WHERE layout_id NOT IN (SELECT layout_id FROM layout ORDER BY layout_id DESC LIMIT ?)"
            " AND layout_id <> (SELECT coalesce(max(layout_id), 0) FROM topic_tree)",
            (KEPT_LAYOUTS,),
        )
        conn.execute("DELETE FROM neighbor")
        conn.executemany(
            "INSERT INTO neighbor (dataset_id, place, neighbor_id, distance, layout_id) VALUES (?, ?, ?, ?, ?)",
            ((*neighbor, layout_id) for neighbor in neighbors),
        )
    return layout_id
