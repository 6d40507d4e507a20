"""Ask a database in SQL from anywhere: the connection can read, only read, and not for ever.

`mode=ro` and `PRAGMA query_only` are not enough: a statement can turn the pragma off, attach another file and
write that. So the connection also may attach nothing, and SQLite asks an authorizer about every part of a
statement before it runs; what is not known to be harmless is refused.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.errors import EXIT_FAILED, HfmapError, UsageError

_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
# Functions that other builds of SQLite or its shell bring, and that touch files, load code or start programs.
_FUNCTIONS_REFUSED = frozenset(
    {"load_extension", "writefile", "readfile", "edit", "fts3_tokenizer", "sqlar_uncompress"}
)
# Pragmas that only tell; `data_version` is what full-text search asks for itself.
_PRAGMAS = frozenset(
    {
        "application_id",
        "collation_list",
        "compile_options",
        "data_version",
        "database_list",
        "encoding",
        "foreign_key_list",
        "freelist_count",
        "function_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "page_count",
        "page_size",
        "table_info",
        "table_list",
        "table_xinfo",
        "user_version",
    }
)
_PRAGMAS_WITH_NAME = frozenset(p for p in _PRAGMAS if p.startswith(("table_", "index_", "foreign_key_")))
_STEPS = 20_000
"""Virtual-machine steps between two looks at the clock: about a millisecond."""

_FAULTS = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
"""Codes of errors that are not the query's: "malformed" alone may also be said of a JSON text."""

GRACE = 1.0
"""Seconds after the time limit at which a query counts as one that cannot be stopped."""

# One value may be 64 MB. Patterns of LIKE and GLOB are short: no step can be stopped halfway, and one long
# pattern may take hours.
_LIMITS = (
    (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    (sqlite3.SQLITE_LIMIT_LENGTH, 64_000_000),
    (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200),
    (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
)


class ReadOnlyError(UsageError):
    """The statement would do more than read."""


class TimeLimitError(HfmapError):
    """The query took longer than it may."""

    exit_code = EXIT_FAILED


class GuardedConnection:
    """A connection that takes one question and the seconds that may last; waiting for a slow reader does not count.

    It changes `conn` for good: rows are tuples, and nothing can be written, attached or set any more. `stuck` is called
    from another thread where SQLite does not stop in time: one call of a function, such as instr over megabytes, cannot
    be stopped from within the process.
    """

    def __init__(
        self,
        conn: sqlite3.Connection,
        *,
        seconds: float,
        stuck: Callable[[TimeLimitError], object] | None = None,
    ) -> None:
        self._conn = conn
        self._seconds = seconds
        self._stuck = stuck
        self._left = seconds
        self._deadline = float("inf")
        conn.row_factory = None
        conn.text_factory = lambda raw: raw.decode("utf-8", "replace")
        conn.execute("PRAGMA query_only = ON")
        for limit, most in _LIMITS:
            conn.setlimit(limit, most)
        conn.set_authorizer(_authorize)
        conn.set_progress_handler(lambda: int(time.monotonic() > self._deadline), _STEPS)

    def query(self, statement: str) -> tuple[list[str], Iterator[list[tuple[Any, ...]]]]:
        """Run one statement; the column names, and its rows in batches as they are read.

        Raises:
            ReadOnlyError: the statement is not a question.
            TimeLimitError: the time is up; also while rows are read.
            UsageError: SQLite does not understand it.
            KeyboardInterrupt: Ctrl-C was pressed while SQLite worked.
        """
        cursor = self._conn.cursor()
        with _Clock(self):
            cursor.execute(statement)
        if cursor.description is None:
            raise ReadOnlyError(
                "There is no question in it: hfmap sql takes one SELECT.",
                hint="See the tables: hfmap sql --schema",
            )
        return [str(column[0]) for column in cursor.description], self._batches(cursor)

    def _batches(self, cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
        size = 1
        while True:
            with _Clock(self):
                rows = cursor.fetchmany(size)
            if not rows:
                return
            yield rows
            # The first row is shown at once, the rest at speed.
            size = min(size * 4, 256)


class _Clock:
    """Counts the time inside it against the limit, and explains the errors that come out."""

    def __init__(self, guarded: GuardedConnection) -> None:
        self._guarded = guarded

    def __enter__(self) -> None:
        self._start = time.monotonic()
        self._guarded._deadline = self._start + self._guarded._left
        # A single function call (instr, replace) over megabytes is one step, and may take hours.
        self._last_resort = threading.Timer(self._guarded._left + GRACE, self._give_up)
        self._last_resort.daemon = True
        self._last_resort.start()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._last_resort.cancel()
        late = time.monotonic() > self._guarded._deadline
        self._guarded._left -= time.monotonic() - self._start
        self._guarded._deadline = float("inf")
        if isinstance(error, sqlite3.Error | OverflowError | ValueError):
            raise _explain(error, late=late, seconds=self._guarded._seconds) from error

    def _give_up(self) -> None:
        if self._guarded._stuck is not None:
            self._guarded._stuck(_too_long(self._guarded._seconds))


def _too_long(seconds: float) -> TimeLimitError:
    return TimeLimitError(
        f"The query took longer than {seconds:g} s and was stopped.",
        hint="Give it more time with --timeout SECONDS, or ask for less.",
    )


def _explain(error: Exception, *, late: bool, seconds: float) -> BaseException:
    text = str(error)
    if "interrupted" in text:
        if late:
            return _too_long(seconds)
        # Ctrl-C reaches Python inside the progress handler, where SQLite turns it into an interrupt.
        return KeyboardInterrupt()
    if any(word in text for word in ("authoriz", "prohibited", "readonly", "may not be modified", "attached")):
        return ReadOnlyError(
            f"hfmap sql only reads, and this would do more ({text}).",
            hint="To change a copy: cp the file and open it with any SQLite tool.",
        )
    if "one statement" in text:
        return ReadOnlyError("hfmap sql takes one statement at a time.", hint="Leave out what follows the first ';'.")
    if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _FAULTS:
        return error
    return UsageError(f"SQLite refuses the query: {text.rstrip('.')}.", hint="See the tables: hfmap sql --schema")


def _authorize(action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None) -> int:
    if action in _ALLOWED:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _FUNCTIONS_REFUSED:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_UPDATE and first == "sqlite_master":
        # So SQLite asks when it declares a virtual table (full-text search, json_each) to itself. A statement
        # that really updates this table is refused by SQLite, by query_only and by mode=ro.
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA:
        name = (first or "").lower()
        if name in _PRAGMAS and (second is None or name in _PRAGMAS_WITH_NAME):
            return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


PROMISED = ("datasets", "quotes", "spending", "run")
"""The views and the table that people may rely on; `schema` names them first."""


@dataclass(frozen=True, slots=True)
class SchemaColumn:
    """A column of a view or table; `kind` says which of the two, `type` is empty where SQLite knows none."""

    name: str
    kind: str
    column: str
    type: str


def schema(conn: sqlite3.Connection) -> list[SchemaColumn]:
    """List the columns of all views and tables: the promised ones first, then other views, then tables."""
    listed = conn.execute(
        # What full-text search keeps for itself is of use to nobody.
        "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow'"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    order = {name: place for place, name in enumerate(PROMISED)}
    columns = []
    for name, kind in sorted(listed, key=lambda t: (order.get(t[0], len(order)), t[1] != "view", t[0])):
        for column in conn.execute("SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden <> 1", (name,)):
            columns.append(SchemaColumn(name, kind, *column))
    return columns
