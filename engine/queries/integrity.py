"""Check that a database is whole, and that this SQLite has all that the schema needs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass

MOST_FAULTS = 3
OLDEST_SQLITE = (3, 38, 0)
"""The first with `->>`, which the views use."""


@dataclass(frozen=True, slots=True)
class Integrity:
    """The schema version of a database, and the first MOST_FAULTS faults that SQLite finds in its file."""

    version: int
    faults: tuple[str, ...]


def check_integrity(conn: sqlite3.Connection) -> Integrity:
    """Check a database's file as `PRAGMA quick_check` does; it reads all of it.

    Raises:
        sqlite3.Error: it cannot even be checked.
    """
    found = tuple(row[0] for row in conn.execute(f"PRAGMA quick_check({MOST_FAULTS})"))
    version = int(conn.execute("PRAGMA user_version").fetchone()[0])
    return Integrity(version, () if found == ("ok",) else found)


def missing_of_sqlite() -> str | None:
    """Return what Python's SQLite lacks for hfmap's schema, as a sentence; None where it has all."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        return f"SQLite {sqlite3.sqlite_version} is too old: 3.38 is needed"
    with closing(sqlite3.connect(":memory:")) as conn:
        try:
            conn.execute("CREATE VIRTUAL TABLE probe USING fts5 (text)")
        except sqlite3.Error:
            return f"SQLite {sqlite3.sqlite_version} was built without FTS5"
    return None
