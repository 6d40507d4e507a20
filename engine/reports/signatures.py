"""What makes a topic: the field values that are much commoner in it than elsewhere."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass

from engine.reports.shares import Values
from taxonomy.model import ABSTENTIONS

FEWEST = 3
"""Datasets of a topic that must have a value."""

LEAST_SHARE, LEAST_LIFT = 25.0, 1.25
MOST = 5
"""Values that are told of a topic."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A value that marks a topic: `share` per cent of the topic's datasets have it, `lift` times as many as of all."""

    field: str
    value: str
    cards: int
    share: float
    lift: float


@dataclass(frozen=True, slots=True)
class Signature:
    """A topic with its marks, the strongest first. Layer 0 is the coarsest."""

    topic: str
    layer: int
    size: int
    marks: tuple[Mark, ...]


_MEMBERS = """
SELECT t.topic_id, t.layer, t.name, m.dataset_id FROM topic t
JOIN topic_member m ON m.topic_id = t.topic_id AND m.tree_id = t.tree_id
WHERE t.tree_id = (SELECT max(tree_id) FROM topic_tree)
ORDER BY t.layer, t.topic_id
"""


def signatures(conn: sqlite3.Connection, values: Values) -> tuple[Signature, ...]:
    """Return every topic of the newest tree, the coarsest layer first, the largest topic first."""
    members: dict[tuple[int, int, str], set[int]] = defaultdict(set)
    for topic_id, layer, name, dataset_id in conn.execute(_MEMBERS):
        members[layer, topic_id, name].add(dataset_id)
    overall = {field: _counts(by_id, set(by_id)) for field, by_id in values.items()}
    found = []
    for (layer, _, name), inside in members.items():
        marks: list[Mark] = []
        for field, by_id in values.items():
            known = len(inside & by_id.keys())
            for value, cards in _counts(by_id, inside).items():
                share = 100 * cards / known
                lift = cards / known * len(by_id) / overall[field][value]
                if cards >= FEWEST and share >= LEAST_SHARE and lift >= LEAST_LIFT and value not in ABSTENTIONS:
                    marks.append(Mark(field, value, cards, round(share, 1), round(lift, 2)))
        marks.sort(key=lambda mark: (-mark.share * math.log(mark.lift), mark.field, mark.value))
        found.append(Signature(name, layer, len(inside), tuple(marks[:MOST])))
    return tuple(sorted(found, key=lambda each: (each.layer, -each.size, each.topic)))


def _counts(by_id: dict[int, tuple[str, ...]], inside: set[int]) -> Counter[str]:
    return Counter(value for dataset_id in inside & by_id.keys() for value in set(by_id[dataset_id]))
