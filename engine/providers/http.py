"""What the clients of services share."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import anyio.to_thread

from engine.errors import TransientError


class UnansweredError(TransientError):
    """The connection broke, or time ran out, after the question was sent: the service may charge for it all the same.

    A budget counts the most that such a call can have cost.
    """


async def imported(*names: str) -> list[Any]:
    """Import a client's library in a thread: that takes up to a second, in which other calls go on."""
    if not _ready.issuperset(names):
        await anyio.to_thread.run_sync(lambda: [import_module(name) for name in names])
        _ready.update(names)
    return [sys.modules[name] for name in names]


_ready: set[str] = set()
"""Modules whose import has ended: one that another thread is still at is in `sys.modules` too."""


@asynccontextmanager
async def within(seconds: float, service: str) -> AsyncIterator[None]:
    """Limit a whole call, to its last byte: a client's own time limits only measure the pauses between bytes.

    Raises:
        UnansweredError: it took longer.
    """
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError as error:
        raise UnansweredError(f"{service} did not answer within {seconds:g} s") from error
