"""Decide which datasets are on the map: the first `places` of the ranking whose card says enough.

An entry listed within the first `places` is in as soon as its card turns out long enough. Each one that turns out
short, missing or gated frees a place, and the next entry in rank order is tried for it; no other is ever asked for.
Whenever an entry is started, at most places - 1 entries before it can be eligible, so one that proves eligible is in
for good: the outcome is the first `places` eligible entries, whatever the order in which answers arrive.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from engine.hub.entries import Entry
from engine.store.datasets import KnownDataset
from taxonomy.card import input_hash_of

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
