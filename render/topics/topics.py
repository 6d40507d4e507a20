"""The topics pass: groups of neighbouring datasets in layers, each with a name that stays while it lives."""

from __future__ import annotations

import math
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import CONCERNS_ALL, HfmapError, PassError, ProviderError
from engine.events import ItemDone, ItemFailed, PassFinished, PassStarted, StageGrew, Subscriber
from engine.store.layouts import read_newest_layout, read_points, read_positions
from engine.store.topics import (
    BY_KEY_PHRASES,
    BY_PERSON,
    Topic,
    TopicPlace,
    TopicTree,
    count_topics,
    insert_tree,
    read_fingerprints,
    read_newest_tree,
)
from render.layout.layout import digest
from render.topics import clusters, documents, grouping, keyphrases, model_naming, naming
from render.topics.clusters import MAX_TOPICS
from render.topics.grouping import Ground, Grouping
from render.topics.model_naming import TextEncoder, TopicNamer, UnnamedTree
from render.topics.wording import folded

__all__ = ["TextEncoder", "TopicNamer", "TopicsPlan", "TopicsResult", "ensure", "expected", "plan"]

_VERSION = 3
# Topics found at 160, 424 and 5,000 real cards: 16, 37 and 217 to 235. Below a hundred there are fewer than this gives.
_TOPICS, _TOPICS_POWER = 0.4, 0.745


@dataclass(frozen=True, slots=True)
class TopicsResult:
    """What the pass did.

    `named` counts the topics that got a new name, `kept` those that keep theirs. `unanswered` of the new names are
    from key phrases because the model could not be asked; the next pass with a model asks for them. `error` is why
    it was asked no more, if there was such a reason.
    """

    tree_id: int
    layers: int
    topics: int
    skipped: bool
    named: int = 0
    kept: int = 0
    unanswered: int = 0
    error: HfmapError | None = None


@dataclass(frozen=True, slots=True)
class TopicsPlan:
    """What the pass would do with a model: the names it would ask for, those that stand, and whether nothing changed.

    Names that do not pass the checks are asked for once more, within the most topics in all; that is not counted.
    """

    calls: int
    kept: int = 0
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What the tree of a layout is made from, read once. Likes and downloads are not part of it."""

    layout_id: int
    max_topics: int
    fingerprints: Sequence[tuple[object, ...]]

    def hash(self, *, by_model: bool) -> str:
        """The input hash of a tree whose names a model was asked for, or was not."""
        given = {**parameters(self.max_topics), "layout": self.layout_id, "by_model": by_model}
        return digest(given, self.fingerprints)


@dataclass(frozen=True, slots=True)
class _Means:
    """Who names, and with what."""

    namer: TopicNamer | None
    encoder: TextEncoder | None
    ranked_by: str
    max_topics: int
    emit: Subscriber

    def names(self, topics: Sequence[str]) -> None:
        for name in topics:
            self.emit(ItemDone("topics", name))


def parameters(max_topics: int) -> dict[str, Any]:
    """Everything topics depend on besides the layout, the documents and who names them."""
    return {
        "version": _VERSION,
        "clusters": clusters.parameters(max_topics),
        "lowest_detail_level": model_naming.LOWEST_DETAIL,
        "highest_detail_level": model_naming.HIGHEST_DETAIL,
        "excerpt": documents.EXCERPT_CHARS,
    }


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
        layout_id: the layout, as `render.layout.layout.ensure` gives it.
        namer: the model that names new topics; without one, names are made from key phrases.
        emit: takes the events of the pass; one item is one topic.
        text_encoder: vectors of topic names; needed with a namer.
        max_topics: the most topics in all layers, and so the most naming calls.
        ranked_by: the signal that chose the datasets, for the description of the corpus in prompts.

    Raises:
        PassError: the layout has no points, or there is a namer and no text_encoder.
    """
    started = time.monotonic()
    emit(PassStarted("topics"))
    if namer is not None and text_encoder is None:
        raise PassError("Naming topics with a model needs an encoder of short texts.")
    inputs = _Inputs(layout_id, max_topics, read_fingerprints(conn, layout_id))
    before = read_newest_tree(conn, with_topics=False)
    input_hash = inputs.hash(by_model=namer is not None)
    # Names by a model are better than ours: they stay when there is no model this time.
    holds = {input_hash} if namer is not None else {input_hash, inputs.hash(by_model=True)}
    if before is not None and before.tree_id is not None and before.input_hash in holds:
        count, layers = count_topics(conn, before.tree_id)
        emit(PassFinished("topics", time.monotonic() - started, skipped=True, detail=f"{count} topics"))
        return TopicsResult(before.tree_id, layers, count, True)
    ground = grouping.read_ground(conn, layout_id)
    found, kept = _group(conn, ground, max_topics, by_model=namer is not None)
    emit(StageGrew("topics", len(found.topics)))
    unanswered = _name(conn, ground, found, kept, _Means(namer, text_encoder, ranked_by, max_topics, emit))
    if unanswered:
        # As if there had been no model, so that the next pass with one does not take this tree for finished.
        input_hash = inputs.hash(by_model=False)
    asked = namer is not None and not unanswered
    made = TopicTree(
        layout_id, input_hash, parameters(max_topics), found.made_by, found.changed, found.topics, asked=asked
    )
    tree_id = insert_tree(conn, made, run_id)
    named = len(made.topics) - len(kept)
    detail = f"{len(made.topics)} topics in {made.layers} layers, {named} newly named"
    if namer is not None:
        local = sum(t.named_by == BY_KEY_PHRASES for t in made.topics)
        detail += f", {local} of all from key phrases" if local else ""
    emit(PassFinished("topics", time.monotonic() - started, skipped=False, detail=detail))
    error = next((e for e in unanswered if isinstance(e, CONCERNS_ALL)), None)
    return TopicsResult(tree_id, made.layers, len(made.topics), False, named, len(kept), len(unanswered), error)


