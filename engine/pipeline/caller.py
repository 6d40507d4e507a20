"""Calling a service: paced, limited, retried, and left alone once it is down, in this one place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import tenacity

from engine.errors import (
    HfmapError,
    KeyRefusedError,
    ProviderError,
    QuotaError,
    ServiceDownError,
    TransientError,
)
from engine.events import Bus, CallRetried, Stage, WaitingChanged
from engine.pipeline.pacing import Pacer

T = TypeVar("T")

ATTEMPTS = 8
"""Tries of one call, the first included. Under a hard rate limit 2 retries lost a tenth of all calls, 8 none."""

LONGEST_RETRY_AFTER = 60.0
"""Seconds. A service may ask for an hour; a run that waits so long is better ended and repeated."""

LONGEST_BACK_OFF = 20.0

BREAKER_FAILURES = 24
"""Failures in a row, over all callers, after which a service is taken to be down."""


class Breaker:
    """Opens after too many failures in a row. Rate limits do not count: a service that refuses is alive."""

    def __init__(self, name: str, failures: int = BREAKER_FAILURES) -> None:
        self._name = name
        self._failures = failures
        self._in_a_row = 0
        self.fatal: HfmapError | None = None
        """What made calling pointless, if anything."""

    def check(self) -> None:
        """Raise what made calling pointless.

        Raises:
            KeyRefusedError, QuotaError: the service refused the account.
            ServiceDownError: it is down.
        """
        if self.fatal is not None:
            raise self.fatal

    def succeeded(self) -> None:
        """Count a good answer."""
        self._in_a_row = 0

    def failed(self, error: HfmapError) -> None:
        """Count a failure; one that concerns the account opens the breaker at once."""
        if isinstance(error, (KeyRefusedError, QuotaError)):
            self.fatal = self.fatal or error
        elif isinstance(error, TransientError) and not error.limited:
            self._in_a_row += 1
            if self._in_a_row >= self._failures and self.fatal is None:
                self.fatal = ServiceDownError(
                    f"{self._name} is down: {self._in_a_row} calls in a row failed, the last one because {error}.",
                    hint="Run the same command again later; what was done is kept.",
                )


class Caller:
    """Makes calls to one service, no more than `at_once` allows, however many tasks want to."""

    def __init__(self, name: str, *, at_once: anyio.CapacityLimiter, bus: Bus, stage: Stage) -> None:
        self._bus = bus
        self._at_once = at_once
        self._pacer = Pacer(lambda waiting: bus(WaitingChanged(stage, waiting)))
        self.breaker = Breaker(name)

    async def call(self, stage: Stage, ask: Callable[[], Awaitable[T]]) -> tuple[T, int]:
        """Make one call, as often as it takes; return the answer and the number of attempts.

        Raises:
            HfmapError: `ask` failed for good, or too often; a ProviderError's `attempts` says how often.
        """
        attempts = 0

        def before_sleep(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            limited = isinstance(error, TransientError) and error.limited
            self._bus(CallRetried(stage, str(error), state.upcoming_sleep, limited))

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(self._worth_retrying),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_wait,
            before_sleep=before_sleep,
            sleep=anyio.sleep,
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    attempts += 1
                    async with self._place():
                        answer = await ask()
        except ProviderError as error:
            error.attempts = attempts
            raise
        return answer, attempts

    def _worth_retrying(self, error: BaseException) -> bool:
        return isinstance(error, TransientError) and self.breaker.fatal is None

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        # Waiting for the pace comes first: a caller that waits must not hold one of the places.
        await self._pacer.wait()
        async with self._at_once:
            self.breaker.check()
            started = anyio.current_time()
            try:
                yield
            except HfmapError as error:
                if isinstance(error, TransientError) and error.limited:
                    await self._pacer.refused(started)
                self.breaker.failed(error)
                raise
        self.breaker.succeeded()
        await self._pacer.succeeded()


_back_off = tenacity.wait_exponential_jitter(multiplier=0.5, max=LONGEST_BACK_OFF, jitter=0.5)
_spread = tenacity.wait_random(0, 0.25)


def _wait(state: tenacity.RetryCallState) -> float:
    """Wait as long as the service asks, within reason, or back off exponentially; never all at the same moment."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, TransientError) else None
    if asked is None:
        return _back_off(state)
    return min(asked, LONGEST_RETRY_AFTER) + _spread(state)
