"""One writing command at a time on a database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from engine.errors import DatabaseBusyError
from engine.store.connection import store_errors


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Hold the database for writing. The lock is the kernel's: it goes with the process, however that ends.

    Raises:
        DatabaseBusyError: another process holds it; the sentence names it.
        StoreError: the lock file cannot be made.
    """
    with store_errors(path):
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock", timeout=0)
    with store_errors(path):
        try:
            lock.acquire()
        except Timeout as error:  # an OSError too
            raise DatabaseBusyError(
                f"{path} is being written by {_holder(path)}.",
                hint="Wait until it has ended. `hfmap status` and `hfmap sql` work meanwhile.",
            ) from error
    try:
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    """Name the process that writes, as its row in the run ledger tells."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as conn:
            row = conn.execute(
                "SELECT command, pid, host, started_at FROM run WHERE outcome = 'running' ORDER BY run_id DESC LIMIT 1"
            ).fetchone()
    except sqlite3.Error:
        row = None
    if row is None:
        return "another process"
    return f"`hfmap {row[0]}`, process {row[1]} on {row[2]}, since {row[3]}"
