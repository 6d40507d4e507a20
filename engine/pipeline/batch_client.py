"""Send batches of questions, find them again, wait for their end and fetch the answers.

A question in a batch is charged for whether or not anybody fetches the answer. So a batch is recorded before it is sent
and again once the service has named it; where a connection breaks in between, it is looked for among those that the
service has, and sent again only if it is not there.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

import anyio

from engine.calls import clock
from engine.calls.context import RunContext
from engine.calls.service import Service
from engine.errors import HfmapError, StoppedError, UnsureError
from engine.events import BatchChanged
from engine.pipeline.stages import StageState
from engine.providers.base import BatchAnswer, Batches, BatchStatus, Prompt
from engine.store.batches import BatchReader, OpenBatch, OpenRequest, end_batch, record_batch, record_submission
from engine.store.clock import utc_now

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.5, 60.0, 1.5
"""Seconds between two looks at a batch: few at first, for small batches take a minute or less, then ever more."""

SKEW = timedelta(minutes=10)
"""How much the service's clock may differ from ours."""

FRESH = timedelta(seconds=10)
"""How long after its recording a batch may turn up at the service: a request outlives the run that sent it."""

SENDINGS = 4
"""Times a batch is sent where it broke off and the service turned out not to have it."""


@dataclass(frozen=True, slots=True)
class PendingQuestion:
    """A question that is to be sent. `usd` is the most it can cost, `size` its bytes."""

    dataset_id: int
    input_hash: str
    prompt: Prompt
    usd: float
    size: int


class BatchClient:
    """Sends a stage's batches and fetches their answers. Its calls are retried, and none is made while a run stops.

    Every method raises HfmapError where the service cannot be asked.
    """

    def __init__(
        self, state: StageState, context: RunContext, service: Service, batches: Batches, reader: BatchReader
    ) -> None:
        self._stage = state.stage
        self._spec_id = state.spec_id
        self._context = context
        self._service = service
        self._batches = batches
        self._reader = reader

    async def send(self, pending: Sequence[PendingQuestion]) -> OpenBatch:
        """Record and send one batch; return it as the service knows it."""
        batch_id = f"hfmap-{secrets.token_hex(8)}"
        batch = OpenBatch(batch_id, None, len(pending), utc_now())
        names = [f"{batch_id}-{number}" for number in range(len(pending))]
        rows = [OpenRequest(name, p.dataset_id, p.input_hash, None) for name, p in zip(names, pending, strict=True)]
        context = self._context
        await context.writer.write(*record_batch(batch, context.run_id, self._stage, self._spec_id, rows))
        questions = [(name, one.prompt) for name, one in zip(names, pending, strict=True)]
        for _ in range(SENDINGS):
            try:
                status = await self._call(lambda: self._batches.create(questions))
            except UnsureError as error:
                found = await self.find(batch)
                if found is not None:
                    return found
                why: HfmapError = error
            except HfmapError:
                await context.writer.write(*end_batch(batch_id, "lost"))
                raise
            else:
                return await self._record_sent(batch, status)
        await context.writer.write(*end_batch(batch_id, "lost"))
        raise why

    async def _record_sent(self, batch: OpenBatch, status: BatchStatus) -> OpenBatch:
        with anyio.CancelScope(shield=True):
            await self._context.writer.write(record_submission(batch.batch_id, status.id))
        self.tell(status.id, batch.requests, "submitted")
        return OpenBatch(batch.batch_id, status.id, batch.requests, batch.created_at)

    async def find_at_once(self, batch: OpenBatch) -> OpenBatch | None:
        """Return a batch with its name, or as it is where that cannot be told yet; None where it was never sent."""
        strangers: set[str] = set()
        try:
            status, undecided = await self._look(batch, strangers)
        except HfmapError:
            return batch
        if status is not None:
            return await self._record_sent(batch, status)
        if undecided:
            return batch
        await self._context.writer.write(*end_batch(batch.batch_id, "lost"))
        return None

    async def find(self, batch: OpenBatch) -> OpenBatch | None:
        """Find a batch at the service, which may take until all batches that could be it have ended."""
        strangers: set[str] = set()
        pause = FIRST_PAUSE
        while True:
            status, undecided = await self._look(batch, strangers)
            if status is not None:
                return await self._record_sent(batch, status)
            if not undecided:
                return None
            pause = await self._wait(pause)

    async def _look(self, batch: OpenBatch, strangers: set[str]) -> tuple[BatchStatus | None, bool]:
        """Look once; the second part tells whether it may turn up yet.

        The service names the requests of a batch only in its results. Until then a batch of as many requests, made
        since ours was recorded, may be ours; `strangers` turned out not to be.
        """
        recorded = datetime.fromisoformat(batch.created_at)
        undecided = datetime.now(UTC) - recorded < FRESH
        listed = await self._call(lambda: self._batches.since(recorded - SKEW))
        passed = strangers | await self._reader.provider_ids()
        for status in listed:
            if status.id in passed or status.requests != batch.requests:
                continue
            if not status.ended:
                undecided = True
                continue
            name = await self._call(lambda: self._batches.one_name(status.id)) if status.kept else None  # noqa: B023
            if name is not None and name.startswith(f"{batch.batch_id}-"):
                return status, False
            strangers.add(status.id)
        return None, undecided

    async def fetch_answers(self, batch: OpenBatch) -> list[BatchAnswer] | None:
        """Wait until a batch has ended and fetch its answers; None where the service does not have them any more."""
        name, pause = batch.provider_batch_id or "", FIRST_PAUSE
        while True:
            status = await self._call(lambda: self._batches.status(name))
            if status is None:
                return None
            if status.ended:
                break
            pause = await self._wait(pause)
        if not status.kept:
            return None
        return await self._call(lambda: self._batches.results(name, status.requests))

    async def _wait(self, pause: float) -> float:
        """Wait, but not after the run is asked to stop; return the next pause.

        Raises:
            StoppedError: the run is asked to stop.
        """
        await clock.sleep(pause, unless=self._context.stopping)
        if self._context.stopping.is_set():
            raise StoppedError("the run is being stopped")
        return min(LONGEST_PAUSE, pause * GROWTH)

    async def _call(self, ask: Callable[[], Awaitable[T]]) -> T:
        caller = self._service.caller
        assert caller is not None  # noqa: S101 - a provider with batches is a service
        answer, _ = await caller.call(self._stage, ask)
        return answer

    def tell(self, name: str, requests: int, state: Literal["submitted", "ended", "lost"]) -> None:
        """Tell what has become of a batch."""
        self._context.bus(BatchChanged(self._stage, name, requests, state))