def expected(points: int, max_topics: int) -> int:
    """How many topics a map of so many points is likely to have, before there is a layout."""
    return min(max_topics, round(_TOPICS * math.pow(points, _TOPICS_POWER)))


def plan(conn: sqlite3.Connection | None, *, points: int, changed: int = 0, max_topics: int = MAX_TOPICS) -> TopicsPlan:
    """What the next `ensure` with a model would do, without doing it.

    Exact where nothing changes and the layout is up to date. If little changes, topics are carried over; else the map
    may be clustered anew, and then at most all topics are named.

    Args:
        conn: a database with the map before, or None where it counts for nothing: a first map, or one laid out anew.
        points: the datasets that will be on the map.
        changed: how many of them will have come or changed, or will have gone.
        max_topics: as for `ensure`.
    """
    if points < clusters.FEWEST_POINTS:
        return TopicsPlan(0)
    before = None if conn is None else read_newest_tree(conn, with_topics=False)
    if conn is not None and changed == 0:
        return _plan_unchanged(conn, before, points, max_topics)
    few = grouping.CARRY_SHARE * points
    if conn is not None and before is not None and before.tree_id is not None and before.changed + changed <= few:
        count, _ = count_topics(conn, before.tree_id)
        local, _ = (0, 0) if before.asked else count_topics(conn, before.tree_id, named_by=BY_KEY_PHRASES)
        return TopicsPlan(min(max_topics, local), count - local)
    return TopicsPlan(expected(points, max_topics))


def _plan_unchanged(conn: sqlite3.Connection, before: TopicTree | None, points: int, max_topics: int) -> TopicsPlan:
    layout, now = read_newest_layout(conn), read_points(conn)
    texts = {} if layout is None else {p.dataset_id: p.input_hash for p in read_positions(conn, layout.layout_id)}
    if layout is None or texts != dict(zip(now.ids, now.input_hashes, strict=True)):
        return TopicsPlan(expected(points, max_topics))
    inputs = _Inputs(layout.layout_id, max_topics, read_fingerprints(conn, layout.layout_id))
    if before is not None and before.tree_id is not None and before.input_hash == inputs.hash(by_model=True):
        return TopicsPlan(0, count_topics(conn, before.tree_id)[0], skipped=True)
    found, kept = _group(conn, grouping.read_ground(conn, layout.layout_id), max_topics, by_model=True)
    if len(found.topics) == 1:
        return TopicsPlan(0, len(kept))
    parts = Counter(t.parent for t in found.topics)
    # A topic with a single part bears that part's name.
    return TopicsPlan(sum(t.place not in kept and parts[t.place] != 1 for t in found.topics), len(kept))


