"""Say what a source of datasets is: a ranked list, and where the cards come from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from engine.events import Stage
from engine.hub.entries import Entry, Fetched

T = TypeVar("T")

CHUNK = 250
"""Datasets handed over at a time, at most."""


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

    async def card(self, repo_id: str, etag: str | None) -> Fetched:
        """Ask for a card, once; with `etag`, only if it has changed.

        Raises:
            TransientError: trying again may help.
            SourceError: it will not.
        """


class Calls(Protocol):
    """Makes a source's calls to its service: paced, and tried again; `engine.calls.caller.Caller` is one."""

    async def call(self, stage: Stage, ask: Callable[[], Awaitable[T]]) -> tuple[T, int]:
        """Make one call, as often as it takes; return the answer and the number of attempts.

        Raises:
            HfmapError: it failed for good, or too often.
        """
