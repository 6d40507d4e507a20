"""What a source of datasets has to say for itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.hub.entries import Entry, Fetched


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in a source where a dataset should: its place, and what is wrong with it."""

    place: str
    reason: str


class Source(Protocol):
    """A ranked list of datasets."""

    name: str

    @property
    def unreadable(self) -> Sequence[Unreadable]:
        """What was left out of the list; complete once the list has been read."""

    def chunks(self, limit: int) -> AsyncGenerator[Sequence[Entry]]:
        """Yield the first `limit` datasets in rank order, some at a time.

        Raises:
            SourceError: the list cannot be read.
            KeyRefusedError: the list may not be read with this token.
        """


class CardFetcher(Protocol):
    """Asks for single cards."""

    async def fetch(self, entry: Entry, etag: str | None) -> Fetched:
        """Ask for a card, once; with `etag`, only if it has changed.

        Raises:
            TransientError: trying again may help.
            SourceError: it will not.
        """
