"""Calling a service: paced, limited, retried, and left alone once it is down, in this one place."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import tenacity

from engine.calls.pacing import Pacer
from engine.errors import (
    HfmapError,
    KeyRefusedError,
    ProviderError,
    QuotaError,
    ServiceDownError,
    TransientError,
)
from engine.events import Bus, CallRetried, Stage, WaitingChanged

T = TypeVar("T")

ATTEMPTS = 8
"""Tries of one call that may fail, not counting those that were refused as too many."""

MOST_ATTEMPTS = 24
"""Tries of one call in all. A refusal as too many is no fault of the call: where a fifth of all requests are refused by
chance, and a tenth fail, 8 tries of every kind lost 3 of 1,000 cards."""

LONGEST_RETRY_AFTER = 310.0
"""Seconds. The Hub's quotas are counted in windows of 5 minutes; who is told to wait longer had better come back."""

LONGEST_BACK_OFF = 20.0

DOUBTS = 4
"""Failures in a row after which a service is taken to stumble; as many as call at once, where those are more."""

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each of the calls that find out, one at a time, whether it is down: a restart takes some seconds."""

BREAKER_FAILURES = 24
"""Refusals of single requests in a row after which a service is taken to refuse all."""


class Breaker:
    """Opens when a service fails all calls, and then single calls after ever longer pauses.

    Rate limits do not count, for a service that refuses is alive, unless it lets nothing through for longer than any
    quota lasts that is counted in minutes.
    """

    def __init__(self, name: str, places: int) -> None:
        self._name = name
        self._doubts = max(DOUBTS, places)
        self._in_a_row = 0
        self._probes = 0
        self._rejected_in_a_row = 0
        self._limited_in_a_row = 0
        self._limited_since = 0.0
        self._opened = anyio.Event()
        self.fatal: HfmapError | None = None
        """What made calling pointless, if anything."""

    def check(self) -> None:
        """Raise what made calling pointless.

        Raises:
            KeyRefusedError, QuotaError: the service refused the account.
            ServiceDownError: it is down, or wants to be left alone for long.
        """
        if self.fatal is not None:
            raise self.fatal

    @property
    def doubtful(self) -> bool:
        """Whether the service seems to be down: call it one at a time, each time after `pause` seconds."""
        return self.fatal is None and self._in_a_row >= self._doubts

    @property
    def pause(self) -> float:
        """Seconds to wait before the next call to a service that seems to be down."""
        return PAUSES[min(self._probes, len(PAUSES) - 1)]

    def succeeded(self) -> None:
        """Count a good answer."""
        self._in_a_row = self._probes = self._rejected_in_a_row = self._limited_in_a_row = 0

    def failed(self, error: HfmapError, *, probe: bool = False) -> None:
        """Count a failure, maybe of a `probe`; one that concerns every call opens the breaker at once."""
        if self.fatal is not None:
            return
        if isinstance(error, (KeyRefusedError, QuotaError, ServiceDownError)):
            self.open(error)
        elif isinstance(error, TransientError):
            if error.retry_after is not None and error.retry_after > LONGEST_RETRY_AFTER:
                self._down(f"{self._name} asks to be left alone for {error.retry_after / 60:,.0f} minutes.")
            elif error.limited:
                self._limited(anyio.current_time(), error)
            else:
                self._in_a_row += 1
                self._probes += probe
                # One call alone that fails for good must not look like a service that is down.
                if self._probes >= len(PAUSES) and self._in_a_row > ATTEMPTS:
                    calls = f"{self._in_a_row} calls in a row failed"
                    self._down(f"{self._name} is down: {calls}, the last one because {error}.")
        elif type(error) is ProviderError:
            # To find the one text of a batch that is refused takes up to 8 refusals; so many concern no single text.
            self._rejected_in_a_row += 1
            if self._rejected_in_a_row >= BREAKER_FAILURES:
                self._down(f"{self._name} refuses every request, the last one because {error}.")

    def unreached(self, error: TransientError) -> None:
        """Take for down what one call has found no way to in all its tries, and no other call in the meantime."""
        if self.fatal is None and self._in_a_row >= ATTEMPTS:
            self._down(f"{self._name} is down: {error}.")

    def _limited(self, now: float, error: TransientError) -> None:
        if not self._limited_in_a_row:
            self._limited_since = now
        self._limited_in_a_row += 1
        lasted = now - self._limited_since
        if lasted > LONGEST_RETRY_AFTER and self._limited_in_a_row > ATTEMPTS:
            minutes = f"{lasted / 60:,.0f} minutes"
            self._down(f"{self._name} has let no call through for {minutes}, the last one because {error}.")

    async def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than calling makes sense."""
        with anyio.move_on_after(seconds):
            await self._opened.wait()

    def _down(self, why: str) -> None:
        self.open(ServiceDownError(why, hint="Run the same command again later; what was done is kept."))

    def open(self, error: HfmapError) -> None:
        """Let no further call be made, and end the waits between attempts."""
        self.fatal = error
        self._opened.set()


