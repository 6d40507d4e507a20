"""Tables `topic_tree`, `topic` and `topic_member`: the topics of a layout, and what they are named from."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.errors import UsageError
from engine.store.clock import utc_now
from engine.store.connection import transaction
from engine.store.layouts import read_subjects

BY_KEY_PHRASES = "key-phrases"
BY_PERSON = "person"

KEPT_TREES = 5
"""Trees whose members are kept; of older ones the topics with their names and sizes stay."""

TopicPlace = tuple[int, int]
"""A topic's layer (0 the coarsest) and its number in the layer."""


@dataclass(slots=True)
class Topic:
    """One topic."""

    place: TopicPlace
    name: str
    named_by: str
    key_phrases: list[str]
    exemplars: list[int]
    """dataset_ids, most typical first."""
    parent: TopicPlace | None
    members: list[int]
    """dataset_ids."""
    lasting_id: int | None = None
    """The id that it has had since it first appeared; None for a new topic."""
    topic_id: int | None = None


@dataclass(slots=True)
class TopicTree:
    """All topics of one layout."""

    layout_id: int
    input_hash: str
    parameters: dict[str, Any]
    made_by: Literal["clustered", "carried"]
    changed: int
    """Datasets that came, changed or went since the topics were last clustered."""
    topics: list[Topic] = field(default_factory=list)
    tree_id: int | None = None
    asked: bool = False
    """Whether a model was asked for all names that did not stand: it knew none better than those from key phrases."""

    @property
    def layers(self) -> int:
        """How many layers there are."""
        return 1 + max((t.place[0] for t in self.topics), default=-1)


@dataclass(frozen=True, slots=True)
class TopicSource:
    """What the database holds of a dataset that topics are named from; `metadata` is its card's front matter, JSON."""

    dataset_id: int
    repo_id: str
    name: str
    pretty_name: str
    language: str
    modality: str
    size_category: str
    metadata: str
    card: str
    subject: str | None = None


