"""How fast a service is called: at its own pace, found by asking.

Calls start unpaced. The first "too many requests" sets a rate, a little under what just got through; while
calls go through it rises slowly, and each further refusal lowers it (additive increase, multiplicative decrease, as TCP
does). One refusal counts once however many calls were in flight when it came. There is no common pause after which
all callers start at the same moment: that was measured to be four times slower.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import anyio
from aiolimiter import AsyncLimiter

DECREASE = 0.75
"""What a refusal leaves of the rate."""

INCREASE = 0.05
"""Share by which the rate rises after as many good calls as it makes in a second."""

SLOWEST = 0.2
"""Calls a second below which the rate does not fall."""

WINDOW = 5.0
"""Seconds over which the rate of good calls is measured."""


class Pacer:
    """Lets calls start no faster than the service allows."""

    def __init__(self, waiting_changed: Callable[[int], None] = lambda _: None) -> None:
        self._limiter: AsyncLimiter | None = None
        self._good: deque[float] = deque()
        self._since_change = 0
        self._lowered_at = float("-inf")
        self._waiting = 0
        self._waiting_changed = waiting_changed

    @property
    def rate(self) -> float | None:
        """Calls a second that may start, or None while nothing has been refused."""
        return self._limiter.max_rate / self._limiter.time_period if self._limiter else None

    async def wait(self) -> None:
        """Wait until a call may start."""
        if self._limiter is None:
            return
        self._change_waiting(1)
        try:
            limiter = None
            # Whoever waited at a rate that has changed meanwhile queues again, at the new one.
            while limiter is not self._limiter:
                limiter = self._limiter
                await limiter.acquire()
        finally:
            self._change_waiting(-1)

    async def succeeded(self) -> None:
        """Count a call that went through."""
        now = anyio.current_time()
        self._good.append(now)
        while self._good[0] < now - WINDOW:
            self._good.popleft()
        rate = self.rate
        if rate is None:
            return
        self._since_change += 1
        if self._since_change >= max(1.0, rate):
            await self._set(rate * (1 + INCREASE))

    async def refused(self, started: float) -> None:
        """Count a refusal of a call that started at `started` (anyio's clock).

        A call that was on its way before the rate was last lowered tells nothing new.
        """
        if started < self._lowered_at:
            return
        now = anyio.current_time()
        rate = self.rate
        if rate is None:
            span = max(1.0, min(WINDOW, now - self._good[0])) if self._good else 1.0
            rate = max(len(self._good) / span, 1.0)
        self._lowered_at = now
        await self._set(rate * DECREASE)

    async def _set(self, rate: float) -> None:
        self._since_change = 0
        # A bucket of one call: anything larger would let a burst start at once. It starts full.
        self._limiter = AsyncLimiter(1, 1 / max(SLOWEST, rate))
        await self._limiter.acquire()

    def _change_waiting(self, by: int) -> None:
        self._waiting += by
        self._waiting_changed(self._waiting)
