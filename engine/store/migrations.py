"""How a database of an older version becomes one of the present.

Each step takes the database from one version to the next. All steps and the new `user_version` are committed
together, so that an interrupted migration leaves the old database as it was. A migrated database has the same
schema as a new one; the tests compare them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

Step = Callable[[sqlite3.Connection], None]

STEPS: Mapping[int, Step] = {}
"""From version n to n + 1."""


def migrate(conn: sqlite3.Connection, *, to: int, steps: Mapping[int, Step] = STEPS) -> list[int]:
    """Bring a database up to version `to` in one transaction; return the versions it left.

    `conn` must be in autocommit mode (`isolation_level=None`).

    Raises:
        sqlite3.Error: a step failed; the database is as it was.
    """
    left: list[int] = []
    # Tables that are rebuilt would break the references to them halfway.
    conn.execute("PRAGMA foreign_keys = OFF")
    try:
        conn.execute("BEGIN IMMEDIATE")
        try:
            # Read inside the transaction: another process may have migrated the file since it was opened.
            version = int(conn.execute("PRAGMA user_version").fetchone()[0])
            while version < to:
                steps[version](conn)
                left.append(version)
                version += 1
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
    return left


def statements(script: str) -> list[str]:
    """Split a script into statements, so that it can run inside a transaction (`executescript` commits)."""
    found: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    if pending.strip() and not all(not x.strip() or x.lstrip().startswith("--") for x in pending.splitlines()):
        raise ValueError(f"unfinished SQL statement: {pending.strip()[:60]}")
    return found
