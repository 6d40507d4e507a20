"""Tell the state of a database: what is fresh, stale and failed, what was spent, and the last runs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

LAST_RUNS = 5
MOST_REASONS = 10

# fresh + stale + failed = on_map for each enrichment stage: a card that failed and may be tried again stands
# in `todo` too, and is counted here as failed.
_ENRICHMENT = """
WITH lasting AS (
    SELECT g.stage, g.kind, g.dataset_id FROM given_up g
    JOIN current_spec cs ON cs.stage = g.stage AND cs.spec_id = g.spec_id
    JOIN dataset d ON d.dataset_id = g.dataset_id AND d.on_map = 1
    JOIN card c ON c.dataset_id = g.dataset_id AND c.input_hash = g.input_hash
    WHERE NOT EXISTS (SELECT 1 FROM result r WHERE r.spec_id = g.spec_id AND r.input_hash = g.input_hash)
)
SELECT cs.stage, s.provider, s.model,
    (SELECT count(*) FROM todo t WHERE t.stage = cs.stage) AS due,
    (SELECT count(*) FROM todo t JOIN failure f ON f.dataset_id = t.dataset_id AND f.stage = t.stage
     WHERE t.stage = cs.stage) AS due_failed,
    (SELECT count(*) FROM lasting l WHERE l.stage = cs.stage AND l.kind = 'permanent') AS permanent,
    (SELECT count(*) FROM lasting l WHERE l.stage = cs.stage AND l.kind <> 'permanent') AS parked
FROM current_spec cs JOIN spec s ON s.spec_id = cs.spec_id
ORDER BY CASE cs.stage WHEN 'embed' THEN 0 WHEN 'extract' THEN 1 ELSE 2 END
"""
_RUNS = """
SELECT run_id, command, source, started_at, finished_at, outcome, exit_code, counts, seconds AS stage_seconds,
    (SELECT coalesce(sum(usd), 0) FROM call c WHERE c.run_id = run.run_id) AS usd
FROM run ORDER BY run_id DESC LIMIT ?
"""
_FAILURES = """
SELECT stage, kind, reason, count(*) AS items,
    sum(kind = 'transient' AND EXISTS (
        SELECT 1 FROM given_up g WHERE g.dataset_id = failure.dataset_id AND g.stage = failure.stage)) AS parked
FROM failure GROUP BY 1, 2, 3 ORDER BY items DESC, 1, 2, 3 LIMIT ?
"""
_SPENT = """
SELECT model, sum(calls) AS calls,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cache_write_tokens) AS cache_write_tokens, sum(cache_read_tokens) AS cache_read_tokens,
    sum(usd) AS usd
FROM spending GROUP BY model ORDER BY usd DESC, model
"""
_SPENDING = "SELECT * FROM spending WHERE run > (SELECT max(run_id) FROM run) - ? ORDER BY run DESC, usd DESC, stage"
_QUOTES = """
SELECT field, count(*) AS quoted, sum(verified) AS verified FROM quotes
WHERE quote <> '' AND quote <> 'not_stated' GROUP BY field ORDER BY field
"""
_LAYOUT = """
SELECT layout_id, points, created_at, made_by, changed, quality,
    coalesce(parameters ->> '$.spec' <> (SELECT s.spec_hash FROM current_spec cs JOIN spec s USING (spec_id)
        WHERE cs.stage = 'embed'), 0) AS other_vectors,
    (SELECT count(*) FROM dataset d JOIN card c ON c.dataset_id = d.dataset_id
     WHERE d.on_map = 1 AND NOT EXISTS (
         SELECT 1 FROM position p
         WHERE p.layout_id = layout.layout_id AND p.dataset_id = d.dataset_id AND p.input_hash = c.input_hash)
    ) AS missing,
    (SELECT count(*) FROM position p JOIN dataset d ON d.dataset_id = p.dataset_id
     WHERE p.layout_id = layout.layout_id AND d.on_map = 0) AS gone
FROM layout ORDER BY layout_id DESC LIMIT 1
"""
_TOPICS = """
SELECT layout_id, layers, created_at, made_by, changed,
    layout_id < (SELECT max(layout_id) FROM layout) AS of_older_layout,
    (SELECT count(*) FROM topic t WHERE t.tree_id = topic_tree.tree_id) AS topics,
    (SELECT json_group_object(named_by, n) FROM (
        SELECT named_by, count(*) AS n FROM topic t WHERE t.tree_id = topic_tree.tree_id
        GROUP BY named_by ORDER BY named_by)) AS named_by
