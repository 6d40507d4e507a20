"""Read what the map page shows: its datasets and topics, what is claimed of each card, and how the map was made."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.store.views import taxonomy_in_force
from taxonomy.model import Taxonomy

_POINTS = """
SELECT d.dataset_id, v.repo_id, v.name, v.pretty_name, v.summary, v.license, v.likes, v.downloads, v.created_at,
    v.last_modified, v.x, v.y, d.first_seen_run, c.stored_run, c.stored_at{columns}
FROM datasets v JOIN dataset d ON d.repo_id = v.repo_id LEFT JOIN card c ON c.dataset_id = d.dataset_id
WHERE v.on_map = 1 AND v.x IS NOT NULL AND v.y IS NOT NULL
ORDER BY v.repo_id
"""
_NEWEST_TREE = "(SELECT max(tree_id) FROM topic_tree)"
_CLAIMS = """
SELECT c.dataset_id, c.field, c.value, c.quote, c.verified, c.origin, c.model
FROM dataset d JOIN claim c ON c.dataset_id = d.dataset_id WHERE d.on_map = 1 ORDER BY c.dataset_id, c.field
"""


class MapPoint(NamedTuple):
    """A dataset on the map with its position in the newest layout.

    first_seen_run, stored_run: the runs that first listed it, and that stored its card. values: of the columns of the
    view `datasets` that were asked for, in their order.
    """

    dataset_id: int
    repo_id: str
    name: str
    pretty_name: str | None
    summary: str | None
    license: str | None
    likes: int | None
    downloads: int | None
    created_at: str | None
    last_modified: str | None
    x: float
    y: float
    first_seen_run: int | None
    stored_run: int | None
    stored_at: str | None
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class MapTopic:
    """A topic of the newest tree; layer 0 is the coarsest, `members` are dataset_ids."""

    topic_id: int
    name: str
    layer: int
    parent_id: int | None
    members: tuple[int, ...]


class Claim(NamedTuple):
    """What is claimed of a field of a dataset, a person's correction first; a row of the view `claim`. `value` is JSON."""

    dataset_id: int
    field: str
    value: str | None
    quote: str | None
    verified: int
    origin: str
    model: str | None


# There are many, and plain tuples of texts and numbers cost the garbage collector nothing.
ClaimRow = tuple[int, str, str | None, str | None, int, str, str | None]


def view_columns(conn: sqlite3.Connection) -> frozenset[str]:
    """Return the columns that the view `datasets` has now."""
    return frozenset(column[1] for column in conn.execute("PRAGMA table_info(datasets)"))


def map_points(conn: sqlite3.Connection, columns: Sequence[str]) -> list[MapPoint]:
    """Read the datasets on the map that have a position, with these columns of the view, ordered by repo_id."""
    more = "".join(f', v."{name}"' for name in columns)
    return [MapPoint._make((*row[:15], row[15:])) for row in conn.execute(_POINTS.format(columns=more))]


def map_topics(conn: sqlite3.Connection) -> list[MapTopic]:
    """Read the newest topic tree, the coarsest layer first."""
    rows = conn.execute(
        f"SELECT topic_id, name, layer, parent_id FROM topic WHERE tree_id = {_NEWEST_TREE} ORDER BY layer, topic_id"
    ).fetchall()
    members: dict[int, list[int]] = {row[0]: [] for row in rows}
    for topic_id, dataset_id in conn.execute(
        f"SELECT topic_id, dataset_id FROM topic_member WHERE tree_id = {_NEWEST_TREE}"
    ):
        if topic_id in members:
            members[topic_id].append(dataset_id)
    return [MapTopic(*(*row, tuple(members[row[0]]))) for row in rows]


def map_claims(conn: sqlite3.Connection) -> Iterator[ClaimRow]:
    """Yield what is claimed of the datasets on the map, ordered by dataset_id and field; `Claim._make` names the parts."""
    return conn.execute(_CLAIMS)


def map_neighbors(conn: sqlite3.Connection) -> Iterator[tuple[int, int, float]]:
    """Yield (dataset_id, neighbor_id, cosine distance) of the newest layout, the nearest of each dataset first."""
    return conn.execute("SELECT dataset_id, neighbor_id, distance FROM neighbor ORDER BY dataset_id, place")


def card_hashes(conn: sqlite3.Connection) -> Iterator[tuple[int, str]]:
    """Yield the (dataset_id, input_hash) of every card of a dataset on the map, in order."""
    return conn.execute(
        "SELECT d.dataset_id, c.input_hash FROM dataset d JOIN card c ON c.dataset_id = d.dataset_id"
        " WHERE d.on_map = 1 ORDER BY d.dataset_id"
    )