class Caller:
    """Makes calls to one service, no more than `at_once` allows, however many tasks want to."""

    def __init__(self, name: str, *, at_once: anyio.CapacityLimiter, bus: Bus, stage: Stage) -> None:
        self._bus = bus
        self._at_once = at_once
        self._kept: set[int] = set()  # tasks that keep their place
        self._closed_until = float("-inf")
        self._pacer = Pacer(lambda waiting: bus(WaitingChanged(stage, waiting)))
        self._probing = anyio.Lock()
        self.breaker = Breaker(name, int(at_once.total_tokens))

    async def call(self, stage: Stage, ask: Callable[[], Awaitable[T]], *, keep: bool = False) -> tuple[T, int]:
        """Make one call, as often as it takes; return the answer and the number of attempts.

        With `keep` the task's place stays taken after a good answer, until its next call or `release`.

        Raises:
            KeyRefusedError, QuotaError, ServiceDownError: there is no point in calling this service in this run.
            HfmapError: `ask` failed for good, or too often; a ProviderError's `attempts` says how often.
        """
        attempts = faults = 0

        def before_sleep(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            limited = isinstance(error, TransientError) and error.limited
            self._bus(CallRetried(stage, str(error), state.upcoming_sleep, limited))

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(self._worth_retrying),
            stop=lambda _: faults >= ATTEMPTS or attempts >= MOST_ATTEMPTS,
            wait=_wait,
            before_sleep=before_sleep,
            sleep=self.breaker.sleep,
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    attempts += 1
                    try:
                        answer = await self._once(ask, keep)
                    except TransientError as error:
                        faults += not error.limited
                        raise
        except ProviderError as error:
            if isinstance(error, TransientError) and error.unreached:
                self.breaker.unreached(error)
            fatal = self.breaker.fatal
            if isinstance(error, TransientError) and fatal is not None:
                # It did not fail by itself: it is left for the next run like those that were never made.
                raise fatal from error
            error.attempts = attempts
            raise
        return answer, attempts

    def _worth_retrying(self, error: BaseException) -> bool:
        return isinstance(error, TransientError) and self.breaker.fatal is None

    def release(self) -> None:
        """Give up the place that the present task has kept, if it has."""
        if self._keeps():
            self._kept.remove(anyio.get_current_task().id)
            self._at_once.release()

    def _keeps(self) -> bool:
        return anyio.get_current_task().id in self._kept

    async def _once(self, ask: Callable[[], Awaitable[T]], keep: bool) -> T:
        while True:
            if (closed := self._closed_until - anyio.current_time()) > 0:
                # Whoever waits for a place would only be refused, one after the other.
                self.release()
                await self.breaker.sleep(closed + _spread_seconds())
                self.breaker.check()
            async with self._alone_if_doubtful() as probe:
                unpaced = self._pacer.rate is None
                if not (unpaced and self._keeps()):
                    # Waiting for the pace comes first: a caller that waits must not hold one of the places.
                    self.release()
                    await self._pacer.wait()
                    await self._at_once.acquire()
                    self._kept.add(anyio.get_current_task().id)
                good = False
                try:
                    if self._changed(unpaced, probe):
                        continue
                    answer = await self._place_held(ask, probe)
                    good = True
                    return answer
                finally:
                    if not (good and keep):
                        self.release()

    @asynccontextmanager
    async def _alone_if_doubtful(self) -> AsyncIterator[bool]:
        """While the service seems to be down, let in one at a time, after a pause; yield whether that was necessary."""
        if self.breaker.doubtful:
            self.release()
            async with self._probing:
                if self.breaker.doubtful:
                    await self.breaker.sleep(self.breaker.pause)
                    yield True
                    return
        yield False

    def _changed(self, unpaced: bool, probe: bool) -> bool:
        """Whether, while a call queued for its place, a pace was set, or the service closed or began to stumble.

        It would start as one of a herd.
        """
        paced = unpaced and self._pacer.rate is not None
        return paced or self._closed_until > anyio.current_time() or (self.breaker.doubtful and not probe)

    async def _place_held(self, ask: Callable[[], Awaitable[T]], probe: bool) -> T:
        self.breaker.check()
        started = anyio.current_time()
        try:
            answer = await ask()
        except HfmapError as error:
            self.breaker.failed(error, probe=probe)
            if isinstance(error, TransientError) and error.limited:
                if error.closed and error.retry_after:
                    self._closed_until = max(self._closed_until, anyio.current_time() + error.retry_after)
                await self._pacer.refused(started)
            else:
                await self._pacer.let_through()
            raise
        self.breaker.succeeded()
        await self._pacer.let_through()
        return answer


_back_off = tenacity.wait_exponential_jitter(multiplier=0.5, max=LONGEST_BACK_OFF, jitter=0.5)


def _spread_seconds() -> float:
    """A little time, so that those who wait for the same moment do not all start at it."""
    return random.uniform(0, 0.25)  # noqa: S311 - no secret


def _wait(state: tenacity.RetryCallState) -> float:
    """Wait as long as the service asks, or back off exponentially; never all at the same moment."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, TransientError) else None
    # A service that asks for no wait is not to be asked again at once, either.
    return _back_off(state) if not asked else asked + _spread_seconds()
