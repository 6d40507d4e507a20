"""Spend no more than a budget allows.

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
    """Room held for one call. Say what became of it by `settle` or `lose`; without either it cost nothing."""

    def __init__(self, usd: float) -> None:
        self.usd = usd
        self.cost = 0.0
        self.lost = 0.0

    def settle(self, usd: float) -> None:
        """Record what the call cost."""
        self.cost = usd

    def lose(self) -> None:
        """Give the room up for good: whether the call was charged for is not known."""
        self.lost = self.usd


class Budget:
    """At most `limit` US dollars in one run; None is no limit. `spent` is what is known to have been spent."""

    def __init__(self, limit: float | None, *, spent: float = 0.0) -> None:
        self.limit = limit
        self.spent = spent
        self._lost = 0.0
        self._reserved = 0.0
        self._settled = anyio.Condition()
        # A service may count more tokens than can be foreseen from the text; what it did once it may do again.
        self._overrun = 1.0

    @property
    def room(self) -> float | None:
        """What a call may cost at most to be made at once, in US dollars; None where there is no limit."""
        if self.limit is None:
            return None
        return max(0.0, self.limit - self.spent - self._lost - self._reserved) / self._overrun * (1 - 1e-9)

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
        reservation = await self._hold(self.limit, usd)
        try:
            yield reservation
        finally:
            with anyio.CancelScope(shield=True):
                await self._release(reservation, usd)

    async def _hold(self, limit: float, usd: float) -> Reservation:
        async with self._settled:
            while self.spent + self._lost + self._reserved + usd * self._overrun > limit:
                if self._reserved == 0:
                    unknown = f", up to ${self._lost:.4f} on calls that broke off" if self._lost else ""
                    raise BudgetReachedError(
                        f"The budget of ${limit:.2f} is reached: ${self.spent:.4f} spent{unknown}, and the next call "
                        f"may cost ${usd * self._overrun:.4f}.",
                        hint="Run again with a larger --budget; what was done is kept.",
                    )
                await self._settled.wait()
            reservation = Reservation(usd * self._overrun)
            self._reserved += reservation.usd
            return reservation

    async def _release(self, reservation: Reservation, usd: float) -> None:
        async with self._settled:
            self._reserved -= reservation.usd
            # Reservations are sums of many floats; when none is left the sum must be nought again.
            if self._reserved < 1e-12:
                self._reserved = 0.0
            self.spent += reservation.cost
            self._lost += reservation.lost
            if reservation.cost > usd:
                self._overrun = max(self._overrun, 1.25 * reservation.cost / usd)
            self._settled.notify_all()
