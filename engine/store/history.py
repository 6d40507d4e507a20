"""What a run changed, against how the database was when it began."""

from __future__ import annotations

import sqlite3

import aiosqlite

from engine.store.connection import transaction
from engine.store.records import to_json
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


async def remember(conn: aiosqlite.Connection) -> None:
    """Note who is on the map and which results speak for them, in tables that live as long as the connection."""
    for sql in SNAPSHOT:
        await conn.execute(sql)


def membership_changes(run_id: int) -> tuple[Statement, ...]:
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


def result_changes(run_id: int) -> tuple[Statement, ...]:
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


def card_changed(run_id: int, dataset_id: int, before: str, after: str) -> Statement:
    """Record that a card has a new text; `before` and `after` are the hashes."""
    return statement(
        "INSERT OR REPLACE INTO change (run_id, dataset_id, kind, before, after) VALUES (?, ?, 'card', ?, ?)",
        run_id,
        dataset_id,
        before,
        after,
    )


def renamed(run_id: int, dataset_id: int, before: str, after: str) -> tuple[Statement, ...]:
    """Give a dataset its repository's new id and keep the old one as an alias."""
    author, _, name = after.rpartition("/")
    return (
        statement(
            "UPDATE dataset SET repo_id = ?, author = ?, name = ? WHERE dataset_id = ?",
            after,
            author or None,
            name,
            dataset_id,
        ),
        *_alias(run_id, dataset_id, before, after),
    )


def moved(run_id: int, old_id: int, new_id: int, before: str, after: str) -> tuple[Statement, ...]:
    """Mark a row whose repository was listed anew, as another row, under its new id."""
    return (*deleted(run_id, [old_id], f"renamed to {after}"), *_alias(run_id, new_id, before, after))


def _alias(run_id: int, dataset_id: int, before: str, after: str) -> tuple[Statement, ...]:
    return (
        statement(
            "INSERT OR REPLACE INTO alias (repo_id, dataset_id, run_id) VALUES (?, ?, ?)", before, dataset_id, run_id
        ),
        statement(
            "INSERT OR REPLACE INTO change (run_id, dataset_id, kind, before, after) VALUES (?, ?, 'renamed', ?, ?)",
            run_id,
            dataset_id,
            before,
            after,
        ),
    )


def deleted(run_id: int, dataset_ids: list[int], reason: str) -> tuple[Statement, ...]:
    """Mark datasets whose repositories are gone; their rows and results stay."""
    ids = to_json(dataset_ids)
    return (
        statement(
            "UPDATE dataset SET card_status = 'deleted', card_reason = ?, on_map = 0, rank = NULL "
            "WHERE dataset_id IN (SELECT value FROM json_each(?))",
            reason,
            ids,
        ),
        statement(
            "INSERT OR REPLACE INTO change (run_id, dataset_id, kind, after) "
            "SELECT ?, value, 'deleted', ? FROM json_each(?)",
            run_id,
            reason,
            ids,
        ),
    )


def retry_failed(conn: sqlite3.Connection) -> None:
    """Take back to the to-do lists what was given up after failing in several runs."""
    with transaction(conn):
        conn.execute("UPDATE failure SET runs = 0 WHERE kind = 'transient'")
