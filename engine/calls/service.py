"""Call a provider's model: within the budget, and with every call entered into the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import anyio

from engine.calls.budget import Budget
from engine.calls.caller import Caller
from engine.calls.context import RunContext
from engine.errors import HfmapError, ProviderError, UnansweredError
from engine.events import CallFinished, Stage
from engine.providers import price_of
from engine.providers.base import Completer, Embedder
from engine.providers.prices import Price
from engine.store.runs import CallRow, insert_call
from engine.usage import Usage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Service:
    """One model of one provider; see `service_for`. Local ones have no caller: they are neither limited nor entered."""

    provider: str
    model: str
    price: Price
    budget: Budget
    context: RunContext
    caller: Caller | None
    keep: bool = False

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[Service]:
        """For what is to be stored: the task's place stays taken from a call's answer to the end of the block.

        So a process that dies loses no more answers than there are places.
        """
        try:
            yield replace(self, keep=True)
        finally:
            if self.caller is not None:
                self.caller.release()

    @property
    def fatal(self) -> HfmapError | None:
        """What made calling pointless, if anything."""
        return self.caller.breaker.fatal if self.caller else None

    def stop(self, why: HfmapError) -> None:
        """Begin no further call; those in flight go on."""
        if self.caller is not None:
            self.caller.breaker.open(why)

    async def call(
        self, stage: Stage, items: int, most: Usage, ask: Callable[[], Awaitable[tuple[T, Usage]]]
    ) -> tuple[T, int | None]:
        """Make one call, as often as it takes.

        Args:
            stage: whose call it is.
            items: how many cards it is for.
            most: the most tokens it can use.
            ask: makes the call once.

        Returns:
            The answer, and the number of the call in the ledger (None for local providers).

        Raises:
            BudgetReachedError: the call might exceed the budget; it was not made.
            ProviderError: it failed for good, or too often.
        """
        if self.caller is None:
            return (await ask())[0], None
        self.caller.breaker.check()
        price, budget, dearest = self.price, self.budget, self.price.usd(most)
        spent, begun, outcome = Usage(), 0, "interrupted"

        async def paid() -> T:
            nonlocal spent, begun
            async with budget.reserve(dearest) as reservation:
                begun += 1
                usage = None
                try:
                    answer, usage = await ask()
                except ProviderError as error:
                    # A broken connection leaves open what was paid: the ledger has facts, the budget the worst case.
                    usage = error.usage
                    if usage is None and isinstance(error, UnansweredError):
                        reservation.lose()
                    raise
                finally:
                    if usage is not None:
                        spent += usage
                        reservation.settle(price.usd(usage))
            return answer

        started = anyio.current_time()
        call_id = None
        try:
            answer, _ = await self.caller.call(stage, paid, keep=self.keep)
            outcome = "done"
        except HfmapError as error:
            outcome = _outcome(error)
            raise
        finally:
            if begun:
                seconds = round(anyio.current_time() - started, 3)
                call_id = await self._enter(stage, items, spent, price.usd(spent), seconds, begun - 1, outcome)
        return answer, call_id

    async def _enter(
        self, stage: Stage, items: int, usage: Usage, usd: float, seconds: float, retries: int, outcome: str
    ) -> int:
        call_id = self.context.ids.next_call()
        row = CallRow(
            call_id,
            self.context.run_id,
            stage,
            self.provider,
            self.model,
            items,
            usage,
            usd,
            seconds,
            retries,
            outcome,
        )
        with anyio.CancelScope(shield=True):
            await self.context.writer.post(insert_call(row))
        self.context.bus(CallFinished(stage, self.provider, self.model, items, usage, usd, seconds, retries, outcome))
        return call_id


def service_for(
    provider: Embedder | Completer | None, budget: Budget, context: RunContext, stage: Stage, *, at_once: int = 1
) -> Service:
    """Make the service that a provider's model is called through, at most `at_once` times at once.

    Args:
        provider: None where rules do without a model.
        stage: at which calls that wait are shown.
    """
    if provider is None or not provider.remote:
        name, model = (provider.provider, provider.model) if provider else ("local", "rules")
        return Service(name, model, price_of(model, paid=False), budget, context, None)
    caller = Caller(provider.provider, at_once=anyio.CapacityLimiter(at_once), bus=context.bus, stage=stage)
    price = price_of(provider.model, paid=provider.paid)
    return Service(provider.provider, provider.model, price, budget, context, caller)


def _outcome(error: HfmapError) -> str:
    """Name an error for the ledger: RefusedError is "refused"."""
    return type(error).__name__.removesuffix("Error").lower()