def _group(
    conn: sqlite3.Connection, ground: Ground, max_topics: int, *, by_model: bool
) -> tuple[Grouping, dict[TopicPlace, str]]:
    """The topics of a layout, and the names of those that keep theirs."""
    old = read_newest_tree(conn)
    found = grouping.group(conn, ground, old, parameters(max_topics), max_topics)
    return found, _keep_names(found, better=by_model and not (old and old.asked))


def _keep_names(found: Grouping, *, better: bool) -> dict[TopicPlace, str]:
    """Give topics that live on their ids, and their names where these stand; returns the names that do.

    A model's or a person's name always stands, one from key phrases unless a model may know a better one: it has
    not been asked yet.
    """
    kept: dict[TopicPlace, str] = {}
    taken: set[tuple[int, str]] = set()
    # A person's name goes before an equal one that a model or key phrases gave.
    for topic in sorted(found.topics, key=lambda t: not _by_person(found.continued.get(t.place))):
        before = found.continued.get(topic.place)
        topic.lasting_id = None if before is None else before.lasting_id
        if before is None or (better and before.named_by == BY_KEY_PHRASES):
            continue
        key = (topic.place[0], folded(before.name))
        if key not in taken:
            taken.add(key)
            topic.name, topic.named_by, topic.key_phrases = before.name, before.named_by, before.key_phrases
            kept[topic.place] = before.name
    return kept


def _by_person(topic: Topic | None) -> bool:
    return topic is not None and topic.named_by == BY_PERSON


def _name(
    conn: sqlite3.Connection, ground: Ground, found: Grouping, kept: dict[TopicPlace, str], who: _Means
) -> list[HfmapError]:
    """Name the topics whose names do not stand; returns, for each of which the model could not be asked, why."""
    who.names(list(kept.values()))
    if len(kept) == len(found.topics):
        return []
    read = documents.read_documents(conn, ground.layout_id)
    vocabulary = keyphrases.vocabulary(read)
    by_place = {t.place: t for t in found.topics}
    row_of = {dataset_id: row for row, dataset_id in enumerate(ground.ids)}

    def exemplar(layer: int, number: int) -> int:
        return row_of[by_place[layer, number].exemplars[0]]

    local = naming.name_layers(read, vocabulary, found.layers, found.parents, exemplar, kept)
    new: list[Topic] = [t for t in found.topics if t.place not in kept]
    for topic in found.topics:
        given = local[topic.place[0]][topic.place[1]]
        topic.key_phrases = given.key_phrases
        if topic.place not in kept:
            topic.name, topic.named_by = given.name, BY_KEY_PHRASES
    if who.namer is None or who.encoder is None or len(found.topics) == 1:
        who.names([t.name for t in new])
        return []
    request = UnnamedTree(
        documents=read,
        vectors=grouping.vectors_of(conn, ground),
        layers=found.layers,
        parents=found.parents,
        kept=kept,
        spare=local,
        corpus=f"collection of the top {len(read):,} HuggingFace datasets ranked by {who.ranked_by}",
        most_calls=who.max_topics,
    )
    answers = model_naming.name_layers(request, who.namer, who.encoder, on_named=who.names)
    for topic in new:
        name, by_model = answers.names[topic.place[0]][topic.place[1]]
        topic.name, topic.named_by = name, who.namer.model if by_model else BY_KEY_PHRASES
        error = answers.unanswered.get(topic.place)
        if error is not None and not isinstance(error, CONCERNS_ALL):
            attempts = error.attempts if isinstance(error, ProviderError) else 1
            who.emit(ItemFailed("topics", name, str(error), attempts, permanent=False))
    return list(answers.unanswered.values())
