"""Slugs that are hard to tell apart."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from engine.reports.answers import Answers
from engine.reports.document import percent
from engine.reports.shares import Values
from engine.vectors import FloatMatrix, unit_rows
from taxonomy.model import ABSTENTIONS, Taxonomy

FEWEST = 5
"""Datasets that a slug must have before its place among the vectors means anything."""

FEWEST_CONFUSED = 3
CONFUSED, ALIKE, TOGETHER = 20.0, 0.8, 50.0
"""A pair is listed from here on: per cent confused, cosine of the centroids, per cent that have both."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two slugs of a field.

    confused: of the cards that one reader or the other gives either slug, the per cent on which one gives this and
    the other that; `confused_cards` counts them. centroids: cosine of the mean vectors of their datasets, taken from
    the mean of all. together: of the datasets with either, the per cent with both (lists only).
    """

    field: str
    one: str
    other: str
    confused: float | None
    confused_cards: int
    centroids: float | None
    together: float | None

    @property
    def weight(self) -> float:
        """How redundant the pair looks: 1 is where it begins to be listed."""
        confused = (self.confused or 0.0) / CONFUSED if self.confused_cards >= FEWEST_CONFUSED else 0.0
        return max(confused, (self.centroids or 0.0) / ALIKE, (self.together or 0.0) / TOGETHER)


_VECTORS = """
SELECT i.dataset_id, e.vector FROM in_force i JOIN dataset d ON d.dataset_id = i.dataset_id AND d.on_map = 1
JOIN embedding e ON e.result_id = i.result_id WHERE i.stage = 'embed' ORDER BY i.dataset_id
"""


def redundant(
    conn: sqlite3.Connection, taxonomy: Taxonomy, values: Values, readers: tuple[Answers, Answers]
) -> tuple[Pair, ...]:
    """Find the pairs of slugs that two readers confuse, whose datasets lie in one place, or that come together."""
    ids, vectors = _vectors(conn)
    found: list[Pair] = []
    for field in taxonomy:
        if field.kind not in {"one", "many"}:
            continue
        slugs = [slug for slug in field.names if slug != "other" and slug not in ABSTENTIONS]
        members = _members(values[field.name])
        centroids = _centroids(ids, vectors, {slug: members[slug] for slug in slugs})
        confused, either = _confused(field.name, readers)
        for one, other in combinations(slugs, 2):
            pair = frozenset((one, other))
            both = members[one] & members[other] if field.kind == "many" else set()
            near = float(centroids[one] @ centroids[other]) if one in centroids and other in centroids else None
            total = either[one] + either[other] - confused[pair]
            item = Pair(
                field.name,
                one,
                other,
                percent(confused[pair], total),
                confused[pair],
                None if near is None else round(near, 3),
                percent(len(both), len(members[one] | members[other])) if field.kind == "many" else None,
            )
            if item.weight >= 1:
                found.append(item)
    return tuple(sorted(found, key=lambda item: (-item.weight, item.field, item.one, item.other)))


def _members(values: dict[int, tuple[str, ...]]) -> dict[str, set[int]]:
    members: dict[str, set[int]] = defaultdict(set)
    for dataset_id, labels in values.items():
        for slug in labels:
            members[slug].add(dataset_id)
    return members


def _vectors(conn: sqlite3.Connection) -> tuple[NDArray[np.int64], FloatMatrix]:
    rows = conn.execute(_VECTORS).fetchall()
    if not rows:
        return np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
    matrix = unit_rows(np.vstack([np.frombuffer(row[1], dtype="<f4") for row in rows]))
    return np.array([row[0] for row in rows], np.int64), matrix - matrix.mean(axis=0)


def _centroids(
    ids: NDArray[np.int64], vectors: FloatMatrix, members: dict[str, set[int]]
) -> dict[str, NDArray[np.float32]]:
    """The mean vector of each slug with enough datasets, scaled to length 1."""
    found: dict[str, NDArray[np.float32]] = {}
    for slug, having in members.items():
        rows = np.isin(ids, np.fromiter(having, np.int64, len(having)))
        if rows.sum() >= FEWEST:
            found[slug] = unit_rows(vectors[rows].mean(axis=0, keepdims=True))[0]
    return found


def _confused(field: str, readers: tuple[Answers, Answers]) -> tuple[Counter[frozenset[str]], Counter[str]]:
    """How often readers differ by exactly one pair of slugs, and on how many cards either gives a slug."""
    confused: Counter[frozenset[str]] = Counter()
    either: Counter[str] = Counter()
    ours, theirs = readers
    for dataset_id in ours.fields.keys() & theirs.fields.keys():
        mine, other = ours.fields[dataset_id].get(field), theirs.fields[dataset_id].get(field)
        if mine is None or other is None:
            continue
        either.update(set(mine) | set(other))
        here, there = set(mine) - set(other), set(other) - set(mine)
        if len(here) == len(there) == 1:
            confused[frozenset(here | there)] += 1
    return confused, either