FROM topic_tree ORDER BY tree_id DESC LIMIT 1
"""
_PAGES = "SELECT path, created_at FROM artifact ORDER BY path"
_CARDS = "SELECT card_status, count(*) AS n FROM dataset GROUP BY 1 ORDER BY n DESC, 1"


@dataclass(frozen=True, slots=True)
class StageStatus:
    """An enrichment stage: fresh + stale + failed = datasets on the map.

    `failed` counts what may be tried again, what failed for good, and what was given up (`parked`) after failing
    in several runs in a row.
    """

    stage: str
    provider: str
    model: str
    fresh: int
    stale: int
    failed: int
    failed_for_good: int
    parked: int


@dataclass(frozen=True, slots=True)
class FailureReason:
    """Items that failed for one reason; `kind` is "transient" or "permanent", `parked` of them were given up."""

    stage: str
    kind: str
    reason: str
    items: int
    parked: int


@dataclass(frozen=True, slots=True)
class QuoteCheck:
    """How many values of a field have a quote, and how many of the quotes are in their cards."""

    field: str
    quoted: int
    verified: int


@dataclass(frozen=True, slots=True)
class LayoutStatus:
    """The newest layout, and how far the map has moved on since.

    `missing` datasets are on the map and not in it as they are now, `gone` ones the other way round; `other_vectors`:
    its vectors are of another embedder than the one in force; `refit_due`: the next pass lays all of it out again.
    """

    layout_id: int
    points: int
    created_at: str
    made_by: str
    changed: int
    quality: Mapping[str, Any]
    other_vectors: bool
    missing: int
    gone: int
    refit_due: bool


@dataclass(frozen=True, slots=True)
class TopicsStatus:
    """The newest topic tree; `named_by` counts topics by who named them."""

    layout_id: int
    layers: int
    created_at: str
    made_by: str
    changed: int
    of_older_layout: bool
    topics: int
    named_by: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """A page that was drawn from the database."""

    path: str
    created_at: str


@dataclass(frozen=True, slots=True)
class ModelSpending:
    """What all calls of a model cost; `cache_saved_usd` is None where the model's prices are not known."""

    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    usd: float
    cache_saved_usd: float | None


@dataclass(frozen=True, slots=True)
class RunSpending:
    """What one stage of one run spent on one model: a row of the view `spending`."""

    run: int
    stage: str
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    usd: float


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of the ledger; `seconds` is None while it is not finished, `stage_seconds` has them by stage."""

    run_id: int
    command: str
    source: str | None
    started_at: str
    finished_at: str | None
    outcome: str
    exit_code: int | None
    counts: Mapping[str, Any]
    stage_seconds: Mapping[str, Any]
    usd: float
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a database. Sizes are bytes, money is US dollars, times are ISO-8601 UTC.

    `cards` counts datasets by the status of their card; `spending` and `runs` are those of the last LAST_RUNS runs,
    newest first, `spent` and `usd` of all; `failures` are the MOST_REASONS commonest.
    """

    database: str
    bytes: int
    wal_bytes: int
    datasets: int
    listed: int
    on_map: int
    cards: Mapping[str, int]
    stages: tuple[StageStatus, ...]
    failures: tuple[FailureReason, ...]
    quotes: tuple[QuoteCheck, ...]
    layout: LayoutStatus | None
    topics: TopicsStatus | None
    pages: tuple[WrittenPage, ...]
    spent: tuple[ModelSpending, ...]
    usd: float
    spending: tuple[RunSpending, ...]
    runs: tuple[PastRun, ...]


