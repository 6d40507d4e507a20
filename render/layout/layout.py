"""The layout pass: a place in the plane for every dataset on the map, kept still from run to run.

Three ways lead to a layout. The first is a fit from nothing. After a refresh, unchanged datasets keep
their coordinates exactly and new or changed ones are placed among their nearest neighbours. Once a fifth
of the map has changed since the last full fit, everything is fitted again from the old coordinates,
and the result is brought back onto them.
"""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import PassError
from engine.events import PassFinished, PassStarted, Subscriber
from engine.store.layouts import refit_at
from engine.vectors import FloatMatrix
from render.layout import placement, projection, quality
from render.layout.neighbors import IntMatrix, knn
from render.layout.points import Points, digest, now, read_points, read_vectors, transaction

MadeBy = Literal["fit", "refit", "placed"]

# Kept in the table `neighbor` for every dataset, itself not counted: UMAP's 15, and one to spare.
KEPT_NEIGHBORS = 15

# Layouts whose coordinates are kept; of older ones the row with their quality stays.
KEPT_VERSIONS = 5

_VERSION = 1


@dataclass(frozen=True, slots=True)
class LayoutResult:
    """What the pass did. `changed` is the share of datasets that changed since the last full fit."""

    layout_id: int
    skipped: bool
    points: int
    made_by: MadeBy
    changed: float


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
class _Old:
    """Coordinates before: by dataset, with the text they were made from."""

    places: dict[int, tuple[float, float]]
    hashes: dict[int, str]
    placed: set[int]


