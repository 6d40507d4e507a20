"""What the clients of services share."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import anyio.to_thread

from engine.errors import TransientError
from engine.retry_after import retry_after

__all__ = ["UnansweredError", "imported", "retry_after", "safe", "short", "whole", "within"]


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


def short(error: object, length: int = 200) -> str:
    """Return an error's text on one line, cut."""
    text = " ".join(str(error).split())
    return (text[: length - 1] + "…" if len(text) > length else text) or type(error).__name__


def safe(text: object, key: str) -> str:
    """Return what a service says of a refused call, on one line, cut, and without the key that it may repeat."""
    return short(str(text).replace(key, "***") if key else text)


def whole(value: object) -> int:
    """Return a number of tokens as a service reports it; 0 where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62 else 0
