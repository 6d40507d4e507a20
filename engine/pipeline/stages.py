"""Run the enrichment stages: queues, batches, what is stored, and what is recorded as failed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from engine.calls import clock
from engine.calls.context import RunContext
from engine.calls.service import Service
from engine.errors import CONCERNS_ALL, HfmapError, ProviderError, RefusedError, RejectedError, StoppedError
from engine.events import ItemDone, ItemFailed, Notice, StageClosed, StageGrew
from engine.pipeline.enrichers import Enricher, Work
from engine.providers.base import Embedded, Embedder
from engine.store.results import (
    FailureRow,
    ResultKey,
    ResultStage,
    Spec,
    delete_failures,
    insert_embeddings,
    record_failures,
)
from engine.usage import Usage

QUEUE = 512
"""Cards that may wait at a stage before downloads are held back."""

LINGER = 1.0
"""Seconds that a batch waits for more cards after its first."""


@dataclass(slots=True)
class StageState:
    """What became of a stage's cards."""

    stage: ResultStage
    spec: Spec
    spec_id: int
    due: int = 0
    done: int = 0
    failed: int = 0
    fatal: HfmapError | None = None
    """Why the stage stopped before its queue was empty."""
    busy: set[str] = field(default_factory=set)
    """Card texts queued or in flight: of two datasets with the same card, one is enriched for both."""

    @property
    def left(self) -> int:
        """Cards that were due and are neither done nor recorded as failed."""
        return self.due - self.done - self.failed


class Stage(ABC):
    """A queue of cards and the tasks that work through it."""

    def __init__(self, state: StageState, context: RunContext, service: Service) -> None:
        self.state = state
        self._context = context
        self._service = service
        self._send: MemoryObjectSendStream[Work]
        self._receive: MemoryObjectReceiveStream[Work]
        self._send, self._receive = anyio.create_memory_object_stream[Work](QUEUE)

    async def prepare(self) -> None:
        """Look up what earlier runs have left; called once, before cards are put."""
        return

    @abstractmethod
    def start(self, tasks: TaskGroup) -> None:
        """Start the tasks."""

    async def put(self, work: Work) -> None:
        """Queue a card, unless one with the same text is queued already."""
        if work.input_hash in self.state.busy:
            return
        self.state.busy.add(work.input_hash)
        self.state.due += 1
        self._context.bus(StageGrew(self.state.stage))
        await self._send.send(work)

    def close(self) -> None:
        """Say that no more cards come."""
        self._send.close()
        self._context.bus(StageClosed(self.state.stage))

    def stop(self) -> None:
        """Begin no further call; those in flight go on."""
        self._service.stop(StoppedError("the run is being stopped"))

    def _idle(self) -> bool:
        """Whether cards are to be left where they are."""
        if self._service.fatal is not None:
            self._give_up(self._service.fatal)
        return self.state.fatal is not None or self._context.stopping.is_set()

    def _give_up(self, error: HfmapError) -> None:
        """Leave the rest of the stage's cards for another run, and say why, once."""
        if self.state.fatal is None:
            self.state.fatal = error
            if isinstance(error, StoppedError):
                return
            hint = f" {error.hint}" if error.hint else ""
            self._context.bus(Notice(f"{self.state.stage} stops here: {error}{hint}", "error"))

    def _key(self, work: Work, call_id: int | None) -> ResultKey:
        context = self._context
        return ResultKey(context.ids.next_result(), self.state.spec_id, work.input_hash, context.run_id, call_id)

    def _stored(self, works: Sequence[Work]) -> None:
        for work in works:
            self.state.done += 1
            self._context.bus(ItemDone(self.state.stage, work.repo_id))

    async def _failed(self, work: Work, error: HfmapError) -> None:
        """Record a failure of one card, or stop the stage where the error concerns all of them."""
        if isinstance(error, CONCERNS_ALL):
            self._give_up(error)
            return
        attempts = error.attempts if isinstance(error, ProviderError) else 1
        permanent = isinstance(error, RefusedError)
        row = FailureRow(
            work.dataset_id, self.state.stage, self.state.spec_id, work.input_hash, permanent, str(error), attempts,
            self._context.run_id,
        )  # fmt: skip
        await self._context.writer.write(record_failures([row]))
        self.state.failed += 1
        self._context.bus(ItemFailed(self.state.stage, work.repo_id, str(error), attempts, permanent))


class CardStage(Stage):
    """Enriches cards one by one, several at once."""

    def __init__(
        self, state: StageState, context: RunContext, service: Service, enricher: Enricher, workers: int
    ) -> None:
        super().__init__(state, context, service)
        self._enricher = enricher
        self._workers = workers

    def start(self, tasks: TaskGroup) -> None:
        """Start the workers."""
        for _ in range(self._workers):
            tasks.start_soon(self._work, self._receive.clone())
        self._receive.close()

    async def _work(self, receive: MemoryObjectReceiveStream[Work]) -> None:
        async with receive:
            async for work in receive:
                if not self._idle():
                    await self._one(work)

    async def _one(self, work: Work) -> None:
        async with self._service.keeping() as service:
            try:
                enriched = await self._enricher.enrich(work, service)
            except HfmapError as error:
                await self._failed(work, error)
                return
            rows = enriched.rows(self._key(work, enriched.call_id))
            with anyio.CancelScope(shield=True):
                await self._context.writer.write(*rows, delete_failures([(work.dataset_id, self.state.stage)]))
        self._stored([work])


class EmbedStage(Stage):
    """Embeds cards in batches, one batch at a time."""

    def __init__(self, state: StageState, context: RunContext, service: Service, embedder: Embedder) -> None:
        super().__init__(state, context, service)
        self._embedder = embedder

    def start(self, tasks: TaskGroup) -> None:
        """Start the one worker."""
        tasks.start_soon(self._work)

    async def _work(self) -> None:
        async with self._receive:
            async for first in self._receive:
                batch = [first]
                with clock.move_on_after(LINGER):
                    while len(batch) < self._embedder.batch_size and not self._context.stopping.is_set():
                        try:
                            batch.append(await self._receive.receive())
                        except anyio.EndOfStream:
                            break
                if not self._idle():
                    await self._embed(batch)

    async def _embed(self, batch: Sequence[Work]) -> None:
        sent = [self._embedder.text(work.card) for work in batch]

        async def ask() -> tuple[Embedded, Usage]:
            embedded = await self._embedder.embed(sent)
            return embedded, embedded.usage

        try:
            answer, call_id = await self._service.call("embed", len(batch), Usage(input=most_tokens_of(sent)), ask)
        except HfmapError as error:
            await self._split(batch, error)
            return
        keys = [self._key(work, call_id) for work in batch]
        with anyio.CancelScope(shield=True):
            await self._context.writer.write(
                *insert_embeddings(keys, answer.vectors),
                delete_failures([(work.dataset_id, "embed") for work in batch]),
            )
        self._stored(batch)

    async def _split(self, batch: Sequence[Work], error: HfmapError) -> None:
        """Find the card that a service refuses: the others of its batch shall not fail with it."""
        if isinstance(error, RejectedError) and len(batch) > 1:
            middle = len(batch) // 2
            await self._embed(batch[:middle])
            await self._embed(batch[middle:])
            return
        for work in batch:
            await self._failed(work, error)


def most_tokens_of(sent: Sequence[str]) -> int:
    """Return the most tokens that texts are likely to have: half their UTF-8 bytes, twice what English needs."""
    return sum(len(text.encode("utf-8", "replace")) for text in sent) // 2 + 1