def card_beginnings(conn: sqlite3.Connection, dataset_ids: Iterable[int], characters: int) -> Iterator[tuple[int, str]]:
    """Yield the (dataset_id, text) of the cards of these datasets, cut to so many characters."""
    return conn.execute(
        "SELECT dataset_id, substr(text, 1, ?) FROM card WHERE dataset_id IN (SELECT value FROM json_each(?))",
        (characters, json.dumps(list(dataset_ids))),
    )


class StageSpec(NamedTuple):
    """What a stage's results are made with. `parameters` are JSON values."""

    provider: str
    model: str
    parameters: dict[str, Any]


class Made(NamedTuple):
    """How many datasets on the map have a result of a provider's model."""

    provider: str
    model: str
    datasets: int


class QuoteCount(NamedTuple):
    """Of a field on the map: the answers, those with a quote, and those whose quote is in the card."""

    field: str
    answers: int
    quoted: int
    verified: int


class StageSpending(NamedTuple):
    """What a model cost at a stage, over all runs; `input_tokens` with those written to and read from a cache."""

    stage: str
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    usd: float


@dataclass(frozen=True, slots=True)
class MapFacts:
    """How the map was made. Every list is in a fixed order, so that pages are reproducible.

    source, settings: of the newest sync; None and {} before the first. specs: by stage, those in force. made: by
    stage, who made the results on the map. layout, topics: parameters of the newest layout and topic tree. placed:
    datasets set beside their neighbours since the last full fit. layers: (layer, topics). named_by: (who, topics).
    cards: (status, datasets).
    """

    taxonomy: Taxonomy
    source: str | None
    settings: Mapping[str, Any]
    specs: Mapping[str, StageSpec]
    made: Mapping[str, list[Made]]
    layout: Mapping[str, Any]
    placed: int
    topics: Mapping[str, Any]
    layers: list[tuple[int, int]]
    named_by: list[tuple[str, int]]
    quotes: list[QuoteCount]
    cards: list[tuple[str, int]]
    spending: list[StageSpending]


def map_facts(conn: sqlite3.Connection) -> MapFacts:
    """Read how the map was made."""
    source, settings = newest_sync(conn)
    made: dict[str, list[Made]] = {}
    for stage, *row in conn.execute(
        "SELECT i.stage, i.provider, i.model, count(*) FROM in_force i JOIN dataset d USING (dataset_id)"
        " WHERE d.on_map = 1 GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2, 3"
    ):
        made.setdefault(stage, []).append(Made(*row))
    specs = conn.execute(
        "SELECT s.stage, s.provider, s.model, s.parameters FROM current_spec c JOIN spec s USING (spec_id) ORDER BY 1"
    )
    layout = conn.execute(
        "SELECT l.parameters, (SELECT sum(placed) FROM position p WHERE p.layout_id = l.layout_id)"
        " FROM layout l ORDER BY l.layout_id DESC LIMIT 1"
    ).fetchone()
    tree = conn.execute("SELECT parameters FROM topic_tree ORDER BY tree_id DESC LIMIT 1").fetchone()
    topics = f"FROM topic WHERE tree_id = {_NEWEST_TREE}"
    return MapFacts(
        taxonomy=taxonomy_in_force(conn),
        source=source,
        settings=settings,
        specs={stage: StageSpec(provider, model, json.loads(text)) for stage, provider, model, text in specs},
        made=made,
        layout=json.loads(layout[0]) if layout else {},
        placed=(layout[1] or 0) if layout else 0,
        topics=json.loads(tree[0]) if tree else {},
        layers=conn.execute(f"SELECT layer, count(*) {topics} GROUP BY layer ORDER BY layer").fetchall(),
        named_by=conn.execute(f"SELECT named_by, count(*) {topics} GROUP BY named_by ORDER BY 2 DESC, 1").fetchall(),
        quotes=[
            QuoteCount(*row)
            for row in conn.execute(
                "SELECT q.field, count(*), sum(coalesce(q.quote, '') NOT IN ('', 'not_stated')), sum(q.verified)"
                " FROM quotes q JOIN dataset d USING (repo_id) WHERE d.on_map = 1 GROUP BY q.field ORDER BY q.field"
            )
        ],
        cards=conn.execute(
            "SELECT card_status, count(*) FROM dataset GROUP BY card_status ORDER BY 2 DESC, 1"
        ).fetchall(),
        spending=[
            StageSpending(*row)
            for row in conn.execute(
                "SELECT stage, model, sum(calls), sum(input_tokens + cache_write_tokens + cache_read_tokens),"
                " sum(output_tokens), round(sum(usd), 4) FROM spending GROUP BY stage, model ORDER BY stage, model"
            )
        ],
    )


def newest_sync(conn: sqlite3.Connection) -> tuple[str | None, dict[str, Any]]:
    """Return the source and the settings of the newest sync; None and nothing before the first."""
    row = conn.execute(
        "SELECT source, settings FROM run WHERE command = 'sync' ORDER BY run_id DESC LIMIT 1"
    ).fetchone()
    return (row[0] or "", json.loads(row[1])) if row else (None, {})
