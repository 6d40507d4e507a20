"""Record what a run found different from how the database was when it began: table `change`."""

from __future__ import annotations

import sqlite3

from engine.store.writer import Statement, statement

SNAPSHOT = (
    "CREATE TEMP TABLE member_before AS SELECT dataset_id, rank FROM dataset WHERE on_map = 1",
    "CREATE TEMP TABLE result_before AS SELECT i.dataset_id, i.stage, i.result_id FROM in_force i "
    "JOIN dataset d USING (dataset_id) WHERE d.on_map = 1 AND i.stage IN ('extract', 'summarize')",
    "CREATE UNIQUE INDEX temp.member_before_id ON member_before (dataset_id)",
    "CREATE UNIQUE INDEX temp.result_before_id ON result_before (dataset_id, stage)",
)

MOVED_PLACES = 5
MOVED_SHARE = 0.1
"""A dataset counts as moved in rank by more than five places and more than a tenth of its rank before."""


def remember(conn: sqlite3.Connection) -> None:
    """Note who is on the map and which results speak for them, in tables that live as long as the connection."""
    for sql in SNAPSHOT:
        conn.execute(sql)


def record_membership_changes(run_id: int) -> tuple[Statement, ...]:
    """Record who entered and left the map and who moved in rank. Run on the connection that remembers."""
    return (
        statement(
            "INSERT OR IGNORE INTO change (run_id, dataset_id, kind, after) SELECT ?, dataset_id, 'entered', rank "
            "FROM dataset WHERE on_map = 1 AND dataset_id NOT IN (SELECT dataset_id FROM member_before)",
            run_id,
        ),
        statement(
            "INSERT OR IGNORE INTO change (run_id, dataset_id, kind, before, after) "
            "SELECT ?, d.dataset_id, 'left', b.rank, d.card_status "
            "FROM dataset d JOIN member_before b USING (dataset_id) WHERE d.on_map = 0",
            run_id,
        ),
        statement(
            "INSERT OR IGNORE INTO change (run_id, dataset_id, kind, before, after) "
            "SELECT ?, d.dataset_id, 'rank', b.rank, d.rank FROM dataset d JOIN member_before b USING (dataset_id) "
            "WHERE d.on_map = 1 AND abs(d.rank - b.rank) > max(?, ? * b.rank)",
            run_id,
            MOVED_PLACES,
            MOVED_SHARE,
        ),
    )


def record_result_changes(run_id: int) -> tuple[Statement, ...]:
    """Record which fields and summaries differ from those that spoke for the same datasets before."""
    pair = (
        "FROM result_before b JOIN in_force i ON i.dataset_id = b.dataset_id AND i.stage = b.stage "
        "AND i.result_id <> b.result_id "
    )
    return (
        statement(
            "INSERT OR IGNORE INTO change (run_id, dataset_id, kind, field, before, after) "
            f"SELECT ?, b.dataset_id, 'field', n.field, o.value, n.value {pair}"
            "JOIN field_value n ON n.result_id = i.result_id "
            "LEFT JOIN field_value o ON o.result_id = b.result_id AND o.field = n.field "
            "WHERE b.stage = 'extract' AND n.value IS NOT o.value",
            run_id,
        ),
        statement(
            "INSERT OR IGNORE INTO change (run_id, dataset_id, kind, before, after) "
            f"SELECT ?, b.dataset_id, 'summary', o.text, n.text {pair}"
            "JOIN summary n ON n.result_id = i.result_id JOIN summary o ON o.result_id = b.result_id "
            "WHERE b.stage = 'summarize' AND n.text <> o.text",
            run_id,
        ),
    )


def record_card_change(run_id: int, dataset_id: int, before: str, after: str) -> Statement:
    """Record that a card has a new text; `before` and `after` are the hashes."""
    return statement(
        "INSERT OR REPLACE INTO change (run_id, dataset_id, kind, before, after) VALUES (?, ?, 'card', ?, ?)",
        run_id,
        dataset_id,
        before,
        after,
    )
