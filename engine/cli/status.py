"""`hfmap status`: what is fresh, stale and failed, what was spent, and the last runs."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from engine.cli.options import database_path, db_option, json_option, reading
from engine.cli.output import Output
from engine.cli.text import dollars, duration, plain, size

LAST_RUNS = 5
MOST_REASONS = 10

# fresh + stale + failed = on_map for each enrichment stage: a card that failed and may be tried again stands
# in `todo` too, and is counted here as failed.
_ENRICHMENT = """
SELECT cs.stage, s.provider, s.model,
    (SELECT count(*) FROM todo t WHERE t.stage = cs.stage) AS due,
    (SELECT count(*) FROM todo t JOIN failure f ON f.dataset_id = t.dataset_id AND f.stage = t.stage
     WHERE t.stage = cs.stage) AS due_failed,
    (SELECT count(*) FROM failure f JOIN dataset d ON d.dataset_id = f.dataset_id
     JOIN card c ON c.dataset_id = f.dataset_id
     WHERE f.stage = cs.stage AND d.on_map = 1 AND f.kind = 'permanent'
       AND f.spec_id = cs.spec_id AND f.input_hash = c.input_hash
       AND NOT EXISTS (SELECT 1 FROM result r WHERE r.spec_id = cs.spec_id AND r.input_hash = c.input_hash)
    ) AS permanent
FROM current_spec cs JOIN spec s ON s.spec_id = cs.spec_id
ORDER BY CASE cs.stage WHEN 'embed' THEN 0 WHEN 'extract' THEN 1 ELSE 2 END
"""
_RUNS = """
SELECT run_id, command, source, started_at, finished_at, outcome, exit_code,
    (SELECT coalesce(sum(usd), 0) FROM call c WHERE c.run_id = run.run_id) AS usd
FROM run ORDER BY run_id DESC LIMIT ?
"""
_FAILURES = """
SELECT stage, kind, reason, count(*) AS items FROM failure
GROUP BY 1, 2, 3 ORDER BY items DESC, 1, 2, 3 LIMIT ?
"""
_SPENT = """
SELECT model, count(*) AS calls,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cache_write_tokens) AS cache_write_tokens, sum(cache_read_tokens) AS cache_read_tokens,
    sum(usd) AS usd
