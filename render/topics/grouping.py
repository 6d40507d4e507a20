"""From a layout to topics without names: clustered anew, or carried over from the tree before."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import PassError
from engine.vectors import unit_rows
from render.layout.placement import diameter
from render.layout.points import read_points, read_vectors
from render.topics import clusters, continuity
from render.topics.clusters import Labels
from render.topics.tree import BY_KEY_PHRASES, Place, Topic, Tree

_EXEMPLARS = 5


@dataclass(frozen=True, slots=True)
class Ground:
    """The layout that topics are found on; arrays have one row a dataset, ordered by repository id."""

    layout_id: int
    ids: list[int]
    texts: dict[int, str]
    """Input hashes by dataset_id."""
    plane: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grouping:
    """The topics of a layout. Names are those of the tree before, or empty."""

    topics: list[Topic]
    layers: list[Labels]
    """One label array a layer, coarsest first; rows as in the ground."""
    continued: dict[Place, Topic]
    """The old topics that live on, by the place of the new one."""
    made_by: Literal["clustered", "carried"]
    changed: int
    """Datasets that came, changed or went since the topics were last clustered."""

    @property
    def parents(self) -> list[list[Place | None]]:
        """As `render.topics.clusters.parents` gives them."""
        found: list[list[Place | None]] = [[] for _ in self.layers]
        for topic in sorted(self.topics, key=lambda t: t.place):
            found[topic.place[0]].append(topic.parent)
        return found


def read_ground(conn: sqlite3.Connection, layout_id: int) -> Ground:
    """The points of a layout.

    Raises:
        PassError: there are none.
    """
    rows = conn.execute(
        "SELECT p.dataset_id, p.input_hash, p.x, p.y FROM position p"
        " JOIN dataset d ON d.dataset_id = p.dataset_id WHERE p.layout_id = ? ORDER BY d.repo_id",
        (layout_id,),
    ).fetchall()
    if not rows:
        raise PassError(f"Layout {layout_id} has no points.", hint="Run `hfmap map --relayout`.")
    return Ground(
        layout_id=layout_id,
        ids=[row[0] for row in rows],
        texts={row[0]: row[1] for row in rows},
        plane=np.array([row[2:] for row in rows], dtype=np.float64),
    )


def vectors_of(conn: sqlite3.Connection, ground: Ground) -> NDArray[np.float32]:
    """Vectors in the order of the layout's points; zeros for a dataset that has lost its own since."""
    points = read_points(conn)
    vectors = read_vectors(conn, points)
    if points.ids == ground.ids:
        return vectors
    row_of = {dataset_id: row for row, dataset_id in enumerate(points.ids)}
    placed = np.zeros((len(ground.ids), max(2, vectors.shape[1])), dtype=np.float32)
    for row, dataset_id in enumerate(ground.ids):
        if dataset_id in row_of:
            placed[row] = vectors[row_of[dataset_id]]
    return placed


def group(
    conn: sqlite3.Connection, ground: Ground, old: Tree | None, parameters: dict[str, Any], max_topics: int
) -> Grouping:
    """Find the topics of a layout, and which of them live on from the tree before.

    Args:
        conn: for vectors and for the layout before.
        ground: the layout.
        old: the tree before, if any.
        parameters: of the tree in the making; under others than the old tree's, topics are clustered anew.
        max_topics: the most topics in all layers.
    """
    if old is None:
        topics, layers = _clustered(conn, ground, max_topics)
        return Grouping(topics, layers, {}, "clustered", 0)
    before = {
        i: (text, (x, y))
        for i, text, x, y in conn.execute(
            "SELECT dataset_id, input_hash, x, y FROM position WHERE layout_id = ?", (old.layout_id,)
        )
    }
    unchanged = {i for i, (text, _) in before.items() if ground.texts.get(i) == text}
    places = {i: (x, y) for i, (x, y) in zip(ground.ids, ground.plane.tolist(), strict=True)}
    changed = old.changed + len(before.keys() - places.keys()) + len(places) - len(unchanged)
    still = _still(ground, before, unchanged)
    few = changed <= continuity.CARRY_SHARE * len(places)
    if few and still and old.parameters == parameters:
        topics = continuity.carry(old, places, still)
        if topics:
            layers = _labels(topics, ground)
            return Grouping(topics, layers, continuity.match(old.topics, topics, unchanged), "carried", changed)
    topics, layers = _clustered(conn, ground, max_topics)
    return Grouping(topics, layers, continuity.match(old.topics, topics, unchanged), "clustered", 0)


def _still(ground: Ground, before: dict[int, tuple[str, tuple[float, float]]], unchanged: set[int]) -> set[int]:
    """The unchanged datasets that lie about where they lay; none where the layout is another one altogether."""
    rows = [row for row, i in enumerate(ground.ids) if i in unchanged]
    if not rows:
        return set()
    now, then = ground.plane[rows], np.array([before[ground.ids[row]][1] for row in rows])
    near = np.linalg.norm(now - then, axis=1) <= continuity.STRAYED * diameter(then)
    if near.mean() < 0.5:
        return set()
    return {ground.ids[row] for row, stays in zip(rows, near.tolist(), strict=True) if stays}


def _labels(topics: Sequence[Topic], ground: Ground) -> list[Labels]:
    row_of = {dataset_id: row for row, dataset_id in enumerate(ground.ids)}
    layers = [np.full(len(ground.ids), -1, dtype=np.int64) for _ in range(1 + max(t.place[0] for t in topics))]
    for topic in topics:
        layers[topic.place[0]][[row_of[m] for m in topic.members]] = topic.place[1]
    return layers


def _clustered(conn: sqlite3.Connection, ground: Ground, max_topics: int) -> tuple[list[Topic], list[Labels]]:
    """Topics with the datasets nearest the middle of each as exemplars."""
    layers = clusters.find(ground.plane, max_topics)
    vectors = unit_rows(vectors_of(conn, ground))
    topics = []
    for layer, (labels, above) in enumerate(zip(layers, clusters.parents(layers), strict=True)):
        for number, parent in enumerate(above):
            rows = np.flatnonzero(labels == number)
            # Rounded, so that equal cards come in the order of their ids.
            nearness = np.round(vectors[rows] @ vectors[rows].mean(axis=0), 5)
            typical = rows[np.argsort(-nearness, kind="stable")[:_EXEMPLARS]]
            topics.append(
                Topic(
                    place=(layer, number),
                    name="",
                    named_by=BY_KEY_PHRASES,
                    key_phrases=[],
                    exemplars=[ground.ids[row] for row in typical.tolist()],
                    parent=parent,
                    members=[ground.ids[row] for row in rows.tolist()],
                )
            )
    return topics, layers
