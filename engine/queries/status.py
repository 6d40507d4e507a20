"""What `hfmap status` tells, as JSON values: read from the database, with nothing changed in it."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.store.layouts import refit_at

LAST_RUNS = 5
MOST_REASONS = 10
PARKED_RUNS = 3
"""Runs in a row after which a failure is given up until it is asked for (view `todo`)."""

# fresh + stale + failed = on_map for each enrichment stage: a card that failed and may be tried again stands
# in `todo` too, and is counted here as failed.
_ENRICHMENT = """
WITH lasting AS (
    SELECT f.stage, f.kind, f.dataset_id FROM failure f
    JOIN current_spec cs ON cs.stage = f.stage AND cs.spec_id = f.spec_id
    JOIN dataset d ON d.dataset_id = f.dataset_id AND d.on_map = 1
    JOIN card c ON c.dataset_id = f.dataset_id AND c.input_hash = f.input_hash
    WHERE (f.kind = 'permanent' OR f.runs >= 3)
      AND NOT EXISTS (SELECT 1 FROM result r WHERE r.spec_id = f.spec_id AND r.input_hash = f.input_hash)
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
    sum(kind = 'transient' AND stage <> 'card' AND runs >= 3) AS parked
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
_CARDS = "SELECT card_status, count(*) AS n FROM dataset GROUP BY 1 ORDER BY n DESC, 1"


def collect(conn: sqlite3.Connection, path: Path) -> dict[str, Any]:
    """Everything `status` tells. Sizes are bytes, money is US dollars."""
    on_map = _number(conn, "SELECT count(*) FROM dataset WHERE on_map = 1")
    wal = Path(f"{path}-wal")
    wal_bytes = wal.stat().st_size if wal.exists() else 0
    spent = [_saved(dict(row)) for row in conn.execute(_SPENT)]
    return {
        "database": str(path),
        "bytes": path.stat().st_size + wal_bytes,
        "wal_bytes": wal_bytes,
        "datasets": _number(conn, "SELECT count(*) FROM dataset"),
        "listed": _number(conn, "SELECT count(*) FROM dataset WHERE rank IS NOT NULL"),
        "on_map": on_map,
        "cards": {row["card_status"]: row["n"] for row in conn.execute(_CARDS)},
        "stages": [_stage(row, on_map) for row in conn.execute(_ENRICHMENT)],
        "failures": [dict(row) for row in conn.execute(_FAILURES, (MOST_REASONS,))],
        "quotes": [dict(row) for row in conn.execute(_QUOTES)],
        "layout": _layout(conn),
        "topics": _topics(conn),
        "pages": [dict(row) for row in conn.execute("SELECT path, created_at FROM artifact ORDER BY path")],
        "spent": spent,
        "usd": sum(row["usd"] for row in spent),
        "spending": [dict(row) for row in conn.execute(_SPENDING, (LAST_RUNS,))],
        "runs": [_run(row) for row in conn.execute(_RUNS, (LAST_RUNS,))],
    }


def _number(conn: sqlite3.Connection, query: str) -> int:
    return int(conn.execute(query).fetchone()[0])


def _one(conn: sqlite3.Connection, query: str) -> Any:
    row = conn.execute(query).fetchone()
    return None if row is None else dict(row)


def _stage(row: sqlite3.Row, on_map: int) -> dict[str, Any]:
    stale = row["due"] - row["due_failed"]
    failed = row["due_failed"] + row["permanent"] + row["parked"]
    return {
        "stage": row["stage"],
        "provider": row["provider"],
        "model": row["model"],
        "fresh": on_map - stale - failed,
        "stale": stale,
        "failed": failed,
        "failed_for_good": row["permanent"],
        "parked": row["parked"],
    }


def _saved(spent: dict[str, Any]) -> dict[str, Any]:
    """Add what reading from the cache saved: the difference between the prices of fresh and of cached input.

    None where the model's prices are not known.
    """
    spent["cache_saved_usd"] = 0.0
    if spent["cache_read_tokens"]:
        from engine.providers.prices import PRICES

        price = PRICES.get(spent["model"])
        saved = None if price is None else spent["cache_read_tokens"] * (price.input - price.cache_read) / 1_000_000
        spent["cache_saved_usd"] = saved
    return spent


def _layout(conn: sqlite3.Connection) -> Any:
    layout = _one(conn, _LAYOUT)
    if layout is not None:
        layout["quality"] = _object(layout["quality"])
        layout["other_vectors"] = bool(layout["other_vectors"])
        layout["refit_due"] = layout["other_vectors"] or (
            layout["changed"] + layout["missing"] + layout["gone"] >= refit_at(layout["points"])
        )
    return layout


def _topics(conn: sqlite3.Connection) -> Any:
    topics = _one(conn, _TOPICS)
    if topics is not None:
        topics["of_older_layout"] = bool(topics["of_older_layout"])
        topics["named_by"] = _object(topics["named_by"])
    return topics


def _run(row: sqlite3.Row) -> dict[str, Any]:
    run = dict(row)
    run["counts"], run["stage_seconds"] = _object(run["counts"]), _object(run["stage_seconds"])
    run["seconds"] = None
    if run["finished_at"]:
        try:
            took = datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["started_at"])
            run["seconds"] = took.total_seconds()
        except (TypeError, ValueError):
            pass  # the row was written by someone else; its duration stays unknown
    return run


def _object(text: str) -> dict[str, Any]:
    """A JSON object; empty where it is another value, which only someone else can have written."""
    value = json.loads(text)
    return value if isinstance(value, dict) else {}
