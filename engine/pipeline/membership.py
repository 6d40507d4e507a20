"""Decide which datasets are on the map: the first `places` of the ranking whose card says enough.

An entry listed within the first `places` is in as soon as its card turns out long enough. Each one that turns out
short, missing or gated frees a place, and the next entry in rank order is tried for it; no other is ever asked for.
Whenever an entry is started, at most places - 1 entries before it can be eligible, so one that proves eligible is in
for good: the outcome is the first `places` eligible entries, whatever the order in which answers arrive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from engine.hub.entries import Entry
from engine.pipeline.enrichers import LONGEST_BODY
from engine.sources.base import Source
from engine.store.datasets import DatasetReader, KnownDataset
from taxonomy.card import input_hash_of, parse_card

E = TypeVar("E")

NO_CARD = ("missing", "gated", "private", "disabled")
SETTLED = frozenset({"ok", "short", *NO_CARD})
"""States of a card that hold until its repository changes."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry of the listing and what the database knows of it."""

    entry: Entry
    dataset_id: int
    known: KnownDataset | None

    @property
    def is_new(self) -> bool:
        """Whether the database knows no repository of this name, or another one."""
        return self.known is None or self.known.created_at != self.entry.created_at

    @property
    def settled(self) -> bool:
        """Whether the stored card holds.

        It does if it was asked for at the present commit of the repository, by the present rules of access; or, where
        the card came with the listing, if it is the same.
        """
        known, entry = self.known, self.entry
        if known is None or known.card_status not in SETTLED:
            return False
        if (known.gated, known.private, known.disabled) != (entry.gated, entry.private, entry.disabled):
            # Opening or closing a repository is no commit.
            return False
        if entry.card is not None:
            return known.card_status in ("ok", "short") and known.input_hash == input_hash_of(entry.card)
        if entry.sha is None:
            return entry.last_modified is not None and entry.last_modified == known.last_modified
        return entry.sha == known.card_sha


class Membership(Generic[E]):
    """Decides which entries to ask for a card. Call `offer` in rank order."""

    def __init__(self, places: int) -> None:
        self._unseen = places
        self._free = 0
        self._reserve: deque[E] = deque()

    def offer(self, entry: E) -> bool:
        """Take the next entry of the ranking; tell whether it is to be tried now."""
        if self._unseen:
            self._unseen -= 1
            return True
        if self._free:
            self._free -= 1
            return True
        self._reserve.append(entry)
        return False

    def free_place(self) -> E | None:
        """Give up the place of an entry that is not eligible; return the entry to be tried for it, if there is one."""
        if self._reserve:
            return self._reserve.popleft()
        self._free += 1
        return None


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
