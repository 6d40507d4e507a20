"""Open the database: for the writer, the passes and readers; and lock it, so that one command at a time writes."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from engine.errors import DatabaseBusyError, DatabaseTooNewError, StoreError
from engine.store.clock import utc_now
from engine.store.migrations import application_id, lend_views, migrate, schema_sql, schema_version, statements

if TYPE_CHECKING:
    import aiosqlite

BUSY_MS = 10_000
"""How long a connection waits for another's transaction; a batch takes milliseconds."""

LEAST_ROOM = 256 * 1024
"""Bytes. With less on a disk, a WAL and its index cannot grow."""


def prepare(path: Path) -> list[int]:
    """Create the database if there is none, migrate an older one, and refuse what is not ours.

    Returns:
        The versions that were migrated from; empty for a new or a present one.

    Raises:
        StoreError: not an hfmap database, damaged, not writable, or the disk is full.
        DatabaseTooNewError: written by a later hfmap.
    """
    with store_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        conn = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000)
        try:
            if conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
                create(conn)
                return []
            check_version(conn, path, allow_older=True)
            version = conn.execute("PRAGMA user_version").fetchone()[0]
            if version < schema_version():
                return migrate(conn, schema_sql(), to=schema_version())
            # A database that cannot be written is found out here, before anything is downloaded or paid for.
            conn.execute("BEGIN IMMEDIATE")
            conn.execute(f"PRAGMA user_version = {version}")
            conn.execute("COMMIT")
            return []
        finally:
            conn.close()


def create(conn: sqlite3.Connection) -> None:
    """Make the tables and views of an empty database."""
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("BEGIN IMMEDIATE")
    for statement in statements(schema_sql()):
        conn.execute(statement)
    conn.execute("COMMIT")


def check_version(conn: sqlite3.Connection, path: Path, *, allow_older: bool = False) -> None:
    """Refuse a database that this hfmap cannot read.

    Raises:
        StoreError: not hfmap's, or older than this hfmap reads without a migration.
        DatabaseTooNewError: written by a later hfmap.
    """
    if conn.execute("PRAGMA application_id").fetchone()[0] != application_id():
        raise StoreError(f"{path} is a SQLite database, but not one of hfmap's.", hint="Name another file with --db.")
    version = conn.execute("PRAGMA user_version").fetchone()[0]
    if version > schema_version():
        raise DatabaseTooNewError(
            f"{path} was written by a later hfmap (database version {version}; this hfmap knows {schema_version()}).",
            hint="Upgrade hfmap, or name another file with --db.",
        )
    if version < schema_version() and not allow_older:
        raise StoreError(
            f"{path} was written by an earlier hfmap (database version {version}, now {schema_version()}).",
            hint="Run `hfmap sync` or `hfmap map` on it once: they bring it up to date.",
        )


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say about `path` into sentences.

    Raises:
        StoreError: in place of sqlite3.Error and OSError.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise as_store_error(error, path) from error


def as_store_error(error: Exception, path: Path) -> StoreError:
    """Say in a sentence what SQLite or the file system reported about `path`."""
    text = str(error)
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorname", "") or ""
        # Where the shared memory of the WAL cannot grow, SQLite speaks of an input or output error.
        full = code.startswith("SQLITE_FULL") or "disk is full" in text
        if full or (code.startswith("SQLITE_IOERR") and _no_room(path)):
            return StoreError(
                f"The disk is full: {path} cannot grow.",
                hint="Free some space and run the same command again; all that was stored is kept.",
            )
        if code.startswith("SQLITE_READONLY") or "readonly" in text:
            return StoreError(
                f"{path} cannot be written: the file or its folder is read-only.",
                hint="Change its permissions, or name another file with --db.",
            )
        if code.startswith("SQLITE_NOTADB") or "not a database" in text:
            return StoreError(f"{path} is not a SQLite database.", hint="Name another file with --db.")
        if code.startswith("SQLITE_CORRUPT") or "malformed" in text:
            return StoreError(
                f"{path} is damaged ({text}).",
                hint=f"Restore a backup, or save what can be read with: sqlite3 {path} .recover",
            )
        if code.startswith("SQLITE_CANTOPEN"):
            return StoreError(f"{path} cannot be opened.", hint="Check that its folder exists and is writable.")
        if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or "locked" in text:
            return StoreError(f"{path} is locked by another program.", hint="Close it there, or wait, and run again.")
    return StoreError(f"{path} cannot be used: {text}.", hint="Check the path, or name another file with --db.")


