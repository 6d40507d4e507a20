"""Find out what became of datasets that were ranked before and are not listed any more."""

from __future__ import annotations

from collections.abc import Sequence, Set

import anyio

from engine.calls.caller import Caller
from engine.calls.context import RunContext
from engine.errors import CONCERNS_ALL, HfmapError, SourceError
from engine.events import ItemFailed
from engine.sources.base import CardFetcher
from engine.store.datasets import DatasetReader, UnlistedDataset, mark_deleted, rename_dataset, supersede_dataset

MOST_DELETED = 100
MOST_DELETED_SHARE = 0.1
"""More than so many, and than this share of the listing, do not vanish between two runs: they are asked for."""

PROBES = 12
"""Datasets asked for to find out whether a listing was complete."""


class Aftermath:
    """Tells deleted and renamed datasets from those that have only fallen in rank."""

    def __init__(
        self, context: RunContext, reader: DatasetReader, fetcher: CardFetcher, caller: Caller, newborn: Set[str]
    ) -> None:
        self._context = context
        self._reader = reader
        self._fetcher = fetcher
        self._caller = caller
        self._newborn = newborn
        self._known_gone = 0

    async def settle(self, *, limit: int) -> None:
        """Find out what became of the Hub's datasets that were ranked before and are not listed any more.

        A listing that ended before its limit holds all there is, so they are deleted, but for those that may have been
        renamed: a new name of the same day of creation was listed. So many that the listing itself must be doubted are
        asked for. One that was cut at its limit does not tell; of those that were on the map and ranked within it, each
        is asked for, to tell a deleted or renamed one from a fallen one.

        Raises:
            SourceError: the listing broke off without saying so.
        """
        listed = self._context.counts["listed"]
        gone = await self._reader.unlisted(self._context.run_id)
        if listed >= limit:
            await self._ask_all([row for row in gone if row.on_map and row.rank <= listed])
            return
        probes = [row for row in gone if row.on_map and row.rank > listed][:PROBES]
        await self._ask_all(probes)
        if 2 * self._known_gone < len(probes):
            # Taken at its word, it would clear the map of all that was ranked below its end.
            raise SourceError(
                f"The listing of the Hub broke off after {listed:,} datasets: what was ranked below is not gone.",
                hint="Run the same command again later; the map stays as it is.",
            )
        asked = {row.dataset_id for row in probes}
        rest = [row for row in gone if row.dataset_id not in asked]
        if len(rest) > max(MOST_DELETED, MOST_DELETED_SHARE * listed):
            await self._ask_all([row for row in rest if row.on_map])
            return
        perhaps_renamed = [row for row in rest if row.on_map and row.created_at in self._newborn]
        await self._ask_all(perhaps_renamed)
        asked |= {row.dataset_id for row in perhaps_renamed}
        await self._mark_deleted(
            [row.dataset_id for row in rest if row.dataset_id not in asked], "the repository is not listed any more"
        )

    async def _ask_all(self, rows: Sequence[UnlistedDataset]) -> None:
        async with anyio.create_task_group() as tasks:
            for row in rows:
                tasks.start_soon(self._ask, row)

    async def _ask(self, row: UnlistedDataset) -> None:
        try:
            fetched, _ = await self._caller.call("card", lambda: self._fetcher.card(row.repo_id, row.card_etag))
        except CONCERNS_ALL:
            return
        except HfmapError as error:
            self._context.bus(ItemFailed("card", row.repo_id, str(error), 1, permanent=False))
            return
        if fetched.moved_to is not None:
            self._known_gone += 1
            await self._follow_move(row, fetched.moved_to)
        elif fetched.status == "missing" and fetched.gone:
            self._known_gone += 1
            await self._mark_deleted([row.dataset_id], fetched.reason or "the repository is gone")

    async def _follow_move(self, row: UnlistedDataset, new_id: str) -> None:
        self._context.counts["renamed"] += 1
        known = await self._reader.known([new_id])
        if new_id in known:
            rows = supersede_dataset(
                self._context.run_id, row.dataset_id, known[new_id].dataset_id, row.repo_id, new_id
            )
        else:
            rows = rename_dataset(self._context.run_id, row.dataset_id, row.repo_id, new_id)
        await self._context.writer.write(*rows)

    async def _mark_deleted(self, dataset_ids: list[int], reason: str) -> None:
        if dataset_ids:
            await self._context.writer.write(*mark_deleted(self._context.run_id, dataset_ids, reason))
            self._context.counts["deleted"] += len(dataset_ids)
