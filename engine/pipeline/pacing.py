"""How fast a service is called: at its own pace, found by asking.

Calls start unpaced. The first "too many requests" sets a pace, a little under what just got through. From then on the
share of refused calls is looked at about once a second: without refusals the pace rises, by ever larger steps; with
refusals it falls to what got through (additive increase and multiplicative decrease, as TCP does, but by how much is
read off rather than guessed). Where going slower does not lessen the share of refusals, they do not come of the pace:
an overloaded service refuses some calls however few there are. Such a share is put up with, and the pace rises again.

There is no common pause after which all callers start at the same moment: that was measured to be four times slower.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import anyio
from aiolimiter import AsyncLimiter

FIRST = 10.0
"""Calls a second to begin with where a refusal came before anything could be measured."""

SLOWEST = 0.1
"""Calls a second below which the pace does not fall."""

SMALL_STEP = 1.03
"""Rise after the first spell without a refusal. Each further one in a row doubles the step."""

LARGE_STEP = 2.0
"""The largest rise, and the first one while no limit has been met yet."""

SPELL = 1.0
"""Seconds after which the share of refusals is looked at; longer where the pace is below 5 calls a second."""

ENOUGH = 4
"""Refusals that end a spell after a quarter of its time: the pace is far too high."""

STRAY = 0.02
"""Share of refusals that is let pass."""


class Pacer:
    """Lets calls start no faster than the service allows. `waiting_changed` is told how many wait for their turn."""

    def __init__(self, waiting_changed: Callable[[int], None] = lambda _: None) -> None:
        self._limiter: AsyncLimiter | None = None
        self._turn = anyio.Lock()
        self._waiting = 0
        self._waiting_changed = waiting_changed
        self._recent: deque[float] = deque(maxlen=64)  # when calls got through, while there is no pace
        self._last = float("-inf")  # start of a call
        self._began = float("-inf")  # of the present spell
        self._passed = 0
        self._refused = 0
        self._step = LARGE_STEP
        self._slower: tuple[float, float] | None = None  # share of refusals and pace before the pace was last lowered
        self._background = 0.0  # share of refusals that slower calls did not lessen

    @property
    def rate(self) -> float | None:
        """Calls a second that may start, or None while nothing has been refused."""
        return 1 / self._limiter.time_period if self._limiter else None

    async def wait(self) -> None:
        """Wait until a call may start. Whoever came first starts first."""
        if self._limiter is None:
            return
        self._change_waiting(1)
        try:
            # Only the first in the queue waits at the limiter, so that a new pace holds for all behind it at once.
            async with self._turn:
                limiter = None
                while limiter is not self._limiter:
                    limiter = self._limiter
                    await limiter.acquire()
                self._last = anyio.current_time()
        finally:
            self._change_waiting(-1)

    async def succeeded(self) -> None:
        """Count a call that got through."""
        now = anyio.current_time()
        if self._limiter is None:
            self._recent.append(now)
            return
        self._passed += 1
        await self._look(now)

    async def refused(self, started: float) -> None:
        """Count a refusal of a call that started at `started` (anyio's clock)."""
        now = anyio.current_time()
        if self._limiter is None:
            await self._set(now, 0.9 * self._measured())
        elif started >= self._began:
            # A call that was on its way before the pace last changed tells nothing of the present one.
            self._refused += 1
            await self._look(now)

    def _measured(self) -> float:
        """How many calls a second got through, where enough did to tell."""
        if len(self._recent) < 8:
            return FIRST
        return (len(self._recent) - 1) / max(0.05, self._recent[-1] - self._recent[0])

    async def _look(self, now: float) -> None:
        """At the end of a spell, draw the lesson."""
        rate, lasted, calls = self.rate or FIRST, now - self._began, self._passed + self._refused
        if lasted < (SPELL / 4 if self._refused >= ENOUGH else max(SPELL, 5 / rate)):
            return
        share = self._refused / calls
        if share > STRAY + 1.5 * self._background:
            await self._set(now, self._lowered(rate, share))
            return
        self._slower = None
        self._background = min(self._background, (self._background + share) / 2)
        if calls >= 0.5 * rate * lasted:  # else nobody wanted to go faster
            rate *= self._step
            self._step = min(LARGE_STEP, 1 + 2 * (self._step - 1))
        await self._set(now, rate)

    def _lowered(self, rate: float, share: float) -> float:
        """The pace after a spell with too many refusals."""
        if self._slower is not None and share >= 0.7 * self._slower[0]:
            # The pace was lowered by as much as was refused, and the same share is refused again.
            self._background, before, self._step, self._slower = share, self._slower[1], LARGE_STEP, None
            return before
        # Large shares come of a pace that is many times too high, and small ones by chance: neither tells.
        self._slower = (share, rate) if 0.1 <= share <= 0.5 else None
        self._step = SMALL_STEP
        return rate * max(0.5, 0.97 * (1 - share + self._background))

    async def _set(self, now: float, rate: float) -> None:
        self._began, self._passed, self._refused = now, 0, 0
        rate = max(SLOWEST, rate)
        if rate != self.rate:
            # A bucket of one call: anything larger would let a burst start at once. It is as empty as the last start
            # left it, and acquiring from a fresh limiter does not wait.
            limiter = AsyncLimiter(1, 1 / rate)
            await limiter.acquire(min(1.0, max(0.0, 1 - (now - self._last) * rate)))
            self._limiter = limiter

    def _change_waiting(self, by: int) -> None:
        self._waiting += by
        self._waiting_changed(self._waiting)
