"""Topic names asked of a model through the engine's own client: its limit, retries, pacing, budget and ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import anyio
from anyio.from_thread import start_blocking_portal

from engine.errors import BadAnswerError, RefusedError
from engine.events import Bus
from engine.pipeline.budget import Budget
from engine.pipeline.caller import Caller
from engine.pipeline.enrichers import ask, most_tokens
from engine.pipeline.service import Ledger, Service
from engine.providers.base import Completer, Prompt
from engine.providers.prices import price_of
from engine.store.concurrent import open_async
from engine.store.runs import Ids
from engine.store.writer import Writer

CALLS = 12
"""Naming calls at once, the same limit as for the other calls to the model."""


class Naming:
    """Names topics from a synchronous pass; the calls run in an event loop of their own.

    `connect` makes the completer, of the model named `model`; nothing is imported or opened before the first call.
    """

    def __init__(
        self, model: str, connect: Callable[[], Completer], db: Path, run_id: int, bus: Bus, budget: float | None,
        spent: float,
    ) -> None:  # fmt: skip
        self.model = model
        self.usd = 0.0
        self._connect = connect
        self._db = db
        self._run_id = run_id
        self._bus = bus
        self._left = None if budget is None else max(0.0, budget - spent)

    def complete_many(self, prompts: Sequence[tuple[str, str]], max_tokens: int) -> list[str]:
        """Answer (system, user) prompts, in their order; an unusable answer is an empty string. Blocks.

        Raises:
            HfmapError: the service cannot be used, or the budget is reached.
        """
        with start_blocking_portal() as portal:
            return portal.call(self._complete, list(prompts), max_tokens)

    async def _complete(self, prompts: list[tuple[str, str]], max_tokens: int) -> list[str]:
        answers = [""] * len(prompts)
        budget = Budget(None if self._left is None else max(0.0, self._left - self.usd))
        completer = self._connect()
        async with aclosing(completer), open_async(self._db) as conn, anyio.create_task_group() as outer:
            writer = Writer(conn)
            await outer.start(writer.run)
            try:
                rows = await conn.execute_fetchall("SELECT coalesce(max(call_id), 0) FROM call")
                ids = Ids(dataset=0, result=0, call=next(iter(rows))[0])
                caller = Caller(completer.provider, at_once=anyio.CapacityLimiter(CALLS), bus=self._bus, stage="topics")
                service = Service(
                    completer.provider, self.model, price_of(self.model, paid=completer.paid), budget,
                    Ledger(self._run_id, ids, writer, self._bus), caller,
                )  # fmt: skip

                async def one(place: int, system: str, user: str) -> None:
                    question = Prompt(system, user, max_tokens)
                    try:
                        answer, _ = await service.call(
                            "topics", 1, most_tokens(completer, question), lambda: ask(completer, question)
                        )
                    except (BadAnswerError, RefusedError):
                        return
                    answers[place] = answer.text

                async with anyio.create_task_group() as tasks:
                    for place, (system, user) in enumerate(prompts):
                        tasks.start_soon(one, place, system, user)
            finally:
                writer.close()
                self.usd += budget.spent
        return answers
