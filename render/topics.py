"""The topics pass: groups of neighbouring datasets in layers, each with a name that stays while it lives."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import PassError
from engine.events import ItemDone, PassFinished, PassStarted, StageGrew, Subscriber
from render import clusters, keyphrases, lineage, model_naming, naming, topic_documents, tree
from render.clusters import MAX_TOPICS, Labels
from render.model_naming import TextEncoder, TopicNamer
from render.neighbors import unit_rows
from render.points import Points, digest, read_points, read_vectors
from render.tree import BY_KEY_PHRASES, Topic, Tree

__all__ = ["TextEncoder", "TopicNamer", "TopicsResult", "ensure", "planned_calls"]

_VERSION = 1
_EXEMPLARS = 5
# Topics a point, for a rough count before there is a layout: 235 topics at 5,000 points with the reference values.
_TOPICS_PER_POINT = 235 / 5000


@dataclass(frozen=True, slots=True)
class TopicsResult:
    """What the pass did. `named` counts the topics that got a new name, `kept` those that live on."""

    tree_id: int
    layers: int
    topics: int
    skipped: bool
    named: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True)
class _Ground:
    """The layout that topics are found on; arrays have one row a dataset, ordered by repository id."""

    layout_id: int
    ids: list[int]
    texts: dict[int, str]
    """Input hashes by dataset_id."""
    plane: NDArray[np.float64]


def parameters(max_topics: int) -> dict[str, Any]:
    """Everything topics depend on besides the layout, the documents and who names them."""
    return {
        "version": _VERSION,
        "clusters": clusters.parameters(max_topics),
        "lowest_detail_level": model_naming.LOWEST_DETAIL,
        "highest_detail_level": model_naming.HIGHEST_DETAIL,
        "excerpt": topic_documents.EXCERPT_CHARS,
    }


def input_hash_of(conn: sqlite3.Connection, layout_id: int, *, by_model: bool, max_topics: int) -> str:
    """The hash of what a tree is made from. Likes and downloads are not part of it."""
    given = {**parameters(max_topics), "layout": layout_id, "by_model": by_model}
    return digest(given, topic_documents.fingerprints(conn, layout_id))


def ensure(
    conn: sqlite3.Connection,
    *,
    run_id: int,
    layout_id: int,
    namer: TopicNamer | None,
    emit: Subscriber,
    text_encoder: TextEncoder | None = None,
    max_topics: int = MAX_TOPICS,
    ranked_by: str = "likes",
) -> TopicsResult:
    """Find and name the topics of a layout, or find that the newest tree still holds.

    Args:
        conn: a connection that may write; one transaction is made at the end.
        run_id: the run that the tree belongs to.
        layout_id: the layout, as `render.layout.ensure` gives it.
        namer: the model that names new topics; without one, names are made from key phrases.
        emit: takes the events of the pass; one item is one topic.
        text_encoder: vectors of key phrases; needed with a namer.
        max_topics: the most topics in all layers, and so the most naming calls.
        ranked_by: the signal that chose the datasets, for the description of the corpus in prompts.

    Raises:
        PassError: the layout has no points, or there is a namer and no text_encoder.
        HfmapError: whatever the namer raises; nothing is stored then.
    """
    started = time.monotonic()
    emit(PassStarted("topics"))
    if namer is not None and text_encoder is None:
        raise PassError("Naming topics with a model needs an encoder for their key phrases.")
    before = tree.newest(conn, with_topics=False)
    input_hash = input_hash_of(conn, layout_id, by_model=namer is not None, max_topics=max_topics)
    if before is not None and before.tree_id is not None:
        holds = {input_hash}
        if namer is None:
            # Names by a model are better than ours: they stay when there is no model this time.
            holds.add(input_hash_of(conn, layout_id, by_model=True, max_topics=max_topics))
        if before.input_hash in holds:
            (count, layers) = conn.execute(
                "SELECT count(*), count(DISTINCT layer) FROM topic WHERE tree_id = ?", (before.tree_id,)
            ).fetchone()
            emit(PassFinished("topics", time.monotonic() - started, skipped=True, detail=f"{count} topics"))
            return TopicsResult(before.tree_id, layers, count, True)
    ground = _ground(conn, layout_id)
    old = tree.newest(conn)
    made = Tree(layout_id, input_hash, parameters(max_topics), "clustered", 0)
    named = 0
    carried = None if old is None else _carry(conn, old, ground, made, namer)
    if carried is not None:
        made = carried
    else:
        named = _cluster_and_name(
            conn, old, ground, made, namer=namer, encoder=text_encoder, emit=emit, max_topics=max_topics,
            ranked_by=ranked_by,
        )  # fmt: skip
    tree_id = tree.store(conn, made, run_id)
    detail = f"{len(made.topics)} topics in {made.layers} layers, {named} newly named"
    emit(PassFinished("topics", time.monotonic() - started, skipped=False, detail=detail))
    return TopicsResult(tree_id, made.layers, len(made.topics), False, named, len(made.topics) - named)


def planned_calls(conn: sqlite3.Connection, *, max_topics: int = MAX_TOPICS) -> int:
    """How many naming calls the next `ensure` with a namer would make, without making any.

    Exact for the layout there is, if it is the newest; an estimate by size where the layout is still to come.
    Names that do not pass the checks are asked for once more, which is not counted here.
    """
    row = conn.execute("SELECT max(layout_id) FROM layout").fetchone()
    points = read_points(conn)
    layout_id = row[0]
    if layout_id is None or not _is_layout_of(conn, layout_id, points):
        return min(max_topics, round(_TOPICS_PER_POINT * len(points)))
    before = tree.newest(conn)
    if before is not None and before.input_hash == input_hash_of(conn, layout_id, by_model=True, max_topics=max_topics):
        return 0
    ground = _ground(conn, layout_id)
    if before is not None:
        made = Tree(layout_id, "", parameters(max_topics), "clustered", 0)
        if _carry(conn, before, ground, made, None, renaming=True) is not None:
            return 0
    layers = clusters.find(ground.plane, max_topics)
    if len(layers) == 1 and int(layers[0].max(initial=-1)) == 0:
        return 0
    above = clusters.parents(layers)
    topics = _topics(conn, ground, layers, above)
    continued = {} if before is None else lineage.match(before.topics, topics, _unchanged(conn, before, ground))
    children: dict[tuple[int, int], int] = {}
    for topic in topics:
        if topic.parent is not None:
            children[topic.parent] = children.get(topic.parent, 0) + 1
    return sum(not (_keeps_name(continued.get(t.place), by_model=True) or children.get(t.place) == 1) for t in topics)


def _is_layout_of(conn: sqlite3.Connection, layout_id: int, points: Points) -> bool:
    texts = dict(conn.execute("SELECT dataset_id, input_hash FROM position WHERE layout_id = ?", (layout_id,)))
    return texts == dict(zip(points.ids, points.input_hashes, strict=True))


def _ground(conn: sqlite3.Connection, layout_id: int) -> _Ground:
    rows = conn.execute(
        "SELECT p.dataset_id, p.input_hash, p.x, p.y FROM position p"
        " JOIN dataset d ON d.dataset_id = p.dataset_id WHERE p.layout_id = ? ORDER BY d.repo_id",
        (layout_id,),
    ).fetchall()
    if not rows:
        raise PassError(f"Layout {layout_id} has no points.", hint="Run `hfmap map --relayout`.")
    return _Ground(
        layout_id=layout_id,
        ids=[row[0] for row in rows],
        texts={row[0]: row[1] for row in rows},
        plane=np.array([row[2:] for row in rows], dtype=np.float64),
    )


def _unchanged(conn: sqlite3.Connection, old: Tree, ground: _Ground) -> set[int]:
    """Datasets whose text is the same as when the old tree was made."""
    rows = conn.execute("SELECT dataset_id, input_hash FROM position WHERE layout_id = ?", (old.layout_id,))
    return {dataset_id for dataset_id, text in rows if ground.texts.get(dataset_id) == text}


def _keeps_name(old: Topic | None, *, by_model: bool) -> bool:
    """Whether a topic that lives on keeps its name: a model's or a person's always, ours if no model names."""
    return old is not None and (not by_model or old.named_by != BY_KEY_PHRASES)


def _carry(
    conn: sqlite3.Connection,
    old: Tree,
    ground: _Ground,
    made: Tree,
    namer: TopicNamer | None,
    *,
    renaming: bool = False,
) -> Tree | None:
    """The old tree over the new layout, where so little has moved that its topics still hold."""
    by_model = namer is not None or renaming
    if old.parameters != made.parameters or not all(_keeps_name(t, by_model=by_model) for t in old.topics):
        return None
    places = {i: (x, y) for i, (x, y) in zip(ground.ids, ground.plane.tolist(), strict=True)}
    rows = conn.execute("SELECT dataset_id, x, y FROM position WHERE layout_id = ?", (old.layout_id,)).fetchall()
    kept = {i for i, x, y in rows if places.get(i) == (x, y)}
    gone = sum(i not in places for i, _, _ in rows)
    changed = old.changed + gone + len(places) - len(kept)
    if not kept or changed > lineage.CARRY_SHARE * len(places):
        return None
    topics = lineage.carry(old, places, kept)
    return Tree(made.layout_id, made.input_hash, made.parameters, "carried", changed, topics) if topics else None


def _cluster_and_name(
    conn: sqlite3.Connection,
    old: Tree | None,
    ground: _Ground,
    made: Tree,
    *,
    namer: TopicNamer | None,
    encoder: TextEncoder | None,
    emit: Subscriber,
    max_topics: int,
    ranked_by: str,
) -> int:
    """Fill a tree with topics; returns how many names are new."""
    layers = clusters.find(ground.plane, max_topics)
    above = clusters.parents(layers)
    made.topics = _topics(conn, ground, layers, above)
    by_place = {t.place: t for t in made.topics}
    emit(StageGrew("topics", len(made.topics)))
    continued = {} if old is None else lineage.match(old.topics, made.topics, _unchanged(conn, old, ground))
    kept: dict[tuple[int, int], str] = {}
    for place, before in sorted(continued.items(), key=lambda item: item[0]):
        topic = by_place[place]
        topic.lasting_id = before.lasting_id
        if _keeps_name(before, by_model=namer is not None) and not any(
            p[0] == place[0] and naming.folded(n) == naming.folded(before.name) for p, n in kept.items()
        ):
            topic.name, topic.named_by, kept[place] = before.name, before.named_by, before.name
    papers = topic_documents.read_documents(conn, ground.layout_id)
    words = keyphrases.vocabulary(papers)
    row_of = {dataset_id: row for row, dataset_id in enumerate(ground.ids)}

    def exemplar(layer: int, group: int) -> int:
        return row_of[by_place[layer, group].exemplars[0]]

    def named(names: Sequence[str]) -> None:
        for name in names:
            emit(ItemDone("topics", name))

    local = naming.name_layers(papers, words, layers, above, exemplar, kept)
    for topic in made.topics:
        given = local[topic.place[0]][topic.place[1]]
        topic.key_phrases = given.key_phrases
        if topic.place not in kept:
            topic.name, topic.named_by = given.name, BY_KEY_PHRASES
    if namer is None or encoder is None or len(made.topics) == 1:
        named([t.name for t in made.topics])
    else:
        request = model_naming.Request(
            documents=papers,
            vocabulary=words,
            vectors=_vectors(conn, ground),
            layers=layers,
            kept=kept,
            spare=local,
            corpus=f"collection of the top {len(papers):,} HuggingFace datasets ranked by {ranked_by}",
            most_calls=max_topics,
        )
        answers = model_naming.name_layers(request, namer, encoder, on_named=named)
        for topic in made.topics:
            name, by_model, phrases = answers[topic.place[0]][topic.place[1]]
            if topic.place not in kept:
                topic.name, topic.named_by = name, namer.model if by_model else BY_KEY_PHRASES
            topic.key_phrases = phrases or topic.key_phrases
    return len(made.topics) - len(kept)


def _vectors(conn: sqlite3.Connection, ground: _Ground) -> NDArray[np.float32]:
    """Vectors in the order of the layout's points; zeros for a dataset that has lost its own since."""
    points = read_points(conn)
    vectors = read_vectors(conn, points)
    if points.ids == ground.ids:
        return vectors
    row_of = {dataset_id: row for row, dataset_id in enumerate(points.ids)}
    placed = np.zeros((len(ground.ids), vectors.shape[1]), dtype=np.float32)
    for row, dataset_id in enumerate(ground.ids):
        if dataset_id in row_of:
            placed[row] = vectors[row_of[dataset_id]]
    return placed


def _topics(
    conn: sqlite3.Connection,
    ground: _Ground,
    layers: list[Labels],
    above: list[list[tuple[int, int] | None]],
) -> list[Topic]:
    """Topics without names: places, parents, members, and the datasets nearest the middle of each."""
    vectors = unit_rows(_vectors(conn, ground))
    topics = []
    for layer, labels in enumerate(layers):
        for group, parent in enumerate(above[layer]):
            rows = np.flatnonzero(labels == group)
            middle = vectors[rows].mean(axis=0)
            # Rounded, so that equal cards come in the order of their ids.
            nearness = np.round(vectors[rows] @ middle, 5)
            typical = rows[np.argsort(-nearness, kind="stable")[:_EXEMPLARS]]
            topics.append(
                Topic(
                    place=(layer, group),
                    name="",
                    named_by=BY_KEY_PHRASES,
                    key_phrases=[],
                    exemplars=[ground.ids[row] for row in typical.tolist()],
                    parent=parent,
                    members=[ground.ids[row] for row in rows.tolist()],
                )
            )
    return topics
