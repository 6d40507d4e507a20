"""One writing command at a time on a database."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from engine.errors import DatabaseBusyError
from engine.store.clock import utc_now
from engine.store.connection import store_errors


@contextmanager
def writing(path: Path, command: str = "hfmap") -> Iterator[None]:
    """Hold the database for writing, as `command`. The lock is the kernel's: it goes with the process, however that ends.

    Raises:
        DatabaseBusyError: another process holds it; the sentence names it.
        StoreError: the lock file cannot be made.
    """
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
