"""Break off calling a service that is down, refuses everybody, or wants to be left alone for long."""

from __future__ import annotations

import anyio

from engine.calls import clock
from engine.errors import HfmapError, KeyRefusedError, QuotaError, RejectedError, ServiceDownError, TransientError

ATTEMPTS = 8
"""Tries of one call that may fail, not counting those that were refused as too many."""

LONGEST_RETRY_AFTER = 310.0
"""Seconds. The Hub's quotas are counted in windows of 5 minutes; who is told to wait longer had better come back."""

DOUBTS = 4
"""Failures in a row after which a service is taken to stumble; as many as call at once, where those are more."""

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each of the calls that find out, one at a time, whether it is down: a restart takes some seconds."""

BREAKER_FAILURES = 24
"""Refusals of single requests in a row after which a service is taken to refuse all."""


class Breaker:
    """Open when a service fails all calls, and then single calls after ever longer pauses.

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
                self._limited(clock.now(), error)
            else:
                self._in_a_row += 1
                self._probes += probe
                # One call alone that fails for good must not look like a service that is down.
                if self._probes >= len(PAUSES) and self._in_a_row > ATTEMPTS:
                    calls = f"{self._in_a_row} calls in a row failed"
                    self._down(f"{self._name} is down: {calls}, the last one because {error}.")
        elif isinstance(error, RejectedError):
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
        await clock.sleep(seconds, unless=self._opened)

    def _down(self, why: str) -> None:
        self.open(ServiceDownError(why, hint="Run the same command again later; what was done is kept."))

    def open(self, error: HfmapError) -> None:
        """Let no further call be made, and end the waits between attempts."""
        self.fatal = error
        self._opened.set()