def _no_room(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.absolute().parent).free < LEAST_ROOM
    except OSError:
        return False


def connect(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """Open a prepared database for writing, in autocommit mode.

    `any_thread`: it may be used by one thread after the other, never by two at once.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    conn = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=not any_thread)
    try:
        conn.execute("PRAGMA foreign_keys = ON")
        conn.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        conn.close()
        raise
    return conn


def missing_database(path: Path) -> StoreError:
    """The error of a command that needs a database where there is none."""
    return StoreError(
        f"There is no database at {path}.",
        hint="Make one: hfmap sync --source sample; or name yours: --db PATH",
    )


def open_readonly(path: Path) -> sqlite3.Connection:
    """Open an existing database for reading. It sees the last committed state, also while a sync runs.

    One of an earlier version is read as it is, where its tables are those of the present; see `lend_views`.

    Raises:
        StoreError: there is no such file, or it is not a database that can be read so.
    """
    if not path.is_file():
        raise missing_database(path)
    with store_errors(path):
        conn = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=BUSY_MS / 1000)
        try:
            check_version(conn, path, allow_older=True)
            older = conn.execute("PRAGMA user_version").fetchone()[0] < schema_version()
            check_version(conn, path, allow_older=older and lend_views(conn, schema_sql()))
            conn.execute("PRAGMA query_only = ON")
        except BaseException:
            conn.close()
            raise
        return conn


@contextmanager
def open_passes(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a prepared database for the synchronous passes, which read all and write their own tables.

    The connection is in autocommit mode; a pass writes inside `with transaction(conn)`.
    """
    with store_errors(path):
        conn = connect(path)
        try:
            yield conn
        finally:
            conn.close()


@contextmanager
def transaction(conn: sqlite3.Connection) -> Iterator[None]:
    """Commit what happens inside, or none of it."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        conn.execute("ROLLBACK")
        raise
    conn.execute("COMMIT")


@asynccontextmanager
async def open_reader(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    """Open a prepared database for reading from the event loop, on a thread of its own; it sees every committed change."""
    import aiosqlite
    import anyio

    conn = await aiosqlite.connect(path, isolation_level=None, timeout=BUSY_MS / 1000)
    try:
        await conn.execute("PRAGMA query_only = ON")
        yield conn
    finally:
        # Also a cancelled run waits for the connection's thread; left alone it would outlive the event loop.
        with anyio.CancelScope(shield=True):
            await conn.close()


@contextmanager
def writing(path: Path, command: str = "hfmap") -> Iterator[None]:
    """Hold the database for writing, as `command`. The lock is the kernel's: it goes with the process, however that ends.

    Raises:
        DatabaseBusyError: another process holds it; the sentence names it.
        StoreError: the lock file cannot be made.
    """
    from filelock import FileLock, Timeout

    with store_errors(path):
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    file = Path(f"{path}.lock")
    lock = FileLock(file, timeout=0)
    with store_errors(path):
        try:
            lock.acquire()
        except Timeout as error:  # an OSError too
            raise DatabaseBusyError(
                f"{path} is being written by {_holder(file)}.",
                hint="Wait until it has ended. `hfmap status` and `hfmap sql` work meanwhile.",
            ) from error
    try:
        # Not the ledger of runs: it does not know of a run that still migrates, and of one that was killed it says
        # that it is running. Where the name cannot be written the lock holds all the same.
        with suppress(OSError):
            file.write_text(json.dumps([command, os.getpid(), platform.node(), utc_now()]), encoding="utf-8")
        yield
    finally:
        lock.release()


def _holder(file: Path) -> str:
    """Name the process that writes, as it says in the lock file."""
    try:
        command, pid, host, since = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return "another process"
    return f"`{command}`, process {pid} on {host}, since {since}"
