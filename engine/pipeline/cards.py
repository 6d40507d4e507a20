"""Ask for cards, store them, and hand those on the map to the enrichment stages."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from engine.calls.caller import Caller
from engine.calls.context import RunContext
from engine.errors import CONCERNS_ALL, HfmapError, ProviderError, StoppedError
from engine.events import ItemDone, ItemFailed, ItemSkipped, Notice, StageClosed, StageGrew
from engine.hub.entries import Fetched
from engine.pipeline.listing import Aftermath, Listing, describe
from engine.pipeline.membership import NO_CARD, Candidate, Membership
from engine.sources.base import CardFetcher, Source
from engine.store.changes import record_card_change, record_membership_changes
from engine.store.datasets import (
    CardAnswer,
    CardRow,
    DatasetReader,
    insert_card,
    update_card_status,
    update_descriptions,
    update_membership,
)
from engine.store.results import FailureRow, delete_failures, record_failures
from engine.store.writer import Statement, to_json
from taxonomy.card import SHORTEST_BODY, Card, parse_card

WORKERS = 8
"""Cards asked for at once."""

TASKS = 2 * WORKERS
"""Tasks that ask for cards: while some wait to try again, others take their places."""


@dataclass(slots=True)
class Intake:
    """Lists, downloads and stores cards, and hands those on the map to `admit`.

    `fetcher` is None for sources that hold the cards; `caller` is what it is asked through. `admit` is given the dataset_ids, and the cards among them that were read just now.
    """

    context: RunContext
    reader: DatasetReader
    source: Source
    fetcher: CardFetcher | None
    caller: Caller
    refresh: bool
    admit: Callable[[Sequence[int], dict[int, Card]], Awaitable[None]]
    membership: Membership[Candidate]

    async def run(self, limit: int) -> None:
        """Work through the first `limit` entries of the source.

        Raises:
            HfmapError: the listing failed; what was stored before stays.
        """
        send, receive = anyio.create_memory_object_stream[Candidate](100)
        try:
            async with anyio.create_task_group() as tasks:
                for _ in range(TASKS):
                    tasks.start_soon(self._worker, receive.clone())
                receive.close()
                listing = Listing(self.source, self.context, self.reader)
                # Closed here, in this task, whatever happens: what else closes it does so in another one.
                async with send, aclosing(listing.candidates(limit)) as pages:
                    async for candidates in pages:
                        for candidate in await self._settle_known(candidates):
                            await send.send(candidate)
        finally:
            self.context.bus(StageClosed("card"))
        if self.fetcher is not None:
            aftermath = Aftermath(self.context, self.reader, self.fetcher, self.caller, listing.newborn)
            await aftermath.settle(limit=limit)
        await self.context.writer.write(
            *update_membership(self.context.run_id), *record_membership_changes(self.context.run_id)
        )

    async def _settle_known(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Admit, all at once, those whose stored card still holds; return those that must be asked for."""
        to_try = deque(c for c in candidates if self.membership.offer(c))
        ask, members = [], []
        while to_try:
            candidate = to_try.popleft()
            if self.refresh or not candidate.settled or candidate.known is None:
                ask.append(candidate)
                continue
            self.context.bus(StageGrew("card"))
            self.context.bus(ItemSkipped("card", candidate.entry.repo_id, "unchanged"))
            self.context.counts["cards_unchanged"] += 1
            if candidate.known.card_status == "ok":
                members.append(candidate.dataset_id)
            elif (next_one := self.membership.free_place()) is not None:
                to_try.append(next_one)
        if members:
            await self.admit(members, {})
        return ask

    async def _worker(self, receive: MemoryObjectReceiveStream[Candidate]) -> None:
        async with receive:
            async for candidate in receive:
                waiting = [candidate]
                while waiting:
                    one = waiting.pop()
                    self.context.bus(StageGrew("card"))
                    if not await self._card(one) and (next_one := self.membership.free_place()) is not None:
                        waiting += await self._settle_known_one(next_one)

    async def _settle_known_one(self, candidate: Candidate) -> list[Candidate]:
        """Try an entry of the reserve against the database; return it if it must be asked for."""
        while not self.refresh and candidate.settled and candidate.known is not None:
            self.context.counts["cards_unchanged"] += 1
            if candidate.known.card_status == "ok":
                await self.admit([candidate.dataset_id], {})
                return []
            next_one = self.membership.free_place()
            if next_one is None:
                return []
            candidate = next_one
        return [candidate]

    async def _card(self, candidate: Candidate) -> bool:
        """Get and store one card; tell whether its entry keeps its place.

        Its place among the requests is taken until it is stored: a process that dies loses no more cards than that.
        """
        try:
            return await self._get(candidate)
        finally:
            self.caller.release()

    async def _get(self, candidate: Candidate) -> bool:
        entry, known = candidate.entry, candidate.known
        try:
            fetched = await self._fetch(candidate)
        except HfmapError as error:
            return await self._failed(candidate, error)
        if fetched.status in NO_CARD:
            await self._answer(candidate, CardAnswer(fetched.status, fetched.reason, entry.sha, fetched.etag))
            self.context.counts[f"cards_{fetched.status}"] += 1
            self.context.bus(ItemDone("card", entry.repo_id, fetched.status))
            return False
        if fetched.status == "unchanged" and known is not None and known.input_hash is not None:
            status = "ok" if (known.body_chars or 0) >= SHORTEST_BODY else "short"
            await self._answer(candidate, CardAnswer(status, None, entry.sha, fetched.etag or known.card_etag))
            self.context.counts["cards_unchanged"] += 1
            self.context.bus(ItemSkipped("card", entry.repo_id, "unchanged"))
            if status == "ok":
                await self.admit([candidate.dataset_id], {})
            return status == "ok"
        return await self._store(candidate, parse_card(fetched.raw or b""), fetched.etag)

    async def _fetch(self, candidate: Candidate) -> Fetched:
        entry, known = candidate.entry, candidate.known
        if entry.private:
            return Fetched("private", reason="the listing says that the repository is private")
        if entry.disabled:
            return Fetched("disabled", reason="the Hub has disabled the repository")
        fetcher = self.fetcher
        if entry.card is not None or fetcher is None:
            return Fetched("ok", entry.card or b"")
        has_card = known is not None and known.input_hash is not None and not self.refresh
        etag = known.card_etag if known is not None and has_card else None
        fetched, _ = await self.caller.call("card", lambda: fetcher.card(entry.repo_id, etag), keep=True)
        return fetched

    async def _store(self, candidate: Candidate, card: Card, etag: str | None) -> bool:
        entry, known = candidate.entry, candidate.known
        status = "ok" if card.long_enough else "short"
        reason = None if card.long_enough else f"{len(card.body)} characters after the front matter"
        answer = CardAnswer(status, reason, entry.sha, etag)
        if known is not None and known.input_hash == card.input_hash:
            if known.card_status != status or entry.card is None:
                await self._answer(candidate, answer)
            self.context.counts["cards_unchanged"] += 1
            self.context.bus(ItemSkipped("card", entry.repo_id, "same text"))
        else:
            description = describe(entry, card.declared)
            row = CardRow(
                dataset_id=candidate.dataset_id,
                repo_id=entry.repo_id,
                pretty_name=description.pretty_name,
                text=card.text,
                body_chars=len(card.body),
                front_matter=card.status,
                declared=to_json(card.declared),
                problems=to_json(card.problems),
                input_hash=card.input_hash,
                stored_run=self.context.run_id,
            )
            statements = [update_descriptions([(candidate.dataset_id, description)]), *insert_card(row)]
            if known is not None and known.input_hash is not None:
                statements.append(
                    record_card_change(self.context.run_id, candidate.dataset_id, known.input_hash, card.input_hash)
                )
                self.context.counts["cards_changed"] += 1
            else:
                self.context.counts["cards_added"] += 1
            await self._answer(candidate, answer, *statements)
            self.context.bus(ItemDone("card", entry.repo_id, status))
        self.context.counts["cards_short"] += status == "short"
        if status == "ok":
            await self.admit([candidate.dataset_id], {candidate.dataset_id: card})
        return status == "ok"

    async def _answer(self, candidate: Candidate, answer: CardAnswer, *more: Statement) -> None:
        await self.context.writer.write(
            update_card_status([(candidate.dataset_id, answer)]),
            *more,
            delete_failures([(candidate.dataset_id, "card")]),
        )

    async def _failed(self, candidate: Candidate, error: HfmapError) -> bool:
        """Record a card that could not be had. Its entry keeps its place: the next run will try it again.

        Were the place given away, the next run would pay for an entry now and drop it then.
        """
        if isinstance(error, CONCERNS_ALL):
            await self._left(candidate, error)
            return True
        attempts = error.attempts if isinstance(error, ProviderError) else 1
        row = FailureRow(candidate.dataset_id, "card", None, None, False, str(error), attempts, self.context.run_id)
        await self.context.writer.write(record_failures([row]))
        self.context.counts["cards_failed"] += 1
        self.context.bus(ItemFailed("card", candidate.entry.repo_id, str(error), attempts, permanent=False))
        await self._admit_as_known(candidate)
        return True

    async def _left(self, candidate: Candidate, error: HfmapError) -> None:
        """Leave a card for another run, and say why, once: it did not fail, its service did."""
        self.context.counts["cards_left"] += 1
        if self.context.counts["cards_left"] == 1 and not isinstance(error, StoppedError):
            hint = f" {error.hint}" if error.hint else ""
            self.context.bus(Notice(f"cards stop here: {error}{hint}", "error"))
        await self._admit_as_known(candidate)

    async def _admit_as_known(self, candidate: Candidate) -> None:
        """Keep on the map, with the card that is stored, a dataset whose present card could not be had."""
        if candidate.known is not None and candidate.known.card_status == "ok":
            await self.admit([candidate.dataset_id], {})
