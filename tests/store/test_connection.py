"""Opening databases: new, newer, older, foreign, damaged, read-only."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import DatabaseBusyError, DatabaseTooNewError, StoreError
from engine.store.connection import open_passes, open_readonly, prepare, writing
from engine.store.migrations import application_id, schema_version
from engine.store.runs import start_run


def test_a_new_database_has_the_schema_and_wal(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "x.sqlite"
    prepare(path)
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("PRAGMA application_id").fetchone() == (application_id(),)
        assert conn.execute("PRAGMA user_version").fetchone() == (schema_version(),)
        assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        tables = conn.execute("SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND schema = 'main'")
        own = {name: strict for name, strict in tables if not name.startswith(("sqlite_", "card_fts"))}
        assert own
        assert all(own.values()), own


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    prepare(path)
    with closing(sqlite3.connect(path)) as conn:
        before = conn.execute("SELECT * FROM sqlite_schema").fetchall()
    assert prepare(path) == []
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT * FROM sqlite_schema").fetchall() == before


def test_a_later_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    prepare(path)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(f"PRAGMA user_version = {schema_version() + 1}")
    for opening in (prepare, open_readonly):
        with pytest.raises(DatabaseTooNewError, match="was written by a later hfmap") as caught:
            opening(path)
        assert caught.value.hint


def test_files_that_are_not_ours(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but longer than the header of one " * 10)
    with pytest.raises(StoreError, match="not a SQLite database"):
        prepare(text)
    foreign = tmp_path / "foreign.sqlite"
    with closing(sqlite3.connect(foreign)) as conn:
        conn.execute("CREATE TABLE t (x)")
    with pytest.raises(StoreError, match="not one of hfmap's"):
        prepare(foreign)
    with pytest.raises(StoreError, match="There is no database"):
        open_readonly(tmp_path / "absent.sqlite")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_read_only_file(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    prepare(path)
    path.chmod(0o444)
    with pytest.raises(StoreError, match="read-only"):
        prepare(path)


def test_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    prepare(path)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = bytearray(path.read_bytes())
    raw[100:4000] = os.urandom(3900)
    path.write_bytes(bytes(raw))
    with pytest.raises(StoreError, match="damaged"):
        prepare(path)


def test_only_one_writes_and_the_other_is_told_who(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    prepare(path)
    with open_passes(path) as conn:
        # A run that was killed: its row says that it is running.
        start_run(conn, "sync", "hub", {})
        conn.execute("UPDATE run SET pid = 1, host = 'elsewhere'")
    with writing(path, "hfmap map"):
        told = f"`hfmap map`, process {os.getpid()} on {platform.node()}, since"
        with pytest.raises(DatabaseBusyError, match=re.escape(told)), writing(path):
            pytest.fail("two hold the lock")
    with writing(path):
        pass


def test_who_writes_is_known_before_there_is_a_database(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    with writing(path), pytest.raises(DatabaseBusyError, match=f"process {os.getpid()}"), writing(path):
        pytest.fail("two hold the lock")
