"""Enrich cards by batches of questions, and take up the batches that an earlier run has left.

A question in a batch is charged for whether or not anybody fetches the answer, hours later. So a batch is recorded
before it is sent, and each answer is entered, stored and crossed off by itself: whenever a run is killed, the next one
finds the batch by its recorded name, or among those that the service knows, and takes what is not yet taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import anyio
from anyio.abc import TaskGroup, TaskStatus

from engine.calls.context import RunContext
from engine.calls.service import Service
from engine.errors import CONCERNS_ALL, BadAnswerError, BudgetReachedError, HfmapError, UnsureError
from engine.events import CallFinished, ItemSkipped, Notice, StageGrew
from engine.pipeline.batch_client import BatchClient, PendingQuestion
from engine.pipeline.enrichers import ModelEnricher, Work, most_tokens, work_for
from engine.pipeline.stages import CardStage, StageState
from engine.providers.base import BatchAnswer, Batches
from engine.store.batches import (
    BatchReader,
    OpenBatch,
    OpenRequest,
    RequestOutcome,
    end_batch,
    record_request_call,
    settle_request,
)
from engine.store.results import delete_failures
from engine.store.runs import CallRow, insert_call
from taxonomy.card import parse_card

PORTION = 500
"""Answers for which the cards are read at once."""


class BatchStage(CardStage):
    """Enriches cards by batches where `sending`, else one by one; batches of earlier runs are taken in either case.

    Call `prepare` before cards are put. Only batches under the present specification are taken: the answers to others
    cannot be read with the present taxonomy, and wait at the service for a run with theirs.
    """

    def __init__(
        self, state: StageState, context: RunContext, service: Service, enricher: ModelEnricher, workers: int, *,
        batches: Batches, reader: BatchReader, sending: bool,
    ) -> None:  # fmt: skip
        super().__init__(state, context, service, enricher, workers)
        self._asker = enricher
        self._batches = batches
        self._reader = reader
        self._client = BatchClient(state, context, service, batches, reader)
        self._sending = sending
        self._left_over: list[OpenBatch] = []

    async def prepare(self) -> None:
        """Find what earlier runs have left; their cards are not asked about again."""
        for batch in await self._reader.open_batches(self.state.spec_id):
            found = batch if batch.provider_batch_id is not None else await self._client.find_at_once(batch)
            if found is None:
                continue
            requests = await self._reader.open_requests(batch.batch_id)
            if not requests:
                await self._context.writer.write(*end_batch(batch.batch_id, "ended"))
                continue
            self.state.busy.update(request.input_hash for request in requests)
            self.state.due += len(requests)
            self._context.bus(StageGrew(self.state.stage, len(requests)))
            self._left_over.append(found)
        if self._left_over:
            asked = sum(batch.requests for batch in self._left_over)
            text = f"{self.state.stage}: fetching the answers to {asked:,} questions that an earlier run has sent"
            self._context.bus(Notice(f"{text} in {len(self._left_over):,} batch(es)."))

    def start(self, tasks: TaskGroup) -> None:
        """Start the workers, or what gathers cards for batches, and what takes the batches of earlier runs."""
        for batch in self._left_over:
            tasks.start_soon(self._take_left_over, batch)
        if self._sending:
            tasks.start_soon(self._send_in_batches)
        else:
            super().start(tasks)

    # Sending

    async def _send_in_batches(self) -> None:
        gathered: list[PendingQuestion] = []
        size = 0
        async with anyio.create_task_group() as tasks:
            async with self._receive:
                async for work in self._receive:
                    if self._idle():
                        gathered.clear()
                        continue
                    one = self._pending(work)
                    if gathered and (
                        len(gathered) >= self._batches.most_requests or size + one.size > self._batches.most_bytes
                    ):
                        await self._send_gathered(tasks, gathered)
                        size = 0
                    gathered.append(one)
                    size += one.size
            await self._send_gathered(tasks, gathered)

    def _pending(self, work: Work) -> PendingQuestion:
        prompt, service = self._asker.question(work), self._service
        usd = service.price.usd(most_tokens(self._batches.completer, prompt), batched=True)
        return PendingQuestion(work.dataset_id, work.input_hash, prompt, usd, self._batches.size(prompt))

    async def _send_gathered(self, tasks: TaskGroup, gathered: list[PendingQuestion]) -> None:
        """Send what has gathered, as much at a time as the budget has room for; empties the list."""
        while gathered and not self._idle():
            part = _affordable(gathered, self._service.budget.room)
            try:
                await tasks.start(self._send_and_take, part)
            except BudgetReachedError as error:
                # The room may have shrunk meanwhile; it is not enough only if it does not hold a single question.
                if len(part) == 1:
                    self._give_up(error)
                else:
                    continue
            del gathered[: len(part)]
        gathered.clear()

    async def _send_and_take(self, part: Sequence[PendingQuestion], *, task_status: TaskStatus[None]) -> None:
        """Send one batch, and take it."""
        pending = list(part)
        async with self._service.budget.reserve(sum(one.usd for one in pending)) as reservation:
            task_status.started()
            batch = None
            try:
                batch = await self._client.send(pending)
                pending.clear()  # the questions need no memory while they are answered
                answers = await self._client.fetch_answers(batch)
            except HfmapError as error:
                if batch is not None or isinstance(error, UnsureError):
                    reservation.lose()  # it is charged for, whatever becomes of this run
                self._give_up(error)
                return
            if answers is not None:
                reservation.settle(self._cost(answers))
        await self._take(batch, answers)

    # Waiting and taking

    async def _take_left_over(self, batch: OpenBatch) -> None:
        """Take a batch that an earlier run has left."""
        try:
            found = batch if batch.provider_batch_id is not None else await self._client.find(batch)
            answers = await self._client.fetch_answers(found) if found is not None else None
        except HfmapError as error:
            self._give_up(error)
            return
        if answers is not None:
            # It is paid for: it counts, but no budget can forbid it.
            async with self._service.budget.reserve(0) as reservation:
                entered = {r.custom_id for r in await self._reader.open_requests(batch.batch_id) if r.call_id is None}
                reservation.settle(self._cost([one for one in answers if one.custom_id in entered]))
        await self._take(found or batch, answers)

    def _cost(self, answers: Sequence[BatchAnswer]) -> float:
        return sum(self._service.price.usd(one.usage, batched=True) for one in answers)

    async def _take(self, batch: OpenBatch, answers: Sequence[BatchAnswer] | None) -> None:
        """Store all answers of a batch; ask again, one by one, where there is none."""
        name = batch.provider_batch_id or batch.batch_id
        if answers is None:
            text = f"{self.state.stage}: the service does not have the batch {name} any more; its questions are asked again"
            self._context.bus(Notice(f"{text}, one by one.", "warning"))
        given = {answer.custom_id: answer for answer in answers or ()}
        due = [
            (given.get(request.custom_id) or BatchAnswer(request.custom_id, "canceled"), request)
            for request in await self._reader.open_requests(batch.batch_id)
        ]
        for start in range(0, len(due), PORTION):
            await self._take_portion(batch, due[start : start + PORTION])
        if not await self._reader.open_requests(batch.batch_id):
            end: Literal["ended", "lost"] = "lost" if answers is None else "ended"
            await self._context.writer.write(*end_batch(batch.batch_id, end))
            self._client.tell(name, batch.requests, end)

    async def _take_portion(self, batch: OpenBatch, due: Sequence[tuple[BatchAnswer, OpenRequest]]) -> None:
        cards = await self._reader.cards(self.state.spec_id, [request.input_hash for _, request in due])
        queue = iter(due)

        async def worker() -> None:
            for answer, request in queue:
                card, work = cards.get(request.input_hash), None
                if card is not None:
                    work = work_for(card.dataset_id, card.repo_id, request.input_hash, parse_card(card.text))
                await self._take_one(batch.batch_id, answer, request, work)

        async with anyio.create_task_group() as tasks:
            for _ in range(min(self._workers, len(due))):
                tasks.start_soon(worker)

    async def _take_one(self, batch_id: str, answer: BatchAnswer, request: OpenRequest, work: Work | None) -> None:
        writer = self._context.writer
        call_id = request.call_id
        if answer.outcome == "succeeded" and call_id is None:
            call_id = await self._enter(batch_id, answer)

        async def settle(outcome: RequestOutcome) -> None:
            await writer.write(settle_request(batch_id, answer.custom_id, outcome))

        if work is None:
            # The card has changed since, or its fields have come from elsewhere.
            await settle("obsolete")
            self.state.due -= 1
            self._context.bus(ItemSkipped(self.state.stage, request.input_hash[:12], "the card has changed"))
        elif answer.outcome != "succeeded":
            # Settled only once it is asked again: a run that is killed before does that itself.
            if not self._idle():
                await self._one(work)
                await settle(answer.outcome)
        elif answer.error is not None and not isinstance(answer.error, BadAnswerError):
            await self._failed(work, answer.error)
            await settle("failed")
        else:
            await self._accept(batch_id, answer, work, call_id)

    async def _accept(self, batch_id: str, answer: BatchAnswer, work: Work, call_id: int | None) -> None:
        text = answer.answer.text if answer.answer is not None else ""
        crossed_off = settle_request(batch_id, answer.custom_id, "stored")
        async with self._service.keeping() as service:
            try:
                enriched = await self._asker.accept(work, text, call_id, service)
            except HfmapError as error:
                await self._failed(work, error)
                if not isinstance(error, CONCERNS_ALL):
                    await self._context.writer.write(settle_request(batch_id, answer.custom_id, "failed"))
                return
            rows = enriched.rows(self._key(work, enriched.call_id))
            with anyio.CancelScope(shield=True):
                await self._context.writer.write(
                    *rows, delete_failures([(work.dataset_id, self.state.stage)]), crossed_off
                )
        self._stored([work])

    async def _enter(self, batch_id: str, answer: BatchAnswer) -> int:
        """Enter an answer into the ledger, and note that it is there, in one transaction."""
        service, stage = self._service, self.state.stage
        call_id = service.context.ids.next_call()
        usd = service.price.usd(answer.usage, batched=True)
        outcome = "done" if answer.error is None else type(answer.error).__name__.removesuffix("Error").lower()
        row = CallRow(
            call_id, service.context.run_id, stage, service.provider, service.model, 1, answer.usage, usd, 0.0, 0, outcome
        )  # fmt: skip
        with anyio.CancelScope(shield=True):
            await self._context.writer.post(insert_call(row), record_request_call(batch_id, answer.custom_id, call_id))
        self._context.bus(
            CallFinished(stage, service.provider, service.model, 1, answer.usage, usd, 0.0, 0, outcome)
        )  # fmt: skip
        return call_id


def _affordable(gathered: Sequence[PendingQuestion], room: float | None) -> list[PendingQuestion]:
    """Return as many of the first questions as there is money for, one at least."""
    if room is None:
        return list(gathered)
    part: list[PendingQuestion] = []
    for one in gathered:
        room -= one.usd
        if part and room < 0:
            break
        part.append(one)
    return part
