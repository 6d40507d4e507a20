"""What became of datasets that were ranked before and are not listed any more."""

from __future__ import annotations

import anyio

from engine.errors import HfmapError
from engine.events import ItemFailed
from engine.pipeline.candidate import IntakeContext
from engine.sources.base import Entry
from engine.store.history import deleted, moved, renamed
from engine.store.reads import Unlisted


class Aftermath:
    """Tells deleted and renamed datasets from those that have only fallen in rank."""

    def __init__(self, context: IntakeContext) -> None:
        self._context = context

    async def settle(self, *, exhausted: bool) -> None:
        """Find out what became of the Hub's datasets that were ranked before and are not listed any more.

        A listing that ended by itself holds all there is, so they are deleted. One that was cut at its limit does
        not tell; those that were on the map are asked for, to tell a deleted or renamed one from a fallen one.
        """
        if self._context.fetcher is None:
            return
        gone = await self._context.reader.unlisted(self._context.run_id, members_only=not exhausted)
        if exhausted:
            await self._mark_deleted([row.dataset_id for row in gone], "the repository is not listed any more")
            return
        async with anyio.create_task_group() as tasks:
            for row in gone:
                tasks.start_soon(self._ask, row)

    async def _ask(self, row: Unlisted) -> None:
        fetcher = self._context.fetcher
        if fetcher is None:
            return
        entry = Entry(row.repo_id)
        try:
            fetched, _ = await self._context.caller.call("card", lambda: fetcher.fetch(entry, row.card_etag))
        except HfmapError as error:
            self._context.bus(ItemFailed("card", row.repo_id, str(error), 1, permanent=False))
            return
        if fetched.moved_to is not None:
            await self._follow_move(row, fetched.moved_to)
        elif fetched.status == "missing" and fetched.gone:
            await self._mark_deleted([row.dataset_id], fetched.reason or "the repository is gone")

    async def _follow_move(self, row: Unlisted, new_id: str) -> None:
        self._context.counts["renamed"] += 1
        known = await self._context.reader.known([new_id])
        if new_id in known:
            rows = moved(self._context.run_id, row.dataset_id, known[new_id].dataset_id, row.repo_id, new_id)
        else:
            rows = renamed(self._context.run_id, row.dataset_id, row.repo_id, new_id)
        await self._context.writer.write(*rows)

    async def _mark_deleted(self, dataset_ids: list[int], reason: str) -> None:
        if dataset_ids:
            await self._context.writer.write(*deleted(self._context.run_id, dataset_ids, reason))
            self._context.counts["deleted"] += len(dataset_ids)
