"""Virtual time: an event loop in which nothing is waited for. What takes an hour there takes no time here."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


class _Patient(selectors.DefaultSelector):
    """Waits by adding to the time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and timeout is None:
            raise RuntimeError("everything waits for something that never happens")
        if not found and timeout is not None and timeout > 0:
            self.now += timeout
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._patient = _Patient()
        super().__init__(self._patient)

    def time(self) -> float:
        return self._patient.now


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run an async function that waits by the event loop alone: it may use no threads, and no sockets.

    Raises:
        RuntimeError: every task waits, and none for a time.
    """
    return anyio.run(work, backend="asyncio", backend_options={"loop_factory": _Loop})
