"""Pace calls to one service: as fast as it allows, found by asking.

Calls start unpaced. They are looked at in spells of a second or so. While few are refused as "too many", the pace rises,
by ever larger steps; where many are, it falls to what got through (additive increase and multiplicative decrease, as TCP
does, but by how much is read off rather than guessed). Where going slower does not lessen the share of refusals, they do
not come of the pace: an overloaded service refuses some calls however few there are. Such a share is put up with.

There is no common pause after which all callers start at the same moment: that was measured to be four times slower.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio

from engine.calls import clock

FIRST = 10.0
"""Calls a second to begin with where nearly all of the first calls are refused: what got through then tells nothing."""

SLOWEST = 0.1
"""Calls a second below which the pace does not fall."""

LARGE_STEP = 2.0
"""Rise after a good spell, as long as no limit has been met."""

SMALL_STEP, MIDDLE_STEP = 1.02, 1.08
"""Rise after the first good spell below a limit; it doubles with each good spell in a row, up to the second number."""

STRAY = 0.05
"""Share of refusals in a good spell: at the very limit, calls that come a little early are refused now and then."""

CALLS = 24
"""Calls in a spell with refusals, so that their share means something; without any, CALLS / 3 are enough."""

SECONDS = 1.0
"""The shortest spell; half of it while no limit has been met."""

OVERLOAD = 6
"""Refusals that end a spell at once if they are more than three quarters of its calls."""

TELLING = 0.12
"""Share of refusals that is large enough to tell, by going slower, whether they come of the pace."""


class Pacer:
    """Let calls start no faster than the service allows. `waiting_changed` is told how many wait for their turn."""

    def __init__(self, waiting_changed: Callable[[int], None] = lambda _: None) -> None:
        self.rate: float | None = None
        """Calls a second that may start, or None while nothing has been refused."""
        self._turn = anyio.Lock()
        self._waiting = 0
        self._waiting_changed = waiting_changed
        self._last = float("-inf")  # start of a call
        self._began = 0.0  # of the present spell
        self._let = 0
        self._refused = 0
        self._step = LARGE_STEP
        self._before: tuple[float, float | None] | None = None  # share of refusals and pace before it was last lowered
        self._background = 0.0  # share of refusals that slower calls did not lessen

    async def wait(self) -> None:
        """Wait until a call may start. Whoever came first starts first."""
        self._began = self._began or clock.now()
        if self.rate is None:
            return
        self._change_waiting(1)
        try:
            # Only the first in the queue waits for the time to come, so that a new pace holds for all behind it at once.
            # One call each time: allowance that is saved up would let a burst start.
            async with self._turn:
                while self.rate is not None and (early := self._last + 1 / self.rate - clock.now()) > 0:
                    await clock.sleep(early)
                self._last = clock.now()
        finally:
            self._change_waiting(-1)

    def let_through(self) -> None:
        """Count a call that was let through, whatever became of it."""
        self._let += 1
        self._look()

    def refused(self, started: float) -> None:
        """Count a refusal of a call that started at `started` (by `clock.now`)."""
        if started >= self._began:
            # A call that was on its way before the pace last changed tells nothing of the present one.
            self._refused += 1
            self._look()

    def _look(self) -> None:
        """At the end of a spell, draw the lesson."""
        passed, refused = self._let, self._refused
        calls = passed + refused
        flood = OVERLOAD <= refused > 3 * passed
        if not flood and calls < (CALLS if refused else CALLS / 3):
            return
        now = clock.now()
        lasted = now - self._began
        if flood:
            self._before = None
            self._step = SMALL_STEP if self.rate else LARGE_STEP
            self._set(now, self.rate / 2 if self.rate else FIRST)
        elif lasted < (SECONDS / 2 if self._step == LARGE_STEP else SECONDS):
            return
        elif refused / calls > STRAY + 1.5 * self._background:
            self._lower(now, refused / calls, calls / lasted)
        else:
            self._before = None
            self._background = min(self._background, 0.8 * self._background + 0.2 * refused / calls)
            self._set(now, self._raised(calls / lasted))

    def _raised(self, observed: float) -> float | None:
        """The pace after a good spell in which so many calls a second were made."""
        if self.rate is None or observed < 0.5 * self.rate:
            return self.rate  # nobody wanted to go faster
        step = self._step
        if step < LARGE_STEP:
            self._step = min(MIDDLE_STEP, 1 + 2 * (step - 1))
        return self.rate * step

    def _lower(self, now: float, share: float, observed: float) -> None:
        """Slow down after a spell in which `share` of the calls was refused, and so many a second were made."""
        if self._before is not None and share >= 0.6 * self._before[0]:
            # Calls were made more seldom than they had got through, and the same share was refused again.
            (_, rate), self._before = self._before, None
            self._background, self._step = share, LARGE_STEP
        else:
            self._before = (share, self.rate) if share >= TELLING else None
            self._step = SMALL_STEP
            # Calls start a little later than the pace has it.
            made = self.rate if self.rate is not None and observed > 0.7 * self.rate else observed
            rate = made * (1 - share + self._background) * (0.95 if self._before else 1.0)
        self._set(now, rate)

    def _set(self, now: float, rate: float | None) -> None:
        self._began, self._let, self._refused = now, 0, 0
        self.rate = None if rate is None else max(SLOWEST, rate)

    def _change_waiting(self, by: int) -> None:
        self._waiting += by
        self._waiting_changed(self._waiting)
