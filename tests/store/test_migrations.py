"""Databases of older versions, empty and filled, become equal to new ones, or stay as they were."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StoreError
from engine.store.connection import open_readonly, prepare
from engine.store.migrations import migrate, schema_sql, schema_version, structure

OLD = sorted((Path(__file__).parents[1] / "data").glob("schema-*.sql"))

FILL = """
INSERT INTO run (run_id, command, started_at) VALUES (1, 'sync', '2026-01-01T00:00:00Z');
INSERT INTO dataset (dataset_id, repo_id, name, likes, card_status, first_seen_run) VALUES
    (1, 'a/one', 'one', 5, 'ok', 1), (2, 'b/two', 'two', NULL, 'failed', 1);
INSERT INTO card (dataset_id, repo_id, text, body_chars, front_matter, input_hash, stored_at)
    VALUES (1, 'a/one', 'Songs of blackbirds', 19, 'none', 'h1', '2026-01-01T00:00:00Z');
INSERT INTO spec (spec_id, stage, spec_hash, provider, model, parameters, created_at)
    VALUES (1, 'summarize', 's1', 'local', 'rules', '{}', '2026-01-01T00:00:00Z');
INSERT INTO current_spec (stage, spec_id) VALUES ('summarize', 1);
INSERT INTO result (result_id, spec_id, input_hash, run_id, created_at) VALUES (1, 1, 'h1', 1, '2026-01-01T00:00:00Z');
INSERT INTO summary (result_id, text) VALUES (1, 'Recorded songs of blackbirds.');
INSERT INTO failure (dataset_id, stage, kind, reason, attempts, run_id, failed_at)
    VALUES (2, 'card', 'transient', 'HTTP 503', 8, 1, '2026-01-01T00:00:00Z');
"""


# By the version that the database is made with: a card that could not be had was a state of the card once.
FILLS = {1: FILL, 2: FILL.replace("'failed'", "'pending'")}


def make(path: Path, schema: Path, fill: str = "") -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(schema.read_text())
        conn.execute("PRAGMA foreign_keys = ON")
        conn.executescript(fill)


def look(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(sql).fetchall()


@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
@pytest.mark.parametrize("schema", OLD, ids=lambda path: path.stem)
def test_an_old_database_becomes_equal_to_a_new_one(tmp_path: Path, schema: Path, filled: bool) -> None:
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    version = int(schema.stem.removeprefix("schema-"))
    make(old, schema, FILLS[version] if filled else "")
    assert prepare(old) == list(range(version, schema_version()))
    prepare(new)
    with closing(sqlite3.connect(old)) as one, closing(sqlite3.connect(new)) as other:
        assert structure(one) == structure(other)
    assert look(old, "PRAGMA user_version") == [(schema_version(),)]
    assert look(old, "PRAGMA integrity_check") == [("ok",)]
    assert look(old, "PRAGMA foreign_key_check") == []
    assert prepare(old) == []


@pytest.mark.parametrize("schema", OLD, ids=lambda path: path.stem)
def test_what_was_stored_is_kept(tmp_path: Path, schema: Path) -> None:
    path = tmp_path / "old.sqlite"
    make(path, schema, FILLS[int(schema.stem.removeprefix("schema-"))])
    prepare(path)
    assert look(path, "SELECT repo_id, likes, card_status FROM datasets ORDER BY repo_id") == [
        ("a/one", 5, "ok"),
        ("b/two", None, "pending"),
    ]
    assert look(path, "SELECT reason, runs FROM failure") == [("HTTP 503", 1)]
    assert look(path, "SELECT summary FROM datasets WHERE repo_id = 'a/one'") == [("Recorded songs of blackbirds.",)]
    assert look(path, "SELECT rowid FROM card_fts WHERE card_fts MATCH 'blackbirds'") == [(1,)]


def test_a_failed_migration_leaves_the_old_database(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    make(path, OLD[0], FILL)
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        before = structure(conn)

        def bad(c: sqlite3.Connection) -> None:
            c.execute("DELETE FROM failure")
            c.execute("SELECT nothing FROM nowhere")

        with pytest.raises(sqlite3.OperationalError):
            migrate(conn, schema_sql(), to=schema_version(), steps={1: bad})
        assert structure(conn) == before
        assert conn.execute("PRAGMA user_version").fetchone() == (1,)
        assert conn.execute("SELECT count(*) FROM failure").fetchone() == (1,)


def test_a_migration_that_would_break_a_reference_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    make(path, OLD[0], FILL)
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:

        def bad(c: sqlite3.Connection) -> None:
            c.execute("UPDATE dataset SET card_status = 'pending'")
            c.execute("DELETE FROM run")

        with pytest.raises(sqlite3.IntegrityError, match="dangling"):
            migrate(conn, schema_sql(), to=schema_version(), steps={1: bad})
        assert conn.execute("SELECT count(*) FROM run").fetchone() == (1,)


def test_a_file_of_the_last_version_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript((Path(__file__).parents[1] / "data" / "schema-2.sql").read_text(encoding="utf-8"))
        conn.execute("INSERT INTO run (run_id, command, started_at) VALUES (1, 'sync', '2026-01-01T00:00:00Z')")
        conn.execute("INSERT INTO dataset (dataset_id, repo_id, name) VALUES (1, 'a/b', 'b')")
        conn.execute(
            "INSERT INTO override (dataset_id, field, value, created_at) VALUES (1, 'summary', '\"Mine.\"', '2026')"
        )
        conn.commit()
    before = path.read_bytes()
    with closing(open_readonly(path)) as conn:
        assert conn.execute("SELECT field, value ->> '$' FROM correction").fetchall() == [("summary", "Mine.")]
        assert conn.execute("SELECT count(*) FROM given_up").fetchone() == (0,)
        assert conn.execute("SELECT summary FROM datasets").fetchall() == [("Mine.",)]
        assert conn.execute("PRAGMA user_version").fetchone() == (2,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            conn.execute("DELETE FROM override")
    assert path.read_bytes() == before


def test_a_file_with_other_tables_asks_to_be_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript((Path(__file__).parents[1] / "data" / "schema-1.sql").read_text(encoding="utf-8"))
    with pytest.raises(StoreError, match="written by an earlier hfmap") as caught:
        open_readonly(path)
    assert "hfmap map" in (caught.value.hint or "")