FROM call GROUP BY model ORDER BY usd DESC, model
"""


@click.command()
@db_option
@json_option
def status(db: str | None, as_json: bool) -> None:
    """Show what is fresh, stale, failed and spent, and the last runs."""
    output = Output("json" if as_json else "human")
    with reading(db) as conn:
        facts = collect(conn, database_path(db))
    if as_json:
        output.json(facts, indent=2)
    else:
        _print(output, facts)


def collect(conn: sqlite3.Connection, path: Path) -> dict[str, Any]:
    """Everything `status` tells, as JSON values. Sizes are bytes."""
    on_map = _number(conn, "SELECT count(*) FROM dataset WHERE on_map = 1")
    return {
        "database": str(path),
        "bytes": sum(f.stat().st_size for f in (path, Path(f"{path}-wal")) if f.exists()),
        "datasets": _number(conn, "SELECT count(*) FROM dataset"),
        "listed": _number(conn, "SELECT count(*) FROM dataset WHERE rank IS NOT NULL"),
        "on_map": on_map,
        "cards": {
            row["card_status"]: row["n"]
            for row in conn.execute("SELECT card_status, count(*) AS n FROM dataset GROUP BY 1 ORDER BY n DESC, 1")
        },
        "stages": [_stage(row, on_map) for row in conn.execute(_ENRICHMENT)],
        "failures": [dict(row) for row in conn.execute(_FAILURES, (MOST_REASONS,))],
        "layout": _one(conn, "SELECT points, created_at FROM layout ORDER BY layout_id DESC LIMIT 1"),
        "topics": _one(
            conn,
            "SELECT layers, created_at,"
            " (SELECT count(*) FROM topic t WHERE t.tree_id = topic_tree.tree_id) AS topics"
            " FROM topic_tree ORDER BY tree_id DESC LIMIT 1",
        ),
        "pages": [dict(r) for r in conn.execute("SELECT path, created_at FROM artifact ORDER BY path")],
        "spent": [dict(r) for r in conn.execute(_SPENT)],
        "usd": float(_one(conn, "SELECT coalesce(sum(usd), 0) AS usd FROM call")["usd"]),
        "runs": [_run(row) for row in conn.execute(_RUNS, (LAST_RUNS,))],
    }


def _number(conn: sqlite3.Connection, query: str) -> int:
    return int(conn.execute(query).fetchone()[0])


def _one(conn: sqlite3.Connection, query: str) -> Any:
    row = conn.execute(query).fetchone()
    return None if row is None else dict(row)


def _stage(row: sqlite3.Row, on_map: int) -> dict[str, Any]:
    stale = row["due"] - row["due_failed"]
    failed = row["due_failed"] + row["permanent"]
    return {
        "stage": row["stage"],
        "provider": row["provider"],
        "model": row["model"],
        "fresh": on_map - stale - failed,
        "stale": stale,
        "failed": failed,
        "failed_for_good": row["permanent"],
    }


def _run(row: sqlite3.Row) -> dict[str, Any]:
    run = dict(row)
    run["seconds"] = None
    if run["finished_at"]:
        try:
            took = datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["started_at"])
            run["seconds"] = took.total_seconds()
        except (TypeError, ValueError):
            pass  # the row was written by someone else; its duration stays unknown
    return run


def _print(output: Output, facts: dict[str, Any]) -> None:
    line = output.data
    line(f"{facts['database']}  {size(facts['bytes'])}")
    line(
        f"{facts['datasets']:,} datasets known, {facts['listed']:,} in the newest listing, "
        f"{facts['on_map']:,} on the map"
    )
    if facts["cards"]:
        line("cards: " + ", ".join(f"{count:,} {name}" for name, count in facts["cards"].items()))
    line("")
    line(f"{'stage':<10}{'fresh':>9}{'stale':>9}{'failed':>9}  made by")
    for stage in facts["stages"]:
        numbers = "".join(f"{stage[key]:>9,}" for key in ("fresh", "stale", "failed"))
        line(f"{stage['stage']:<10}{numbers}  {stage['provider']} {stage['model']}")
    if not facts["stages"]:
        line("nothing enriched yet")
    for failure in facts["failures"]:
        again = "" if failure["kind"] == "permanent" else ", will be tried again"
        line(f"failed: {failure['stage']}: {failure['items']:,} × {plain(failure['reason'])}{again}")
    line("")
    if facts["layout"]:
        line(f"layout: {facts['layout']['points']:,} points, {facts['layout']['created_at']}")
    if facts["topics"]:
        topics = facts["topics"]
        line(f"topics: {topics['topics']:,} in {topics['layers']} layers, {topics['created_at']}")
    for page in facts["pages"]:
        line(f"page: {page['path']}, {page['created_at']}")
    line(f"spent: {dollars(facts['usd'])}" + (" in all" if facts["spent"] else ""))
    for spent in facts["spent"]:
        tokens = f"{spent['input_tokens']:,} tokens in, {spent['output_tokens']:,} out"
        line(f"  {spent['model']}: {dollars(spent['usd'])} for {spent['calls']:,} calls, {tokens}")
    if facts["runs"]:
        line("last runs:")
    for run in facts["runs"]:
        took = duration(run["seconds"]) if run["seconds"] is not None else "not finished"
        source = f" {run['source']}" if run["source"] else ""
        line(
            f"  {run['run_id']}  {run['started_at']}  {run['command']}{source}: "
            f"{run['outcome']}, {took}, {dollars(run['usd'])}"
        )
