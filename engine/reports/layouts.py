"""The versions of the layout, and how good each was when it was made."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.reports.document import Bars, Report, Section, Table

_LAYOUTS = """
SELECT l.layout_id, l.run_id, l.created_at, l.made_by, l.parent_id, l.points, l.changed,
    (SELECT count(*) FROM position p WHERE p.layout_id = l.layout_id AND p.placed = 1) AS placed,
    l.quality, l.parameters
FROM layout l ORDER BY l.layout_id
"""
_MEASURES = ("trustworthiness", "knn_preservation", "subject_purity")


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


def measure(conn: sqlite3.Connection) -> tuple[LayoutVersion, ...]:
    """Read every layout that is kept, the oldest first."""
    rows = conn.execute(_LAYOUTS).fetchall()
    return tuple(_version(row) for row in rows)


def _version(row: Sequence[Any]) -> LayoutVersion:
    layout_id, run_id, created_at, made_by, parent_id, points, changed, placed, quality, parameters = row
    return LayoutVersion(
        layout_id, run_id, created_at, made_by, parent_id, points, changed, placed, json.loads(quality),
        json.loads(parameters),
    )  # fmt: skip


def present(versions: tuple[LayoutVersion, ...]) -> Report:
    """Make the report; the newest version comes first."""
    newest = versions[::-1]
    columns = ("layout", "run", "made at", "made by", "from", "points", "changed", "placed")
    return Report(
        "Layouts",
        "Changed: datasets that came, changed or went since the last full fit. Placed: points set beside their "
        "neighbours since then. Trustworthiness: none of a point's 15 nearest on the map is far away among the vectors. "
        "kNN preservation: share of its 15 nearest vectors that are near on the map. Subject purity: share of its 15 "
        "nearest on the map with the same subject.",
        (
            Section(
                "Versions",
                "" if versions else "No layout has been made yet.",
                Table(
                    (*columns, *(name.replace("_", " ") for name in _MEASURES)),
                    [(*_row(v), *(v.quality.get(name) for name in _MEASURES)) for v in newest],
                ),
                Bars(
                    [(f"layout {v.layout_id}, {v.made_by}", [v.quality.get(n) for n in _MEASURES]) for v in newest],
                    [name.replace("_", " ") for name in _MEASURES],
                )
                if versions
                else None,
            ),
        ),
    )


def _row(v: LayoutVersion) -> tuple[str | int | None, ...]:
    return v.layout_id, v.run_id, v.created_at, v.made_by, v.parent_id, v.points, v.changed, v.placed
