"""Questions to a database of hfmap: a connection in, frozen dataclasses out. What the command line prints is asked here.

from pathlib import Path
from engine.queries import open_database

with open_database(Path("hfmap.sqlite")) as conn:
    ...
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.store.connection import open_readonly


@contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading: rows addressed by name or number; text that is not UTF-8 never raises.

    The connection sees what was last committed, also while a sync runs, and belongs to the thread that opened it.

    Raises:
        StoreError: there is no such file, or it is not a present hfmap database.
    """
    conn = open_readonly(path)
    try:
        conn.row_factory = sqlite3.Row
        conn.text_factory = lambda raw: raw.decode("utf-8", "replace")
        yield conn
    finally:
        conn.close()
