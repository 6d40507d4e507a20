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
from render.layout.points import digest, read_points
from render.topics import clusters, documents, keyphrases, model_naming, naming, tree
from render.topics.asking import Request, TopicNamer
from render.topics.clusters import MAX_TOPICS
from render.topics.grouping import Ground, Grouping, group, read_ground, vectors_of
from render.topics.model_naming import TextEncoder
from render.topics.tree import BY_KEY_PHRASES, BY_PERSON, Place, Topic, Tree

__all__ = ["TextEncoder", "TopicNamer", "TopicsResult", "ensure", "expected", "planned_calls"]

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
class _Naming:
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


def input_hash_of(conn: sqlite3.Connection, layout_id: int, *, by_model: bool, max_topics: int) -> str:
    """The hash of what a tree is made from. Likes and downloads are not part of it."""
    given = {**parameters(max_topics), "layout": layout_id, "by_model": by_model}
    return digest(given, documents.fingerprints(conn, layout_id))


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
    before = tree.newest(conn, with_topics=False)
    input_hash = input_hash_of(conn, layout_id, by_model=namer is not None, max_topics=max_topics)
    if before is not None and before.tree_id is not None:
        holds = {input_hash}
        if namer is None:
            # Names by a model are better than ours: they stay when there is no model this time.
            holds.add(input_hash_of(conn, layout_id, by_model=True, max_topics=max_topics))
        if before.input_hash in holds:
            count, layers = tree.size(conn, before.tree_id)
            emit(PassFinished("topics", time.monotonic() - started, skipped=True, detail=f"{count} topics"))
            return TopicsResult(before.tree_id, layers, count, True)
    ground = read_ground(conn, layout_id)
    old = tree.newest(conn)
    found = group(conn, ground, old, parameters(max_topics), max_topics)
    kept = _keep_names(found, better=namer is not None and not (old and old.asked))
    emit(StageGrew("topics", len(found.topics)))
    unanswered = _name(conn, ground, found, kept, _Naming(namer, text_encoder, ranked_by, max_topics, emit))
    if unanswered:
        # As if there had been no model, so that the next pass with one does not take this tree for finished.
        input_hash = input_hash_of(conn, layout_id, by_model=False, max_topics=max_topics)
    asked = namer is not None and not unanswered
    made = Tree(layout_id, input_hash, parameters(max_topics), found.made_by, found.changed, found.topics, asked=asked)
    tree_id = tree.store(conn, made, run_id)
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


def planned_calls(conn: sqlite3.Connection, *, max_topics: int = MAX_TOPICS) -> int:
    """How many naming calls the next `ensure` with a namer would make, without making any.

    Exact where the layout is up to date; an estimate by size where it is still to come. Names that do not pass
    the checks are asked for once more, within `max_topics` calls in all; that is not counted here.
    """
    layout_id = conn.execute("SELECT max(layout_id) FROM layout").fetchone()[0]
    points = read_points(conn)
    texts = dict(conn.execute("SELECT dataset_id, input_hash FROM position WHERE layout_id = ?", (layout_id,)))
    if not len(points) or texts != dict(zip(points.ids, points.input_hashes, strict=True)):
        return expected(len(points), max_topics)
    old = tree.newest(conn)
    if old is not None and old.input_hash == input_hash_of(conn, layout_id, by_model=True, max_topics=max_topics):
        return 0
    found = group(conn, read_ground(conn, layout_id), old, parameters(max_topics), max_topics)
    if len(found.topics) == 1:
        return 0
    kept = _keep_names(found, better=not (old and old.asked))
    parts = Counter(t.parent for t in found.topics)
    # A topic with a single part bears that part's name.
    return sum(t.place not in kept and parts[t.place] != 1 for t in found.topics)


def _keep_names(found: Grouping, *, better: bool) -> dict[Place, str]:
    """Give topics that live on their ids, and their names where these stand; returns the names that do.

    A model's or a person's name always stands, one from key phrases unless a model may know a better one: it has
    not been asked yet.
    """
    kept: dict[Place, str] = {}
    taken: set[tuple[int, str]] = set()
    # A person's name goes before an equal one that a model or key phrases gave.
    for topic in sorted(found.topics, key=lambda t: not _by_person(found.continued.get(t.place))):
        before = found.continued.get(topic.place)
        topic.lasting_id = None if before is None else before.lasting_id
        if before is None or (better and before.named_by == BY_KEY_PHRASES):
            continue
        key = (topic.place[0], naming.folded(before.name))
        if key not in taken:
            taken.add(key)
            topic.name, topic.named_by, topic.key_phrases = before.name, before.named_by, before.key_phrases
            kept[topic.place] = before.name
    return kept


def _by_person(topic: Topic | None) -> bool:
    return topic is not None and topic.named_by == BY_PERSON


def _name(
    conn: sqlite3.Connection, ground: Ground, found: Grouping, kept: dict[Place, str], who: _Naming
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
    request = Request(
        documents=read,
        vectors=vectors_of(conn, ground),
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
