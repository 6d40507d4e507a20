"""Read the schema file, and bring a database of an older version up to it.

Two things happen in one transaction, so that an interrupted migration leaves the old database as it was. Steps move
data, one version at a time, where its meaning has changed. Then the structure is brought in line with the schema file:
tables that differ are rebuilt, views, triggers and indexes made anew. So a migrated database has the same schema as a
new one, without a second description of it that could disagree.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cache
from importlib import resources
from pathlib import Path

SCHEMA_FILE = "hfmap.sqlite.schema.sql"

Step = Callable[[sqlite3.Connection], None]


def _one_to_two(conn: sqlite3.Connection) -> None:
    # A card that could not be had is no state of the card any more, but a row of table `failure`.
    conn.execute("UPDATE dataset SET card_status = 'pending' WHERE card_status = 'failed'")


STEPS: Mapping[int, Step] = {1: _one_to_two}
"""What moves data from version n to n + 1; runs on the tables of version n. Versions without one are left out."""


@cache
def schema_sql() -> str:
    """Return the text of the schema: the copy in the wheel or, in a checkout, the file at its root."""
    packaged = resources.files("engine.store").joinpath(SCHEMA_FILE)
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / SCHEMA_FILE).read_text(encoding="utf-8")


def _pragma(name: str) -> int:
    found = re.search(rf"^PRAGMA {name} = (\d+);", schema_sql(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{SCHEMA_FILE} does not set {name}")
    return int(found[1])


def application_id() -> int:
    """Return the number that marks a SQLite file as hfmap's."""
    return _pragma("application_id")


def schema_version() -> int:
    """Return the version of the schema that this hfmap writes."""
    return _pragma("user_version")


def migrate(conn: sqlite3.Connection, schema: str, *, to: int, steps: Mapping[int, Step] = STEPS) -> list[int]:
    """Bring a database up to version `to`, whose structure `schema` describes; return the versions it left.

    `conn` must be in autocommit mode (`isolation_level=None`).

    Raises:
        sqlite3.Error: it could not be done; the database is as it was.
    """
    # Tables that are rebuilt would break the references to them halfway.
    conn.execute("PRAGMA foreign_keys = OFF")
    try:
        conn.execute("BEGIN IMMEDIATE")
        try:
            # Read inside the transaction: another process may have migrated the file since it was opened.
            version = int(conn.execute("PRAGMA user_version").fetchone()[0])
            for at in range(version, to):
                if at in steps:
                    steps[at](conn)
            if version < to:
                _conform(conn, schema)
            broken = conn.execute("PRAGMA foreign_key_check").fetchone()
            if broken is not None:
                raise sqlite3.IntegrityError(f"the migration leaves a dangling reference in {broken[0]}")
            conn.execute(f"PRAGMA user_version = {to}")
        except BaseException:
            conn.execute("ROLLBACK")
            raise
        conn.execute("COMMIT")
    finally:
        conn.execute("PRAGMA foreign_keys = ON")
    return list(range(version, to))


def structure(conn: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """Return the definitions in a database by (type, name), without SQLite's own and those of full-text tables."""
    virtual = [name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL%'")]
    shadows = tuple(f"{name}_" for name in virtual)
    rows = conn.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {
        (kind, name): _unquoted(sql)
        for kind, name, sql in rows
        if not name.startswith("sqlite_") and not (kind == "table" and name.startswith(shadows))
    }


def lend_views(conn: sqlite3.Connection, schema: str) -> bool:
    """Let a connection to an older database see the present views, as long as it lives; the file stays as it is.

    The view `datasets` is left alone: its columns are those of the database's own taxonomy.

    Returns:
        False, with nothing done, where a table is another one than in `schema`.
    """
    wanted, found = _structure_of(schema), structure(conn)
    if any(kind == "table" and found.get((kind, name)) != sql for (kind, name), sql in wanted.items()):
        return False
    for (kind, name), sql in wanted.items():
        if kind == "view" and name != "datasets" and found.get((kind, name)) != sql:
            conn.execute(sql.replace("CREATE VIEW", "CREATE TEMP VIEW", 1))
    return True


def _structure_of(schema: str) -> dict[tuple[str, str], str]:
    """Return what `structure` would of a new database."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(schema)
        return structure(fresh)


def _unquoted(sql: str) -> str:
    """Take off the quotation marks that a rename puts around a table's name."""
    return re.sub(r'^(CREATE TABLE )"(\w+)"', r"\1\2", sql)


def _conform(conn: sqlite3.Connection, schema: str) -> None:
    wanted, found = _structure_of(schema), structure(conn)
    for kind, name in found:
        if kind != "table":
            conn.execute(f'DROP {kind} "{name}"')
    for (kind, name), sql in wanted.items():
        if kind == "table" and found.get((kind, name)) != sql:
            _table(conn, name, sql, rebuild=(kind, name) in found)
    for (kind, _), sql in wanted.items():
        if kind != "table":
            conn.execute(sql)


def _table(conn: sqlite3.Connection, name: str, sql: str, *, rebuild: bool) -> None:
    if not rebuild:
        conn.execute(sql)
        return
    if sql.startswith("CREATE VIRTUAL"):
        conn.execute(f'DROP TABLE "{name}"')
        conn.execute(sql)
        conn.execute(f"INSERT INTO {name} ({name}) VALUES ('rebuild')")
        return
    new = f"{name}__new"
    conn.execute(sql.replace(f"CREATE TABLE {name}", f"CREATE TABLE {new}", 1))
    columns = [row[1] for row in conn.execute(f'PRAGMA table_info("{new}")') if row[1] in _columns(conn, name)]
    listed = ", ".join(f'"{column}"' for column in columns)
    conn.execute(f'INSERT INTO "{new}" ({listed}) SELECT {listed} FROM "{name}"')
    conn.execute(f'DROP TABLE "{name}"')
    conn.execute(f'ALTER TABLE "{new}" RENAME TO "{name}"')


def _columns(conn: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in conn.execute(f'PRAGMA table_info("{table}")')}


def statements(script: str) -> list[str]:
    """Split a script into statements, so that it can run inside a transaction (`executescript` commits)."""
    found: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in pending.splitlines()):
        raise ValueError(f"unfinished SQL statement: {pending.strip()[:60]}")
    return found
