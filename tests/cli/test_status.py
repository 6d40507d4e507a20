"""`hfmap status`: what was given up, what caching saved, quotes, runs with their numbers, and an ageing layout."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from engine.cli.app import hfmap as command
from tests.cli.conftest import NOW


@pytest.fixture
def conn(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        yield connection


def facts() -> dict[str, Any]:
    result = CliRunner().invoke(command, ["status", "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def words() -> str:
    result = CliRunner().invoke(command, ["status"])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("kind", "runs", "counts"),
    [
        # stale, failed, failed_for_good, parked
        ("transient", 2, (0, 1, 0, 0)),
        ("transient", 3, (0, 1, 0, 1)),
        ("permanent", 1, (0, 1, 1, 0)),
        ("permanent", 5, (0, 1, 1, 0)),
    ],
)
def test_failures_are_counted_once(conn: sqlite3.Connection, kind: str, runs: int, counts: tuple[int, ...]) -> None:
    conn.execute("UPDATE failure SET kind = ?, runs = ? WHERE stage = 'extract'", (kind, runs))
    stage = facts()["stages"][1]
    assert tuple(stage[key] for key in ("stale", "failed", "failed_for_good", "parked")) == counts
    assert stage["fresh"] + stage["stale"] + stage["failed"] == 4
    assert ("hfmap sync --retry-failed" in words()) == bool(counts[3])
    # The card has changed since: it is due again, and the failure is of the past.
    conn.execute("UPDATE card SET input_hash = 'new' WHERE dataset_id = 4")
    stage = facts()["stages"][1]
    assert (stage["parked"], stage["failed_for_good"]) == (0, 0)


def test_a_card_that_does_not_come_is_asked_for_in_every_run(conn: sqlite3.Connection) -> None:
    conn.execute("UPDATE failure SET runs = 9 WHERE stage = 'card'")
    assert "503 Service Unavailable, will be tried again" in words()


def test_money_by_run_and_model_and_what_the_cache_saved(conn: sqlite3.Connection) -> None:
    conn.execute("DELETE FROM call")
    conn.execute("INSERT INTO run (run_id, command, started_at) VALUES (2, 'sync', ?)", (NOW,))
    for run, stage, model, tokens, usd in (
        (1, "extract", "claude-haiku-4-5-20251001", (1000, 100, 5000, 2_000_000), 0.7),
        (2, "extract", "claude-haiku-4-5-20251001", (500, 50, 0, 0), 0.1),
        (2, "topics", "somebody-elses", (10, 1, 0, 400), 0.05),
        (2, "embed", "embed-v4.0", (9000, 0, 0, 0), 0.2),
    ):
        conn.execute(
            "INSERT INTO call (run_id, stage, provider, model, items, input_tokens, output_tokens, cache_write_tokens,"
            " cache_read_tokens, usd, seconds, outcome, finished_at) VALUES (?, ?, 'p', ?, 1, ?, ?, ?, ?, ?, 1, 'done', ?)",
            (run, stage, model, *tokens, usd, NOW),
        )
    found = facts()
    assert found["usd"] == pytest.approx(1.05)
    haiku, embed, other = found["spent"]
    # 2,000,000 tokens at $1 a million, read for $0.10 a million.
    assert haiku["cache_saved_usd"] == pytest.approx(1.8)
    assert (haiku["calls"], haiku["input_tokens"], haiku["cache_read_tokens"]) == (2, 1500, 2_000_000)
    assert (embed["cache_saved_usd"], other["cache_saved_usd"]) == (0, None)
    assert [(s["run"], s["stage"], s["usd"]) for s in found["spending"]] == [
        (2, "embed", 0.2),
        (2, "extract", 0.1),
        (2, "topics", 0.05),
        (1, "extract", 0.7),
    ]
    assert [run["usd"] for run in found["runs"]] == [pytest.approx(0.35), 0.7]
    shown = words()
    assert "2,000,000 read from the cache, which saved $1.80" in shown
    assert "not finished" in shown


def test_runs_with_their_counts_and_seconds(conn: sqlite3.Connection) -> None:
    conn.execute("""UPDATE run SET counts = '{"listed": 6, "new": 2}', seconds = '{"sync": 75.5, "map": 14.5}'""")
    run = facts()["runs"][0]
    assert (run["counts"], run["stage_seconds"], run["seconds"]) == (
        {"listed": 6, "new": 2},
        {"sync": 75.5, "map": 14.5},
        90,
    )
    assert "listed 6, new 2" in words()
    assert "took: sync 1:16, map 14.5 s" in words()
    conn.execute("UPDATE run SET counts = '[]', seconds = '{\"sync\": \"x\"}'")
    assert facts()["runs"][0]["counts"] == {}
    assert "took" not in words()


def test_the_share_of_quotes_that_are_in_their_cards(conn: sqlite3.Connection) -> None:
    result_id = conn.execute("SELECT result_id FROM in_force WHERE dataset_id = 2 AND stage = 'extract'").fetchone()[0]
    conn.execute("UPDATE field_value SET verified = 0 WHERE result_id = ? AND field = 'subject_domain'", (result_id,))
    conn.execute("UPDATE field_value SET quote = 'not_stated' WHERE field = 'geo_scope'")
    assert facts()["quotes"] == [{"field": "subject_domain", "quoted": 3, "verified": 2}]
    assert "quotes that are in the card: subject_domain 67 %" in words()


def test_how_old_the_layout_is(conn: sqlite3.Connection) -> None:
    assert facts()["layout"] is None
    conn.execute(
        "INSERT INTO layout (layout_id, run_id, input_hash, parameters, points, made_by, changed, quality, created_at)"
        " VALUES (1, 1, 'x', '{}', 5, 'placed', 1, '{\"trustworthiness\": 0.97}', ?)",
        (NOW,),
    )
    # 1 and 2 as they are, 3 as it was, 5 is not on the map; 4 is missing.
    for dataset_id, input_hash in ((1, "hash1"), (2, "hash2"), (3, "old"), (5, "hash5")):
        conn.execute("INSERT INTO position VALUES (1, ?, 0, 0, ?, 0)", (dataset_id, input_hash))
    layout = facts()["layout"]
    assert (layout["missing"], layout["gone"], layout["changed"], layout["made_by"]) == (2, 1, 1, "placed")
    assert layout["quality"] == {"trustworthiness": 0.97}
    shown = words()
    for part in ("5 points", "20 % changed", "2 on the map are not in it", "1 in it have left", "hfmap map"):
        assert part in shown


def test_the_size_includes_what_is_not_merged_yet(conn: sqlite3.Connection, database: Path) -> None:
    conn.execute("UPDATE dataset SET likes = likes + 1")
    found = facts()
    assert found["wal_bytes"] == Path(f"{database}-wal").stat().st_size > 0
    assert found["bytes"] == database.stat().st_size + found["wal_bytes"]
    assert "-wal file" in words()
