"""Topics of a layout before they have names: clustered anew, or carried over from the tree before, and which live on."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import PassError
from engine.store.layouts import Position, read_points, read_positions
from engine.store.topics import BY_KEY_PHRASES, Topic, TopicPlace, TopicTree
from engine.vectors import FloatMatrix, unit_rows
from render.layout.layout import read_vectors
from render.layout.placement import diameter
from render.libraries import heavy
from render.topics import clusters
from render.topics.clusters import Labels

_EXEMPLARS = 5
# A topic is the same as before if it shares at least half of the members that either has.
SAME_MEMBERS = 0.5
# …and at least half of the datasets that were most typical of it are still in it, unchanged.
SAME_EXEMPLARS = 0.5
# While no more of the map has changed since the topics were clustered, new datasets join the topics they lie in. More
# than it takes for the map to be laid out again: that moves it by a few hundredths, yet clustered anew only a third of
# the topics would live on.
CARRY_SHARE = 0.30
# A dataset that has moved further since, as a share of the map's diameter, joins the topics that it now lies in.
STRAYED = 0.05
_VOTERS = 5


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
    continued: dict[TopicPlace, Topic]
    """The old topics that live on, by the place of the new one."""
    made_by: Literal["clustered", "carried"]
    changed: int
    """Datasets that came, changed or went since the topics were last clustered."""

    @property
    def parents(self) -> list[list[TopicPlace | None]]:
        """As `render.topics.clusters.parents` gives them."""
        found: list[list[TopicPlace | None]] = [[] for _ in self.layers]
        for topic in sorted(self.topics, key=lambda t: t.place):
            found[topic.place[0]].append(topic.parent)
        return found


def read_ground(conn: sqlite3.Connection, layout_id: int) -> Ground:
    """The points of a layout.

    Raises:
        PassError: there are none.
    """
    positions = read_positions(conn, layout_id)
    if not positions:
        raise PassError(f"Layout {layout_id} has no points.", hint="Run `hfmap map --relayout`.")
    return Ground(
        layout_id=layout_id,
        ids=[p.dataset_id for p in positions],
        texts={p.dataset_id: p.input_hash for p in positions},
        plane=np.array([(p.x, p.y) for p in positions], dtype=np.float64),
    )


def vectors_of(conn: sqlite3.Connection, ground: Ground) -> FloatMatrix:
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
    conn: sqlite3.Connection, ground: Ground, old: TopicTree | None, parameters: dict[str, Any], max_topics: int
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
    before = {p.dataset_id: p for p in read_positions(conn, old.layout_id)}
    unchanged = {i for i, p in before.items() if ground.texts.get(i) == p.input_hash}
    places = {i: (x, y) for i, (x, y) in zip(ground.ids, ground.plane.tolist(), strict=True)}
    changed = old.changed + len(before.keys() - places.keys()) + len(places) - len(unchanged)
    still = _still(ground, before, unchanged)
    few = changed <= CARRY_SHARE * len(places)
    if few and still and old.parameters == parameters:
        topics = carry(old, places, still)
        if topics:
            layers = _labels(topics, ground)
            return Grouping(topics, layers, match(old.topics, topics, unchanged), "carried", changed)
    topics, layers = _clustered(conn, ground, max_topics)
    return Grouping(topics, layers, match(old.topics, topics, unchanged), "clustered", 0)


def _still(ground: Ground, before: Mapping[int, Position], unchanged: set[int]) -> set[int]:
    """The unchanged datasets that lie about where they lay; none where the layout is another one altogether."""
    rows = [row for row, i in enumerate(ground.ids) if i in unchanged]
    if not rows:
        return set()
    now, then = ground.plane[rows], np.array([(before[ground.ids[row]].x, before[ground.ids[row]].y) for row in rows])
    near = np.linalg.norm(now - then, axis=1) <= STRAYED * diameter(then)
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


def match(old: Sequence[Topic], new: Sequence[Topic], unchanged: Collection[int]) -> dict[TopicPlace, Topic]:
    """Find the old topic that each new topic continues.

    Args:
        old: topics of the tree before.
        new: topics of the tree in the making.
        unchanged: dataset_ids whose text is the same as when the old tree was made.

    Returns:
        Old topics by the place of the new one that continues them; no old topic twice. Best overlaps are
        settled first; of equal ones that in the same layer, then the first.
    """
    homes: dict[int, list[int]] = defaultdict(list)
    for number, topic in enumerate(old):
        for member in topic.members:
            homes[member].append(number)
    pairs = []
    for number, topic in enumerate(new):
        shared: Counter[int] = Counter(h for member in topic.members for h in homes.get(member, ()))
        for candidate, count in shared.items():
            other = old[candidate]
            overlap = count / (len(topic.members) + len(other.members) - count)
            if overlap >= SAME_MEMBERS and _typical_stay(other, topic, unchanged):
                pairs.append((-overlap, abs(topic.place[0] - other.place[0]), number, candidate))
    found: dict[TopicPlace, Topic] = {}
    used: set[int] = set()
    for _, _, number, candidate in sorted(pairs):
        if candidate not in used and new[number].place not in found:
            used.add(candidate)
            found[new[number].place] = old[candidate]
    return found


def _typical_stay(old: Topic, new: Topic, unchanged: Collection[int]) -> bool:
    if not old.exemplars:
        return True
    members = set(new.members)
    stay = sum(e in members and e in unchanged for e in old.exemplars)
    return stay >= SAME_EXEMPLARS * len(old.exemplars)


def carry(old: TopicTree, places: Mapping[int, tuple[float, float]], kept: Collection[int]) -> list[Topic]:
    """The topics of a tree over a layout in which few datasets are new or have moved.

    Args:
        old: the tree before.
        places: coordinates by dataset_id, of all datasets in the new layout.
        kept: the dataset_ids that lie where they lay; they stay in their topics. Not empty.

    Returns:
        The old topics with the new layout's members. A dataset that is new or has moved joins, in each layer,
        what most of its five nearest kept ones belong to, be it no topic. Topics left empty are gone.
    """
    still = sorted(kept)
    fresh = sorted(places.keys() - set(kept))
    members: dict[TopicPlace, list[int]] = {t.place: [m for m in t.members if m in kept] for t in old.topics}
    if fresh:
        near = _nearest([places[i] for i in fresh], [places[i] for i in still])
        for layer in range(old.layers):
            topic_of = {m: t.place for t in old.topics if t.place[0] == layer for m in t.members}
            for dataset_id, row in zip(fresh, near.tolist(), strict=True):
                votes = Counter(topic_of.get(still[column]) for column in row)
                chosen = min(votes, key=lambda place: (-votes[place], place is None, place or (0, 0)))
                if chosen is not None:
                    members[chosen].append(dataset_id)
    return _renumbered(
        [
            replace(
                topic,
                members=sorted(members[topic.place]),
                exemplars=_still_typical(topic.exemplars, sorted(members[topic.place])),
                topic_id=None,
            )
            for topic in old.topics
            if members[topic.place]
        ]
    )


def _still_typical(exemplars: Sequence[int], members: Sequence[int]) -> list[int]:
    belong = set(members)
    return [e for e in exemplars if e in belong] or list(members[:1])


def _nearest(queries: Sequence[tuple[float, float]], base: Sequence[tuple[float, float]]) -> NDArray[np.int64]:
    tree = heavy("scipy.spatial").cKDTree(np.array(base))
    count = min(_VOTERS, len(base))
    found = np.asarray(tree.query(np.array(queries), k=count)[1], dtype=np.int64)
    return found.reshape(len(queries), count)


def _renumbered(topics: list[Topic]) -> list[Topic]:
    """Close the gaps that topics left in the numbers of their layers, and drop parents that are gone."""
    counts: Counter[int] = Counter()
    moved: dict[TopicPlace, TopicPlace] = {}
    layers = {layer: depth for depth, layer in enumerate(sorted({t.place[0] for t in topics}))}
    for topic in sorted(topics, key=lambda t: t.place):
        layer = layers[topic.place[0]]
        moved[topic.place] = (layer, counts[layer])
        counts[layer] += 1
    return [replace(t, place=moved[t.place], parent=None if t.parent is None else moved.get(t.parent)) for t in topics]
