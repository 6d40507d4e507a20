"""Enter a source's ranking into the database, with what listing and card together say of each dataset."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import fields
from typing import Any

from engine.calls.context import RunContext
from engine.errors import SourceError
from engine.events import ItemDone, ItemFailed, StageClosed, StageGrew
from engine.hub.entries import Entry
from engine.pipeline.membership import Candidate
from engine.sources.base import Source
from engine.store.datasets import (
    DatasetDescription,
    DatasetReader,
    DatasetRow,
    insert_listing,
    rename_dataset,
    update_descriptions,
)
from engine.store.writer import to_json
from taxonomy import buckets
from taxonomy.card import metadata, pretty_name

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


def describe(entry: Entry, declared: Mapping[str, Any]) -> DatasetDescription:
    """Merge an entry with what its card's front matter declares."""
    found = metadata(declared, entry.card_data, entry.tags)
    licenses = found.get("license", ())
    tasks = found.get("task_categories", ())
    return DatasetDescription(
        pretty_name=pretty_name(declared, entry.card_data),
        license=licenses[0] if licenses else None,
        metadata=found,
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
