"""Opening the database from the event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
import anyio

from engine.store.connection import BUSY_MS


@asynccontextmanager
async def open_async(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    """Open a prepared database on a thread of its own, in autocommit mode."""
    conn = await aiosqlite.connect(path, isolation_level=None, timeout=BUSY_MS / 1000)
    try:
        for pragma in ("foreign_keys = ON", "synchronous = NORMAL", f"busy_timeout = {BUSY_MS}"):
            await conn.execute(f"PRAGMA {pragma}")
        yield conn
    finally:
        # Also a cancelled run waits for the connection's thread; left alone it would outlive the event loop.
        with anyio.CancelScope(shield=True):
            await conn.close()
