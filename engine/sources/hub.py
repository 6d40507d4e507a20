"""List the Hub's datasets by rank, page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import anyio.to_thread

from engine.errors import KeyRefusedError, ProviderError, ServiceDownError, SourceError
from engine.hub.address import listing_url
from engine.hub.client import HubClient, Page, StatusError
from engine.hub.entries import EXPAND, Entry, entry_of
from engine.sources.base import CHUNK, Calls, Unreadable
from engine.text import shown

SORTS = {"trending_score": "trendingScore"}
"""How the API calls a rank, where it calls it otherwise than hfmap."""

ATTEMPTS = 6
"""Tries of one page: some 20 seconds of back-off, after which a person without a network is told so."""


class HubSource:
    """Lists datasets by `rank` ("likes", "downloads" or "trending_score"), best first, with calls made by `calls`."""

    name = "hub"

    def __init__(self, client: HubClient, rank: str, calls: Calls) -> None:
        self.unreadable: list[Unreadable] = []
        self._client = client
        self._rank = rank
        self._calls = calls

    async def chunks(self, limit: int) -> AsyncGenerator[Sequence[Entry]]:
        """Yield datasets in rank order; see `Source`."""
        if await anyio.to_thread.run_sync(_offline):
            raise SourceError(
                "The Hub cannot be listed: HF_HUB_OFFLINE is set.",
                hint="Unset it, or use `--source sample` or a file.",
            )
        self.unreadable = []
        sort = SORTS.get(self._rank, self._rank)
        address: str | None = listing_url(self._client.endpoint, "datasets", sort=sort, limit=limit, expand=EXPAND)
        left, number = limit, 0
        while address is not None and left > 0:
            page = await self._page(address)
            rows = page.rows[:left]
            # A thousand rows take a tenth of a second to read: in a thread, other calls go on meanwhile.
            entries = await anyio.to_thread.run_sync(self._entries, rows, number)
            for start in range(0, len(entries), CHUNK):
                yield entries[start : start + CHUNK]
            number += len(rows)
            left -= len(rows)
            address = page.next if rows else None  # an empty page that names another one would never end

    def _entries(self, rows: Sequence[Any], before: int) -> list[Entry]:
        entries = []
        for number, row in enumerate(rows, before + 1):
            try:
                entries.append(entry_of(row, self._client.endpoint))
            except ValueError as error:
                self.unreadable.append(Unreadable(f"row {number:,} of the listing", str(error)))
        return entries

    async def _page(self, address: str) -> Page:
        try:
            page, _ = await self._calls.call("list", lambda: self._client.page(address))
        except KeyRefusedError:
            raise
        except ProviderError as error:
            raise self._failed(error) from error
        return page

    def _failed(self, error: ProviderError) -> SourceError:
        where = shown(self._client.endpoint)
        later = "Run the same command again later; what is stored is kept."
        if isinstance(error, ServiceDownError):
            return SourceError(str(error), hint=later)
        if isinstance(error, StatusError):
            return SourceError(f"The Hub at {where} answered the listing with HTTP {error.status}.", hint=later)
        return SourceError(
            f"The listing at {where} cannot be read: {error}.",
            hint="Check the network and HF_ENDPOINT, or work offline: hfmap sync --source sample.",
        )


def _offline() -> bool:
    # What reads the pages is imported here, in the thread, where it holds nobody up.
    from huggingface_hub import DatasetInfo, is_offline_mode  # noqa: F401

    return is_offline_mode()
