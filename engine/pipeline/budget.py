"""Money that may still be spent.

Before a call the most it can cost is reserved; afterwards the reservation is replaced by what it did cost. So the sum
of what is spent and what is in flight never passes the limit. A call that finds no room waits for others to settle:
their reservations are nearly always larger than their cost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from engine.errors import BudgetReachedError


class Reservation:
    """Room held for one call. `settle` says what it cost."""

    def __init__(self, usd: float) -> None:
        self.usd = usd
        self.cost = 0.0

    def settle(self, usd: float) -> None:
        """Record what was spent under this reservation; may be called once per attempt."""
        self.cost += usd


class Budget:
    """At most `limit` US dollars in one run; None is no limit."""

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.spent = 0.0
        self._reserved = 0.0
        self._settled = anyio.Condition()
        # A service may count more tokens than can be foreseen from the text; what it did once it may do again.
        self._overrun = 1.0

    @asynccontextmanager
    async def reserve(self, usd: float) -> AsyncIterator[Reservation]:
        """Hold room for a call that costs at most `usd`.

        Raises:
            BudgetReachedError: there is no room, and nothing in flight that could free some.
        """
        if self.limit is None or usd == 0:
            reservation = Reservation(usd)
            try:
                yield reservation
            finally:
                self.spent += reservation.cost
            return
        async with self._settled:
            while self.spent + self._reserved + usd * self._overrun > self.limit:
                if self._reserved == 0:
                    raise BudgetReachedError(
                        f"The budget of ${self.limit:.2f} is reached: ${self.spent:.4f} spent, and the next call "
                        f"may cost ${usd * self._overrun:.4f}.",
                        hint="Run again with a larger --budget; what was done is kept.",
                    )
                await self._settled.wait()
            held = usd * self._overrun
            self._reserved += held
        reservation = Reservation(held)
        try:
            yield reservation
        finally:
            with anyio.CancelScope(shield=True):
                async with self._settled:
                    # Reservations are sums of many floats; when none is left the sum must be nought again.
                    self._reserved = max(0.0, self._reserved - held)
                    if self._reserved < 1e-12:
                        self._reserved = 0.0
                    self.spent += reservation.cost
                    if reservation.cost > usd:
                        self._overrun = max(self._overrun, 1.25 * reservation.cost / usd)
                    self._settled.notify_all()
