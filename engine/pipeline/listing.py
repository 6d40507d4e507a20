"""Enter a source's ranking into the database, and find out what became of datasets that are listed no more."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence, Set
from contextlib import aclosing
from dataclasses import fields
from typing import Any

import anyio

from engine.calls.caller import Caller
from engine.calls.context import RunContext
from engine.errors import CONCERNS_ALL, HfmapError, SourceError
from engine.events import ItemDone, ItemFailed, StageClosed, StageGrew
from engine.hub.entries import Entry
from engine.pipeline.membership import Candidate
from engine.sources.base import CardFetcher, Source
from engine.store.datasets import (
    DatasetDescription,
    DatasetReader,
    DatasetRow,
    UnlistedDataset,
    insert_listing,
    mark_deleted,
    rename_dataset,
    supersede_dataset,
    update_descriptions,
)
from engine.store.writer import to_json
from taxonomy import buckets
from taxonomy.card import metadata, pretty_name

MOST_DELETED = 100
MOST_DELETED_SHARE = 0.1
"""More than so many, and than this share of the listing, do not vanish between two runs: they are asked for."""

PROBES = 12
"""Datasets asked for to find out whether a listing was complete."""

_TOLD_BY_ENTRY = tuple(column.name for column in fields(DatasetRow) if hasattr(Entry, column.name))
"""Columns that are called as what the listing says: a new one needs no line here."""


class Listing:
    """Reads a source, stores what it says of each dataset, and yields candidates for the map."""

    def __init__(self, source: Source, context: RunContext, reader: DatasetReader) -> None:
        self._source = source
        self._context = context
        self._reader = reader
        self.newborn: set[str] = set()
        """Days of creation of the repositories that the listing shows for the first time under their present name."""

    async def candidates(self, limit: int) -> AsyncGenerator[list[Candidate]]:
        """Yield the first `limit` entries in rank order, some at a time; they are stored when they are yielded.

        Raises:
            SourceError: the list cannot be read.
        """
        seen: set[str] = set()
        async with aclosing(self._source.chunks(limit)) as chunks:
            async for chunk in chunks:
                # A page of the Hub's listing may repeat rows of the one before, when ranks shift between the two.
                fresh = [entry for entry in chunk if entry.repo_id not in seen]
                await self._follow_renames(fresh)
                known = await self._reader.known([entry.repo_id for entry in fresh])
                candidates = []
                rows = []
                for entry in fresh:
                    if entry.repo_id in seen:
                        continue
                    seen.add(entry.repo_id)
                    before = known.get(entry.repo_id)
                    dataset_id = before.dataset_id if before else self._context.ids.next_dataset()
                    rows.append(self._row(entry, dataset_id, len(seen)))
                    candidates.append(Candidate(entry, dataset_id, before))
                    self._context.counts["listed"] += 1
                    self._context.counts["new"] += before is None
                self._context.bus(StageGrew("list", len(rows)))
                descriptions = [
                    (
                        c.dataset_id,
                        describe(c.entry, json.loads(c.known.declared) if c.known and c.known.declared else {}),
                    )
                    for c in candidates
                ]
                self.newborn.update(c.entry.created_at for c in candidates if c.is_new and c.entry.created_at)
                await self._context.writer.write(insert_listing(rows), update_descriptions(descriptions))
                for row in rows:
                    self._context.bus(ItemDone("list", row.repo_id))
                yield candidates
        self._report_unreadable()
        self._context.bus(StageClosed("list"))
        if not seen:
            # Taken at its word, an empty listing would clear the map.
            raise SourceError(
                f"The listing of {self._source.name} is empty.", hint="Run again later; the map stays as it is."
            )

    def _report_unreadable(self) -> None:
        unreadable = self._source.unreadable
        self._context.counts["unreadable"] += len(unreadable)
        self._context.bus(StageGrew("list", len(unreadable)))
        for row in unreadable:
            self._context.bus(ItemFailed("list", row.place, row.reason, 1, permanent=True))

    async def _follow_renames(self, entries: Sequence[Entry]) -> None:
        """Give rows their repositories' new ids.

        A rename changes neither the commit nor the day of creation; a copy of a repository has a day of its own.
        """
        known = await self._reader.known([entry.repo_id for entry in entries])
        strangers = [e for e in entries if e.repo_id not in known and e.sha and e.created_at]
        if not strangers:
            return
        former = await self._reader.by_commit([e.sha for e in strangers if e.sha], self._context.run_id)
        listed_here = {entry.repo_id for entry in entries}
        for entry in strangers:
            names = [
                repo_id
                for repo_id, created_at in former.get(entry.sha or "", [])
                if created_at == entry.created_at and repo_id not in listed_here
            ]
            if len(names) == 1:
                row = (await self._reader.known(names))[names[0]]
                await self._context.writer.write(
                    *rename_dataset(self._context.run_id, row.dataset_id, names[0], entry.repo_id)
                )
                former.pop(entry.sha or "")
                self._context.counts["renamed"] += 1

    def _row(self, entry: Entry, dataset_id: int, rank: int) -> DatasetRow:
        told = {name: getattr(entry, name) for name in _TOLD_BY_ENTRY} | {"tags": to_json(list(entry.tags))}
        run_id = self._context.run_id
        return DatasetRow(dataset_id=dataset_id, rank=rank, first_seen_run=run_id, last_seen_run=run_id, **told)


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


def describe(entry: Entry, declared: Mapping[str, Any]) -> DatasetDescription:
    """Merge an entry with what its card's front matter declares."""
    found = metadata(declared, entry.card_data, entry.tags)
    licenses = found.get("license", ())
    tasks = found.get("task_categories", ())
    return DatasetDescription(
        pretty_name=pretty_name(declared, entry.card_data),
        license=licenses[0] if licenses else None,
        metadata=to_json(found),
        license_family=buckets.license_family(licenses[0] if licenses else None),
        size_category=buckets.size_category(found.get("size_categories", ())),
        language=buckets.language_label(
            found.get("languages", ()),
            multilinguality=found.get("multilinguality", ()),
            task_categories=tasks,
        ),
        task_category=buckets.task_label(tasks),
        modality=buckets.modality_label(found.get("modalities", ()), tasks),
    )
