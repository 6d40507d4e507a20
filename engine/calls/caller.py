"""Retry, pace and break calls to one service."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import tenacity

from engine.calls import clock
from engine.calls.breaker import ATTEMPTS, Breaker
from engine.calls.pacing import Pacer
from engine.errors import HfmapError, ProviderError, TransientError
from engine.events import Bus, CallRetried, Stage, WaitingChanged

T = TypeVar("T")

MOST_ATTEMPTS = 24
"""Tries of one call in all. A refusal as too many is no fault of the call: where a fifth of all requests are refused by
chance, and a tenth fail, 8 tries of every kind lost 3 of 1,000 cards."""

LONGEST_BACK_OFF = 20.0


class Caller:
    """Make calls to one service, no more than `at_once` allows, however many tasks want to.

    Args:
        name: the service's, as the first word of a sentence.
        stage: at which calls that wait for the pace are shown.
        attempts: tries of one call that may fail; see `ATTEMPTS`.
    """

    def __init__(
        self, name: str, *, at_once: anyio.CapacityLimiter, bus: Bus, stage: Stage, attempts: int = ATTEMPTS
    ) -> None:
        self._bus = bus
        self._at_once = at_once
        self._attempts = attempts
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
            stop=lambda _: faults >= self._attempts or attempts >= MOST_ATTEMPTS,
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
            if (closed := self._closed_until - clock.now()) > 0:
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
        return paced or self._closed_until > clock.now() or (self.breaker.doubtful and not probe)

    async def _place_held(self, ask: Callable[[], Awaitable[T]], probe: bool) -> T:
        self.breaker.check()
        started = clock.now()
        try:
            answer = await ask()
        except HfmapError as error:
            self.breaker.failed(error, probe=probe)
            if isinstance(error, TransientError) and error.limited:
                if error.closed and error.retry_after:
                    self._closed_until = max(self._closed_until, clock.now() + error.retry_after)
                self._pacer.refused(started)
            else:
                self._pacer.let_through()
            raise
        self.breaker.succeeded()
        self._pacer.let_through()
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
