"""Write to the database from many tasks, through one connection that commits for all of them together.

Tasks hand over statements and wait until they are committed. Whatever has gathered while the last transaction
ran goes into the next one (group commit), so a burst costs one transaction and a single change is not kept
waiting. A cancelled task's statements are committed all the same once they are taken up.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectSendStream

from engine.store.connection import connect

T = TypeVar("T")
Row = Sequence[Any]

LARGEST_BATCH = 200
"""Changes per transaction. Larger ones commit no faster and make readers of the WAL wait longer."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement and the rows to run it with."""

    sql: str
    rows: Sequence[Row]


def statement(sql: str, *values: Any) -> Statement:
    """Make a statement for one row."""
    return Statement(sql, (values,))


def to_json(value: object) -> str:
    """Write JSON the one way that is stored: compact, readable text, keys in the order given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(slots=True)
class _Change:
    statements: tuple[Statement, ...]
    done: anyio.Event = field(default_factory=anyio.Event)
    error: BaseException | None = None
    posted: bool = False


@asynccontextmanager
async def open_writer(path: Path) -> AsyncIterator[Writer]:
    """Open a prepared database for writing; all that was handed over is committed when the block has ended.

    That holds for a cancelled block, too. `Path(":memory:")` gives an empty database that is gone afterwards.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    # A place of its own: a transaction never waits for what other tasks do in threads.
    place = anyio.CapacityLimiter(1)
    conn = await anyio.to_thread.run_sync(lambda: connect(path, any_thread=True), limiter=place)
    try:
        writer = Writer(conn, place)
        async with anyio.create_task_group() as tasks:
            await tasks.start(writer.commit_all)
            try:
                yield writer
            finally:
                writer.close()
    finally:
        # In the thread: a last connection that closes writes the WAL back.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(conn.close, limiter=place)


class Writer:
    """Owns the writing connection; see `open_writer`. Call `write` from any task.

    `place` is a limiter of one, for SQLite must not be entered by two threads at once.
    """

    def __init__(self, conn: sqlite3.Connection, place: anyio.CapacityLimiter) -> None:
        self._conn = conn
        self._place = place
        self._lost: sqlite3.Error | None = None
        self._send: MemoryObjectSendStream[_Change]

    async def commit_all(self, *, task_status: TaskStatus[None]) -> None:
        """Commit changes until `close`. Keeps going while it is shielded from a cancelled run."""
        self._send, receive = anyio.create_memory_object_stream[_Change](LARGEST_BATCH)
        task_status.started()
        with anyio.CancelScope(shield=True), receive:
            async for first in receive:
                batch = [first]
                while len(batch) < LARGEST_BATCH:
                    try:
                        batch.append(receive.receive_nowait())
                    except (anyio.WouldBlock, anyio.EndOfStream):
                        break
                await self._commit(batch)

    def close(self) -> None:
        """Let `commit_all` end once everything handed over is committed."""
        self._send.close()

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function on the writing connection, in autocommit mode, between two transactions; return its result."""
        return await anyio.to_thread.run_sync(function, self._conn, limiter=self._place)

    async def write(self, *statements: Statement) -> None:
        """Commit the statements together; return when they are on disk.

        Raises:
            sqlite3.Error: they could not be stored; none of them is.
        """
        if self._lost is not None:
            raise self._lost
        change = _Change(statements)
        await self._send.send(change)
        await change.done.wait()
        if change.error is not None:
            raise change.error

    async def post(self, *statements: Statement) -> None:
        """Hand over statements without waiting for their commit; an error is raised by a later `write`.

        They are committed before, or together with, whatever is handed over afterwards.
        """
        await self._send.send(_Change(statements, posted=True))

    async def _commit(self, batch: list[_Change]) -> None:
        # A full or lost disk refuses what follows as well; rows that refer to those it has refused would hide the reason.
        down = isinstance(self._lost, sqlite3.OperationalError)
        error = self._lost if down else None
        if not down:
            try:
                await self._transaction(change.statements for change in batch)
            except sqlite3.Error as refused:
                error = refused
        if error is not None and not down and len(batch) > 1:
            # One bad change must not take its neighbours with it.
            for change in batch:
                await self._commit([change])
            return
        for change in batch:
            change.error = error
            if error is not None and (change.posted or isinstance(error, sqlite3.OperationalError)):
                self._lost = error
            change.done.set()

    async def _transaction(self, changes: Iterable[tuple[Statement, ...]]) -> None:
        # One trip to SQLite's thread for all of it: with one a statement, those who wait for the commit, and keep a
        # place among the calls meanwhile, would wait for as many turns of a busy event loop.
        statements = _merge(changes)
        await self.run(lambda conn: _transact(conn, statements))


def _transact(conn: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    conn.execute("BEGIN IMMEDIATE")
    try:
        for one in statements:
            conn.executemany(one.sql, one.rows)
        conn.execute("COMMIT")
    except sqlite3.Error:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


def _merge(changes: Iterable[tuple[Statement, ...]]) -> list[Statement]:
    """Join equal statements of different changes, so that each is prepared once.

    Statements keep their order within a change: the nth statement of one change is only joined with the nth
    of others that have run the same n - 1 statements before it.
    """
    shapes: dict[tuple[str, ...], list[tuple[Statement, ...]]] = {}
    for change in changes:
        shapes.setdefault(tuple(one.sql for one in change), []).append(change)
    return [
        Statement(sql, [row for change in group for row in change[place].rows])
        for shape, group in shapes.items()
        for place, sql in enumerate(shape)
    ]
