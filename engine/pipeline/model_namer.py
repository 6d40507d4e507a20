"""Name topics by a model, asked through the engine's own client: its limit, retries, pacing, budget and ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import anyio
from anyio.from_thread import start_blocking_portal

from engine.calls.budget import Budget
from engine.calls.context import RunContext
from engine.calls.service import Service, service_for
from engine.errors import CONCERNS_ALL, BadAnswerError, HfmapError, RefusedError, StoppedError
from engine.events import Bus, Notice
from engine.pipeline.enrichers import ask, most_tokens
from engine.providers.base import Completer, Prompt
from engine.store.runs import Ids
from engine.store.writer import open_writer

CALLS = 12
"""Naming calls at once, the same limit as for the other calls to the model."""

STOPPING = "Stopping: names that are being asked for are waited for and kept. Press Ctrl-C again to stop at once."


class ModelNamer:
    """Names topics from a synchronous pass; the calls run in an event loop of their own.

    `connect` makes the completer, of the model named `model`; nothing is imported or opened before the first call.
    """

    def __init__(
        self, model: str, connect: Callable[[], Completer], db: Path, run_id: int, bus: Bus, budget: float | None,
        spent: float,
    ) -> None:  # fmt: skip
        self.model = model
        self._connect = connect
        self._db = db
        self._run_id = run_id
        self._bus = bus
        self._spent_before = spent
        self._budget = Budget(budget, spent=spent)
        self._service: Service | None = None
        self._fatal: HfmapError | None = None

    @property
    def usd(self) -> float:
        """What naming has cost so far, in US dollars."""
        return self._budget.spent - self._spent_before

    @property
    def stopped(self) -> StoppedError | None:
        """Whether Ctrl-C was pressed while names were asked for."""
        return self._fatal if isinstance(self._fatal, StoppedError) else None

    def complete_many(self, prompts: Sequence[tuple[str, str]], max_tokens: int) -> list[str | HfmapError]:
        """Answer (system, user) prompts, in their order; see `render.topics.model_naming.TopicNamer`. Blocks.

        Ctrl-C lets no further call begin and waits for those in flight; a second one breaks them off.

        Raises:
            HfmapError: the client cannot be made.
        """
        stopped = StoppedError("the run is being stopped")
        answers: list[str | HfmapError] = [self._fatal or stopped] * len(prompts)
        if self._fatal is not None:
            return answers
        try:
            with start_blocking_portal() as portal:
                done = portal.start_task_soon(self._complete, prompts, max_tokens, answers)
                try:
                    done.result()
                except KeyboardInterrupt:
                    self._bus(Notice(STOPPING, "warning"))
                    portal.call(self._stop, stopped)
                    done.result()
        except KeyboardInterrupt:
            self._fatal = stopped
        return answers

    async def _stop(self, stopped: StoppedError) -> None:
        self._fatal = stopped
        if self._service is not None:
            self._service.stop(stopped)

    async def _complete(
        self, prompts: Sequence[tuple[str, str]], max_tokens: int, answers: list[str | HfmapError]
    ) -> None:
        completer = self._connect()
        async with aclosing(completer), open_writer(self._db) as writer:
            context = RunContext(self._run_id, await writer.run(Ids.after), writer, self._bus)
            service = service_for(completer, self._budget, context, "topics", at_once=CALLS)
            self._service = service

            async def one(place: int, system: str, user: str) -> None:
                question = Prompt(system, user, max_tokens)
                try:
                    if self._fatal is not None:
                        raise self._fatal
                    answer, _ = await service.call(
                        "topics", 1, most_tokens(completer, question), lambda: ask(completer, question)
                    )
                    answers[place] = answer.text
                except (BadAnswerError, RefusedError):
                    answers[place] = ""
                except HfmapError as error:
                    if isinstance(error, CONCERNS_ALL) and self._fatal is None:
                        self._fatal = error
                    answers[place] = error

            async with anyio.create_task_group() as tasks:
                for place, (system, user) in enumerate(prompts):
                    tasks.start_soon(one, place, system, user)
