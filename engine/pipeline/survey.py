"""Survey who will be on the map after a sync, as far as listing and database tell without a card from the Hub."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from engine.hub.entries import Entry
from engine.pipeline.membership import Candidate
from engine.pipeline.work import LONGEST_BODY
from engine.sources.base import Source
from engine.store.datasets import DatasetReader, KnownDataset
from taxonomy.card import parse_card


@dataclass(slots=True)
class Survey:
    """What was found. A card that is still to be read counts as long enough.

    Attributes:
        looked_at: entries from the top of the ranking until the map was full.
        ask: cards that must be asked for.
        new: datasets without a stored card.
        unchanged: cards that still hold.
        members: datasets that will be on the map.
        unread: those among them whose card must be asked for.
        ids: the members that are in the database.
        hashes: the members' card texts, as far as known, in rank order.
        bodies: the texts, by hash, that came with the listing.
    """

    looked_at: int = 0
    ask: int = 0
    new: int = 0
    unchanged: int = 0
    members: int = 0
    unread: int = 0
    ids: list[int] = field(default_factory=list)
    hashes: dict[str, None] = field(default_factory=dict)
    bodies: dict[str, str] = field(default_factory=dict)

    def look_at(self, entry: Entry, known: KnownDataset | None, *, refresh: bool) -> None:
        """Take the next entry of the ranking."""
        self.looked_at += 1
        if entry.private or entry.disabled:
            return
        if entry.card is not None:
            self._card_at_hand(entry.card, known)
        elif not refresh and known is not None and Candidate(entry, known.dataset_id, known).settled:
            self.unchanged += 1
            if known.card_status == "ok":
                self._member(known, known.input_hash)
        else:
            self.ask += 1
            self.new += known is None or known.input_hash is None
            self.unread += 1
            self._member(known, None)

    def _card_at_hand(self, raw: bytes, known: KnownDataset | None) -> None:
        card = parse_card(raw)
        self.unchanged += known is not None and known.input_hash == card.input_hash
        self.new += known is None or known.input_hash is None
        if card.long_enough:
            self.bodies[card.input_hash] = card.body[:LONGEST_BODY]
            self._member(known, card.input_hash)

    def _member(self, known: KnownDataset | None, input_hash: str | None) -> None:
        self.members += 1
        if known is not None:
            self.ids.append(known.dataset_id)
        if input_hash is not None:
            self.hashes[input_hash] = None


async def survey(source: Source, reader: DatasetReader | None, *, target: int, limit: int, refresh: bool) -> Survey:
    """Walk down the ranking until `target` datasets are found for the map; `reader` is None without a database.

    Raises:
        SourceError: the list cannot be read.
    """
    found, listed = Survey(), set[str]()
    async with aclosing(source.chunks(limit)) as chunks:
        async for chunk in chunks:
            fresh = {entry.repo_id: entry for entry in chunk if entry.repo_id not in listed}
            listed |= fresh.keys()
            known = await reader.known(list(fresh)) if reader else {}
            if reader:
                known |= await _renamed(reader, [e for e in fresh.values() if e.repo_id not in known], listed)
            for entry in fresh.values():
                if found.members < target:
                    found.look_at(entry, known.get(entry.repo_id), refresh=refresh)
            if found.members >= target:
                break
    return found


async def _renamed(reader: DatasetReader, strangers: Sequence[Entry], listed: set[str]) -> dict[str, KnownDataset]:
    """Find datasets that are known by another name: at the same commit, of the same day, and not listed themselves."""
    found: dict[str, KnownDataset] = {}
    former = await reader.by_commit([e.sha for e in strangers if e.sha], 0)
    for entry in strangers:
        same = former.get(entry.sha or "", [])
        names = [name for name, day in same if day == entry.created_at and name not in listed]
        if entry.created_at and len(names) == 1:
            found[entry.repo_id] = (await reader.known(names))[names[0]]
    return found
