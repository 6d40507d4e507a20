"""Wait between calls, on a clock that tests can turn.

Whatever waits of its own accord waits here: back-off, pauses before a service that stumbles, a quota's window, the pace
of calls, batches that linger for more cards, looks at a batch of a service. How long somebody else may take (a page, a
card, an answer) is not measured here but by anyio's own time limits.

For tests: `with turned(100):` lets these waits pass a hundred times as fast in this process, and all alike, so that what
depends on their order happens as ever. Events and the ledger still name the seconds that were to be waited. Where a
run is a process of its own, call `turn(100)` in it before the run starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

_speed = 1.0


def turn(speed: float) -> None:
    """Let waits pass `speed` times as fast from now on; those that have begun end as they would have."""
    global _speed  # noqa: PLW0603 - one clock a process, as there is one time
    if not 0 < speed < float("inf"):
        raise ValueError(f"a clock cannot run at {speed} times its pace")
    _speed = speed


@contextmanager
def turned(speed: float) -> Iterator[None]:
    """Let waits pass `speed` times as fast within the block."""
    before = _speed
    turn(speed)
    try:
        yield
    finally:
        turn(before)


def now() -> float:
    """Return the time in seconds since some moment in the past; call in an event loop."""
    return anyio.current_time() * _speed


async def sleep(seconds: float, *, unless: anyio.Event | None = None) -> None:
    """Wait so long, but no longer than until `unless` is set."""
    if unless is None:
        await anyio.sleep(seconds / _speed)
        return
    with anyio.move_on_after(seconds / _speed):
        await unless.wait()


def move_on_after(seconds: float) -> anyio.CancelScope:
    """Make a block that is left after so long; see `anyio.move_on_after`."""
    return anyio.move_on_after(seconds / _speed)