def newest(conn: sqlite3.Connection) -> Layout | None:
    """The layout in force, or None where there is none yet."""
    row = conn.execute(
        "SELECT layout_id, input_hash, parameters, points, made_by, changed, quality, created_at"
        " FROM layout ORDER BY layout_id DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    return Layout(row[0], row[1], json.loads(row[2]), row[3], row[4], row[5], json.loads(row[6]), row[7])


def pending(conn: sqlite3.Connection) -> int:
    """How many datasets came, changed or went since the newest layout was made: what `ensure` has to do."""
    points = read_points(conn)
    before = newest(conn)
    if before is None:
        return len(points)
    old = _read_positions(conn, before.layout_id).hashes
    new = dict(zip(points.ids, points.input_hashes, strict=True))
    if before.parameters != parameters_of(points):
        return len(points)
    return sum(old.get(i) != text for i, text in new.items()) + len(old.keys() - new.keys())


def parameters_of(points: Points) -> dict[str, Any]:
    """Everything a layout depends on besides the cards."""
    return {
        "version": _VERSION,
        "spec": points.spec_hash,
        "n_neighbors": projection.N_NEIGHBORS,
        "min_dist": projection.MIN_DIST,
        "metric": projection.METRIC,
        "random_state": projection.RANDOM_STATE,
    }


def input_hash_of(points: Points) -> str:
    """The hash of a layout's inputs: which datasets, which texts, which vectors, which parameters."""
    return digest(parameters_of(points), zip(points.repo_ids, points.input_hashes, strict=True))


def ensure(conn: sqlite3.Connection, *, run_id: int, emit: Subscriber, relayout: bool | None = None) -> LayoutResult:
    """Make the layout of the datasets on the map, or find that the newest one still holds.

    Args:
        conn: a connection that may write; one transaction is made at the end.
        run_id: the run that the layout belongs to.
        emit: takes the events of the pass.
        relayout: True fits everything again, False never does, None decides by the share of changes.

    Raises:
        PassError: no dataset on the map has an embedding.
    """
    started = time.monotonic()
    emit(PassStarted("layout"))
    points = read_points(conn)
    if not len(points):
        raise PassError(
            "No dataset on the map has an embedding yet, so there is nothing to lay out.",
            hint="Run `hfmap sync` first.",
        )
    input_hash = input_hash_of(points)
    before = newest(conn)
    if before is not None and before.input_hash == input_hash and not relayout:
        emit(PassFinished("layout", time.monotonic() - started, skipped=True, detail=f"{len(points)} points"))
        return LayoutResult(before.layout_id, True, len(points), before.made_by, before.stale)
    vectors = read_vectors(conn, points)
    near = knn(vectors, KEPT_NEIGHBORS + 1)
    made_by, plane, placed, changed = _lay_out(conn, points, vectors, near, before, relayout)
    measures = quality.measure(vectors, near[0], plane, quality.subjects(conn, points.ids))
    layout_id = _store(
        conn,
        run_id,
        points,
        near,
        plane,
        placed,
        head=(input_hash, made_by, None if before is None else before.layout_id, changed, measures),
    )
    seconds = time.monotonic() - started
    emit(PassFinished("layout", seconds, skipped=False, detail=f"{len(points)} points, {made_by}"))
    return LayoutResult(layout_id, False, len(points), made_by, min(1.0, changed / len(points)))


def _lay_out(
    conn: sqlite3.Connection,
    points: Points,
    vectors: FloatMatrix,
    near: tuple[IntMatrix, FloatMatrix],
    before: Layout | None,
    relayout: bool | None,
) -> tuple[MadeBy, NDArray[np.float64], NDArray[np.bool_], int]:
    """Coordinates, which of them were placed by neighbours, and the changes since the last full fit."""
    nothing = np.zeros(len(points), dtype=bool)
    if before is None or before.parameters != parameters_of(points):
        return "fit", projection.project(vectors, near), nothing, 0
    old = _read_positions(conn, before.layout_id)
    kept = np.array(
        [old.hashes.get(i) == text for i, text in zip(points.ids, points.input_hashes, strict=True)],
        dtype=bool,
    )
    if kept.sum() < min(3, len(points)):
        return "fit", projection.project(vectors, near), nothing, 0
    start = np.array([old.places.get(i, (0.0, 0.0)) for i in points.ids], dtype=np.float64)
    start = placement.place(vectors, start, kept)
    placed = ~kept | np.array([i in old.placed for i in points.ids], dtype=bool)
    gone_before = before.changed - len(old.placed)
    gone = len(old.places.keys() - set(points.ids))
    changed = int(placed.sum()) + gone_before + gone
    due = changed >= refit_at(len(points))
    if relayout or (due and relayout is None):
        fitted = projection.project(vectors, near, init=start)
        return "refit", placement.bring_back(fitted, start, kept), nothing, 0
    return "placed", start, placed, changed


def _read_positions(conn: sqlite3.Connection, layout_id: int) -> _Old:
    old = _Old({}, {}, set())
    rows = conn.execute("SELECT dataset_id, x, y, input_hash, placed FROM position WHERE layout_id = ?", (layout_id,))
    for dataset_id, x, y, input_hash, placed in rows:
        old.places[dataset_id] = (x, y)
        old.hashes[dataset_id] = input_hash
        if placed:
            old.placed.add(dataset_id)
    return old


def _store(
    conn: sqlite3.Connection,
    run_id: int,
    points: Points,
    near: tuple[IntMatrix, FloatMatrix],
    plane: NDArray[np.float64],
    placed: NDArray[np.bool_],
    *,
    head: tuple[str, MadeBy, int | None, int, dict[str, float]],
) -> int:
    input_hash, made_by, parent_id, changed, measures = head
    with transaction(conn):
        cursor = conn.execute(
            "INSERT INTO layout (run_id, input_hash, parameters, points, made_by, parent_id, changed,"
            " quality, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run_id,
                input_hash,
                json.dumps(parameters_of(points), sort_keys=True),
                len(points),
                made_by,
                parent_id,
                changed,
                json.dumps(measures, sort_keys=True),
                now(),
            ),
        )
        layout_id = int(cursor.lastrowid or 0)
        conn.executemany(
            "INSERT INTO position (layout_id, dataset_id, x, y, input_hash, placed) VALUES (?, ?, ?, ?, ?, ?)",
            sorted(
                (layout_id, i, x, y, text, int(new))
                for i, (x, y), text, new in zip(
                    points.ids, plane.tolist(), points.input_hashes, placed.tolist(), strict=True
                )
            ),
        )
        conn.execute(
            "DELETE FROM position WHERE layout_id NOT IN (SELECT layout_id FROM layout ORDER BY layout_id DESC LIMIT ?)"
            " AND layout_id <> (SELECT coalesce(max(layout_id), 0) FROM topic_tree)",
            (KEPT_VERSIONS,),
        )
        conn.execute("DELETE FROM neighbor")
        conn.executemany(
            "INSERT INTO neighbor (dataset_id, place, neighbor_id, distance, layout_id) VALUES (?, ?, ?, ?, ?)",
            (
                (points.ids[row], place, points.ids[column], distance, layout_id)
                for row in np.argsort(points.ids).tolist()
                for place, (column, distance) in enumerate(
                    zip(near[0][row, 1:].tolist(), near[1][row, 1:].tolist(), strict=True), start=1
                )
            ),
        )
    return layout_id