def status(conn: sqlite3.Connection, path: Path | None = None) -> Status:
    """Tell what is fresh, stale and failed, what was spent, and the last runs.

    `path` is the database's as it is to be shown; the connection knows it, but in full.
    """
    if path is None:
        path = Path(conn.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()[0])
    wal = Path(f"{path}-wal")
    wal_bytes = wal.stat().st_size if wal.exists() else 0
    on_map = _number(conn, "SELECT count(*) FROM dataset WHERE on_map = 1")
    spent = tuple(_spent(row) for row in _rows(conn, _SPENT))
    return Status(
        database=str(path),
        bytes=path.stat().st_size + wal_bytes,
        wal_bytes=wal_bytes,
        datasets=_number(conn, "SELECT count(*) FROM dataset"),
        listed=_number(conn, "SELECT count(*) FROM dataset WHERE rank IS NOT NULL"),
        on_map=on_map,
        cards=dict(conn.execute(_CARDS)),
        stages=tuple(_stage(row, on_map) for row in _rows(conn, _ENRICHMENT)),
        failures=tuple(FailureReason(**row) for row in _rows(conn, _FAILURES, MOST_REASONS)),
        quotes=tuple(QuoteCheck(**row) for row in _rows(conn, _QUOTES)),
        layout=next((_layout(row) for row in _rows(conn, _LAYOUT)), None),
        topics=next((_topics(row) for row in _rows(conn, _TOPICS)), None),
        pages=tuple(WrittenPage(**row) for row in _rows(conn, _PAGES)),
        spent=spent,
        usd=sum(model.usd for model in spent),
        spending=tuple(RunSpending(**row) for row in _rows(conn, _SPENDING, LAST_RUNS)),
        runs=tuple(_run(row) for row in _rows(conn, _RUNS, LAST_RUNS)),
    )


def runs_to_give_up(conn: sqlite3.Connection) -> int:
    """Return how many runs in a row had to fail before something was given up (view `given_up`); 0 if nothing was."""
    return _number(conn, "SELECT coalesce(max(after_runs), 0) FROM given_up")


def _number(conn: sqlite3.Connection, query: str) -> int:
    return int(conn.execute(query).fetchone()[0])


def _rows(conn: sqlite3.Connection, query: str, *values: object) -> Iterator[dict[str, Any]]:
    cursor = conn.execute(query, values)
    names = [column[0] for column in cursor.description]
    return (dict(zip(names, row, strict=True)) for row in cursor)


def _stage(row: dict[str, Any], on_map: int) -> StageStatus:
    stale = row["due"] - row["due_failed"]
    failed = row["due_failed"] + row["permanent"] + row["parked"]
    return StageStatus(
        stage=row["stage"],
        provider=row["provider"],
        model=row["model"],
        fresh=on_map - stale - failed,
        stale=stale,
        failed=failed,
        failed_for_good=row["permanent"],
        parked=row["parked"],
    )


def _spent(row: dict[str, Any]) -> ModelSpending:
    """Add what reading from the cache saved: the difference between the prices of fresh and of cached input."""
    saved: float | None = 0.0
    if read := row["cache_read_tokens"]:
        from engine.providers import list_price

        price = list_price(row["model"])
        saved = None if price is None else read * (price.input - price.cache_read) / 1_000_000
    return ModelSpending(**row, cache_saved_usd=saved)


def _layout(row: dict[str, Any]) -> LayoutStatus:
    from engine.store.layouts import refit_at

    stale = row["changed"] + row["missing"] + row["gone"]
    row |= {"quality": _object(row["quality"]), "other_vectors": bool(row["other_vectors"])}
    return LayoutStatus(**row, refit_due=row["other_vectors"] or stale >= refit_at(row["points"]))


def _topics(row: dict[str, Any]) -> TopicsStatus:
    row |= {"of_older_layout": bool(row["of_older_layout"]), "named_by": _object(row["named_by"])}
    return TopicsStatus(**row)


def _run(row: dict[str, Any]) -> PastRun:
    row |= {"counts": _object(row["counts"]), "stage_seconds": _object(row["stage_seconds"])}
    seconds = None
    # Where someone else wrote the row, its duration stays unknown.
    with suppress(TypeError, ValueError):
        if row["finished_at"]:
            took = datetime.fromisoformat(row["finished_at"]) - datetime.fromisoformat(row["started_at"])
            seconds = took.total_seconds()
    return PastRun(**row, seconds=seconds)


def _object(text: str) -> dict[str, Any]:
    """A JSON object; empty where it is another value, which only someone else can have written."""
    value = json.loads(text)
    return value if isinstance(value, dict) else {}