def read_newest_tree(conn: sqlite3.Connection, *, with_topics: bool = True) -> TopicTree | None:
    """The tree in force, or None where there is none yet."""
    row = conn.execute(
        "SELECT tree_id, layout_id, input_hash, parameters, made_by, changed FROM topic_tree"
        " ORDER BY tree_id DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    parameters = json.loads(row[3])
    asked = bool(parameters.pop("asked", False))
    topics = _read_topics(conn, row[0]) if with_topics else []
    return TopicTree(row[1], row[2], parameters, row[4], row[5], topics, tree_id=row[0], asked=asked)


def count_topics(conn: sqlite3.Connection, tree_id: int, *, named_by: str | None = None) -> tuple[int, int]:
    """How many topics a tree has, and in how many layers; with `named_by` only those named so."""
    count, layers = conn.execute(
        "SELECT count(*), count(DISTINCT layer) FROM topic WHERE tree_id = ? AND named_by = coalesce(?, named_by)",
        (tree_id, named_by),
    ).fetchone()
    return int(count), int(layers)


def _read_topics(conn: sqlite3.Connection, tree_id: int) -> list[Topic]:
    topics: dict[int, Topic] = {}
    parents: dict[int, int | None] = {}
    counts: dict[int, int] = {}
    rows = conn.execute(
        "SELECT topic_id, layer, name, named_by, key_phrases, exemplars, parent_id, lasting_id FROM topic"
        " WHERE tree_id = ? ORDER BY layer, topic_id",
        (tree_id,),
    )
    for topic_id, layer, name, named_by, key_phrases, exemplars, parent_id, lasting_id in rows:
        number = counts[layer] = counts.get(layer, -1) + 1
        topics[topic_id] = Topic(
            place=(layer, number),
            name=name,
            named_by=named_by,
            key_phrases=json.loads(key_phrases),
            exemplars=json.loads(exemplars),
            parent=None,
            members=[],
            lasting_id=topic_id if lasting_id is None else lasting_id,
            topic_id=topic_id,
        )
        parents[topic_id] = parent_id
    for topic_id, topic in topics.items():
        parent_id = parents[topic_id]
        topic.parent = topics[parent_id].place if parent_id in topics else None
    for topic_id, dataset_id in conn.execute(
        "SELECT topic_id, dataset_id FROM topic_member WHERE tree_id = ? ORDER BY dataset_id", (tree_id,)
    ):
        topics[topic_id].members.append(dataset_id)
    return list(topics.values())


def read_fingerprints(conn: sqlite3.Connection, layout_id: int) -> list[tuple[object, ...]]:
    """What the topics of a layout are named from, without the cards: one row a dataset, ordered by repository id."""
    rows = conn.execute(
        "SELECT d.dataset_id, d.repo_id, d.pretty_name, d.language, d.task_category, d.modality, d.size_category,"
        " d.metadata ->> '$.task_categories', d.metadata ->> '$.task_ids', d.metadata ->> '$.language',"
        " d.metadata ->> '$.languages', c.input_hash"
        " FROM position p JOIN dataset d ON d.dataset_id = p.dataset_id"
        " LEFT JOIN card c ON c.dataset_id = d.dataset_id"
        " WHERE p.layout_id = ? ORDER BY d.repo_id",
        (layout_id,),
    ).fetchall()
    subjects = read_subjects(conn, [row[0] for row in rows])
    return [(*row[1:], subject) for row, subject in zip(rows, subjects, strict=True)]


def read_topic_sources(conn: sqlite3.Connection, layout_id: int) -> list[TopicSource]:
    """What the topics of a layout are named from, whole cards included, ordered by repository id."""
    rows = conn.execute(
        "SELECT d.dataset_id, d.repo_id, d.name, coalesce(d.pretty_name, ''), d.language, d.modality,"
        " d.size_category, d.metadata, coalesce(c.text, '')"
        " FROM position p JOIN dataset d ON d.dataset_id = p.dataset_id"
        " LEFT JOIN card c ON c.dataset_id = d.dataset_id"
        " WHERE p.layout_id = ? ORDER BY d.repo_id",
        (layout_id,),
    ).fetchall()
    subjects = read_subjects(conn, [row[0] for row in rows])
    return [TopicSource(*(*row, subject)) for row, subject in zip(rows, subjects, strict=True)]


def insert_tree(conn: sqlite3.Connection, tree: TopicTree, run_id: int) -> int:
    """Store a tree in one transaction; gives the tree and its topics their ids. Returns the tree's."""
    with transaction(conn):
        cursor = conn.execute(
            "INSERT INTO topic_tree (run_id, layout_id, input_hash, parameters, layers, made_by, changed,"
            " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run_id,
                tree.layout_id,
                tree.input_hash,
                json.dumps({**tree.parameters, "asked": tree.asked}, sort_keys=True),
                tree.layers,
                tree.made_by,
                tree.changed,
                utc_now(),
            ),
        )
        tree_id = tree.tree_id = int(cursor.lastrowid or 0)
        ids: dict[TopicPlace, int] = {}
        for topic in sorted(tree.topics, key=lambda t: t.place):
            parent_id = None if topic.parent is None else ids[topic.parent]
            topic.topic_id = ids[topic.place] = _insert_topic(conn, tree_id, topic, parent_id)
            if topic.lasting_id is None:
                topic.lasting_id = topic.topic_id
                conn.execute("UPDATE topic SET lasting_id = topic_id WHERE topic_id = ?", (topic.topic_id,))
        conn.executemany(
            "INSERT INTO topic_member (tree_id, dataset_id, layer, topic_id) VALUES (?, ?, ?, ?)",
            sorted((tree_id, i, t.place[0], ids[t.place]) for t in tree.topics for i in t.members),
        )
        conn.execute(
            "DELETE FROM topic_member WHERE tree_id NOT IN"
            " (SELECT tree_id FROM topic_tree ORDER BY tree_id DESC LIMIT ?)",
            (KEPT_TREES,),
        )
    return tree_id


def _insert_topic(conn: sqlite3.Connection, tree_id: int, topic: Topic, parent_id: int | None) -> int:
    cursor = conn.execute(
        "INSERT INTO topic (tree_id, layer, name, named_by, key_phrases, exemplars, parent_id, lasting_id, size)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            tree_id,
            topic.place[0],
            topic.name,
            topic.named_by,
            json.dumps(topic.key_phrases, ensure_ascii=False),
            json.dumps(topic.exemplars),
            parent_id,
            topic.lasting_id,
            len(topic.members),
        ),
    )
    return int(cursor.lastrowid or 0)


def rename_topic(conn: sqlite3.Connection, lasting_id: int, name: str) -> None:
    """Give a topic of the newest tree a person's name, which stays with it while the topic lives.

    Raises:
        UsageError: there is no such topic, the name is empty, or another topic of its layer has it.
    """
    name = " ".join(name.split())
    if not name:
        raise UsageError("A topic's name cannot be empty.")
    row = conn.execute(
        "SELECT topic_id, tree_id, layer FROM topic WHERE lasting_id = ?"
        " AND tree_id = (SELECT max(tree_id) FROM topic_tree)",
        (lasting_id,),
    ).fetchone()
    if row is None:
        raise UsageError(f"There is no topic {lasting_id}.", hint="`hfmap topics` lists the topics with ids.")
    topic_id, tree_id, layer = row
    others: list[tuple[str]] = conn.execute(
        "SELECT name FROM topic WHERE tree_id = ? AND layer = ? AND topic_id <> ?", (tree_id, layer, topic_id)
    ).fetchall()
    if name.casefold() in {other.casefold() for (other,) in others}:
        raise UsageError(f"Another topic of the same layer is called {name!r}.")
    with transaction(conn):
        conn.execute("UPDATE topic SET name = ?, named_by = ? WHERE topic_id = ?", (name, BY_PERSON, topic_id))
