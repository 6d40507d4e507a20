"""The layout pass: a place in the plane for every dataset on the map, kept still from run to run.

Three ways lead to a layout. The first is a fit from nothing. After a refresh, unchanged datasets keep
their coordinates exactly and new or changed ones are placed among their nearest neighbours. Once a fifth
of the map has changed since the last full fit, everything is fitted again from the old coordinates,
and the result is brought back onto them.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import PassError
from engine.events import PassFinished, PassStarted, Subscriber
from engine.store.layouts import (
    Layout,
    MadeBy,
    Points,
    Position,
    insert_layout,
    read_embeddings,
    read_newest_layout,
    read_points,
    read_positions,
    read_subjects,
    refit_at,
)
from engine.vectors import FloatMatrix
from render.layout import placement, projection
from render.layout.neighbors import IntMatrix, knn, measure_layout

# Kept in the table `neighbor` for every dataset, itself not counted: UMAP's 15, and one to spare.
KEPT_NEIGHBORS = 15

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
class _Fit:
    """Coordinates in the order of the points, which of them were placed by neighbours, and the changes since a fit."""

    made_by: MadeBy
    plane: NDArray[np.float64]
    placed: NDArray[np.bool_]
    changed: int


def pending(conn: sqlite3.Connection) -> int:
    """How many datasets came, changed or went since the newest layout was made: what `ensure` has to do."""
    points = read_points(conn)
    before = read_newest_layout(conn)
    if before is None or before.parameters != parameters_of(points):
        return len(points)
    old = {p.dataset_id: p.input_hash for p in read_positions(conn, before.layout_id)}
    new = dict(zip(points.ids, points.input_hashes, strict=True))
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
    before = read_newest_layout(conn)
    if before is not None and before.input_hash == input_hash and not relayout:
        emit(PassFinished("layout", time.monotonic() - started, skipped=True, detail=f"{len(points)} points"))
        return LayoutResult(before.layout_id, True, len(points), before.made_by, before.stale)
    vectors = read_vectors(conn, points)
    near = knn(vectors, KEPT_NEIGHBORS + 1)
    fit = _lay_out(conn, points, vectors, near, before, relayout)
    layout_id = insert_layout(
        conn,
        run_id,
        input_hash=input_hash,
        parameters=parameters_of(points),
        made_by=fit.made_by,
        parent_id=None if before is None else before.layout_id,
        changed=fit.changed,
        quality=measure_layout(vectors, near[0], fit.plane, read_subjects(conn, points.ids)),
        positions=[
            Position(i, x, y, text, placed)
            for i, (x, y), text, placed in zip(
                points.ids, fit.plane.tolist(), points.input_hashes, fit.placed.tolist(), strict=True
            )
        ],
        neighbors=(
            (points.ids[row], place, points.ids[column], distance)
            for row in np.argsort(points.ids).tolist()
            for place, (column, distance) in enumerate(
                zip(near[0][row, 1:].tolist(), near[1][row, 1:].tolist(), strict=True), start=1
            )
        ),
    )
    seconds = time.monotonic() - started
    emit(PassFinished("layout", seconds, skipped=False, detail=f"{len(points)} points, {fit.made_by}"))
    return LayoutResult(layout_id, False, len(points), fit.made_by, min(1.0, fit.changed / len(points)))


def _lay_out(
    conn: sqlite3.Connection,
    points: Points,
    vectors: FloatMatrix,
    near: tuple[IntMatrix, FloatMatrix],
    before: Layout | None,
    relayout: bool | None,
) -> _Fit:
    nothing = np.zeros(len(points), dtype=bool)
    if before is None or before.parameters != parameters_of(points):
        return _Fit("fit", projection.project(vectors, near), nothing, 0)
    old = {p.dataset_id: p for p in read_positions(conn, before.layout_id)}
    found = [old.get(i) for i in points.ids]
    kept = np.array(
        [p is not None and p.input_hash == text for p, text in zip(found, points.input_hashes, strict=True)], dtype=bool
    )
    if kept.sum() < min(3, len(points)):
        return _Fit("fit", projection.project(vectors, near), nothing, 0)
    start = np.array([(0.0, 0.0) if p is None else (p.x, p.y) for p in found], dtype=np.float64)
    start = placement.place(vectors, start, kept)
    placed = ~kept | np.array([p is not None and p.placed for p in found], dtype=bool)
    gone_before = before.changed - sum(p.placed for p in old.values())
    gone = len(old.keys() - set(points.ids))
    changed = int(placed.sum()) + gone_before + gone
    due = changed >= refit_at(len(points))
    if relayout or (due and relayout is None):
        fitted = projection.project(vectors, near, init=start)
        return _Fit("refit", placement.bring_back(fitted, start, kept), nothing, 0)
    return _Fit("placed", start, placed, changed)


def read_vectors(conn: sqlite3.Connection, points: Points) -> FloatMatrix:
    """The vectors of the points, float32, shape (points, dimensions); anything not finite becomes 0."""
    if not len(points):
        return np.zeros((0, 0), dtype=np.float32)
    rows_of: dict[int, list[int]] = {}
    for row, result_id in enumerate(points.result_ids):
        rows_of.setdefault(result_id, []).append(row)
    vectors = np.zeros((0, 0), dtype=np.float32)
    for result_id, dimensions, blob in read_embeddings(conn):
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
