"""An entry of the listing beside what the database knows of it, and what both stages of the intake work with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from engine.calls.caller import Caller
from engine.events import Bus
from engine.hub.entries import Entry
from engine.sources.base import CardFetcher
from engine.store.datasets import DatasetReader, KnownDataset
from engine.store.runs import Ids
from engine.store.writer import Writer
from taxonomy.card import input_hash_of

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


@dataclass(frozen=True, slots=True)
class IntakeContext:
    """What listing, cards and aftermath need of their run. `fetcher` is None for sources that hold the cards."""

    run_id: int
    ids: Ids
    writer: Writer
    reader: DatasetReader
    bus: Bus
    counts: Counter[str]
    fetcher: CardFetcher | None
    caller: Caller
    newborn: set[str] = field(default_factory=set)
    """Days of creation of the repositories that the listing shows for the first time under their present name."""
