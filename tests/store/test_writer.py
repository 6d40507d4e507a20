"""The one writer: committed when it returns, together or not at all, one bad change alone."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from engine.store.writer import Writer, open_writer, statement

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def a_writer(path: Path) -> AsyncIterator[Writer]:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS t (x INTEGER PRIMARY KEY, y)")
    async with open_writer(path) as writer:
        yield writer


def stored(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as conn:
        return [row[0] for row in conn.execute("SELECT x FROM t ORDER BY x")]


async def test_what_is_written_is_committed(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    async with a_writer(path) as writer:
        await writer.write(statement("INSERT INTO t VALUES (?, ?)", 1, "a"))
        assert stored(path) == [1]


async def test_many_tasks_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    async with a_writer(path) as writer, anyio.create_task_group() as tasks:
        for number in range(500):
            tasks.start_soon(writer.write, statement("INSERT INTO t VALUES (?, ?)", number, "a"))
    assert stored(path) == list(range(500))


async def test_one_bad_change_fails_alone_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    failed = []
    async with a_writer(path) as writer:

        async def one(number: int) -> None:
            twice = 0 if number == 7 else number
            try:
                await writer.write(
                    statement("INSERT INTO t VALUES (?, ?)", 1000 + number, "a"),
                    statement("INSERT INTO t VALUES (?, ?)", twice, "a"),
                )
            except sqlite3.IntegrityError:
                failed.append(number)

        await one(0)
        async with anyio.create_task_group() as tasks:
            for number in range(1, 20):
                tasks.start_soon(one, number)
    assert failed == [7]
    assert stored(path) == [n for n in range(20) if n != 7] + [1000 + n for n in range(20) if n != 7]


async def test_posted_statements_are_in_before_later_ones_and_their_error_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    async with a_writer(path) as writer:
        await writer.post(statement("INSERT INTO t VALUES (1, 'a')"))
        await writer.write(statement("UPDATE t SET y = 'b' WHERE x = 1"))
        with closing(sqlite3.connect(path)) as conn:
            assert conn.execute("SELECT y FROM t").fetchall() == [("b",)]
        await writer.post(statement("INSERT INTO t VALUES (1, 'again')"))
        # The first write may be committed together with the bad one, and is not to blame for it.
        await writer.write(statement("UPDATE t SET y = 'c'"))
        with pytest.raises(sqlite3.IntegrityError):
            await writer.write(statement("UPDATE t SET y = 'd'"))


async def test_a_full_disk_is_the_reason_for_all_that_follows(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    errors = []
    async with a_writer(path) as writer:
        await writer.run(lambda conn: conn.execute("CREATE TABLE child (x REFERENCES t, y)"))
        await writer.run(lambda conn: conn.execute("PRAGMA max_page_count = 1"))

        async def one(number: int) -> None:
            try:
                await writer.write(
                    statement("INSERT INTO t VALUES (?, zeroblob(100000))", number)
                    if number % 2
                    else statement("INSERT INTO child VALUES (?, 'refers to what was not stored')", number - 1)
                )
            except sqlite3.Error as error:
                errors.append(str(error))

        async with anyio.create_task_group() as tasks:
            for number in range(1, 11):
                tasks.start_soon(one, number)
    assert errors == ["database or disk is full"] * 10
    assert stored(path) == []


async def test_cancelled_while_waiting_it_is_stored_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    async with a_writer(path) as writer:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await writer.write(statement("INSERT INTO t VALUES (?, ?)", 1, "a"))
        await writer.write(statement("INSERT INTO t VALUES (?, ?)", 2, "a"))
    assert 2 in stored(path)


async def test_a_transaction_does_not_wait_for_what_other_tasks_do_in_threads(tmp_path: Path) -> None:
    path, over = tmp_path / "x.sqlite", threading.Event()
    places = anyio.to_thread.current_default_thread_limiter()
    places.total_tokens = 2
    async with a_writer(path) as writer, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(anyio.to_thread.run_sync, over.wait, 60)
        await anyio.wait_all_tasks_blocked()
        assert places.borrowed_tokens == places.total_tokens
        try:
            await writer.write(statement("INSERT INTO t VALUES (1, 'a')"))
            assert places.borrowed_tokens == places.total_tokens
        finally:
            over.set()


def test_however_a_run_ends_its_threads_end_with_it(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    async def ends(how: str) -> None:
        async with a_writer(tmp_path / f"{how}.sqlite") as writer:
            await writer.write(statement("INSERT INTO t VALUES (1, 'a')"))
            if how == "cancelled":
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(writer.write, statement("INSERT INTO t VALUES (2, 'b')"))
                    tasks.cancel_scope.cancel()
            elif how == "failed":
                raise ValueError(how)

    for how in ("done", "cancelled", "failed"):
        with suppress(ExceptionGroup):
            anyio.run(ends, how)
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)
    assert set(threading.enumerate()) == before
