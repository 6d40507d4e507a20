"""The Hub's listing, through huggingface_hub."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

import anyio
import anyio.from_thread

from engine.errors import KeyRefusedError, SourceError
from engine.events import Bus, CallRetried
from engine.hub.address import dataset_url, reason, token_refused
from engine.hub.entries import Entry
from engine.store.clock import iso_utc
from engine.text import shown

EXPAND = (
    "author", "sha", "lastModified", "createdAt", "likes", "downloads", "downloadsAllTime", "trendingScore", "tags",
    "gated", "private", "disabled", "cardData", "description",
)  # fmt: skip
"""What is asked of each dataset. Left out is `siblings`, the list of files, larger than all the rest."""

CHUNK = 250
"""Datasets handed over at a time; a page of the listing holds up to 1,000."""

PAGE_SECONDS = 30.0
"""The longest a page of the listing may take; the Hub takes less than one second."""

LONGEST_WAIT = 310.0
"""Seconds that the Hub may ask us to wait before a page: its quotas are counted in windows of 5 minutes."""


class HubListing:
    """Lists datasets by `rank` ("likes", "downloads" or "trending_score"), best first.

    `token` is sent to `endpoint` alone. `bus` is told when a page is asked for again.
    """

    name = "hub"
    unreadable = ()

    def __init__(
        self, endpoint: str, token: str | None, rank: str, *, timeout: float | None = None, bus: Bus | None = None
    ) -> None:
        self._endpoint = endpoint
        self._token = token
        self._rank = rank
        self._timeout = timeout or PAGE_SECONDS
        self._bus = bus or Bus()

    async def chunks(self, limit: int) -> AsyncGenerator[Sequence[Entry]]:
        """Yield datasets in rank order; the library runs on a thread of its own."""
        send, receive = anyio.create_memory_object_stream[Sequence[Entry] | Exception | None](4)
        stop = threading.Event()

        async with anyio.from_thread.BlockingPortal() as portal, send, receive:

            def hand_over(found: Sequence[Entry] | Exception | None) -> None:
                # Nobody waits for it any more once the run has been stopped, and maybe the event loop has ended.
                with suppress(RuntimeError, CancelledError, anyio.BrokenResourceError, anyio.ClosedResourceError):
                    portal.call(send.send, found)

            def produce() -> None:
                end = None
                try:
                    for chunk in self._pages(limit, stop):
                        hand_over(chunk)
                        if stop.is_set():
                            return
                except Exception as error:  # raised where it is waited for
                    end = error
                hand_over(end)

            # A daemon: a request in flight, or a wait that the library has begun, must not hold up Ctrl-C, nor the
            # end of the process, as one of anyio's own threads would.
            threading.Thread(target=produce, name="listing", daemon=True).start()
            try:
                while (found := await receive.receive()) is not None:
                    if isinstance(found, Exception):
                        raise found
                    yield found
            except GeneratorExit:
                # Ends here: the task group would wrap it, and what is wrapped ends no generator.
                pass
            finally:
                stop.set()
                await portal.stop(cancel_remaining=True)

    def _pages(self, limit: int, stop: threading.Event) -> Iterator[list[Entry]]:
        # Read when the library is imported; otherwise it asks the Hub which program runs it before it asks for anything.
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import httpx2
        from huggingface_hub import HfApi, is_offline_mode, set_client_factory
        from huggingface_hub.errors import HfHubHTTPError

        from engine.hub.session import Patience, listing_client, silence_library

        if is_offline_mode():
            raise SourceError(
                "The Hub cannot be listed: HF_HUB_OFFLINE is set.",
                hint="Unset it, or use `--source sample` or a file.",
            )

        def retried(why: str, wait: float, limited: bool) -> None:
            if not stop.is_set():
                self._bus(CallRetried("list", why, wait, limited))

        # The library tries a page six times, with back-off; its own client would wait for ever.
        silence_library()
        patience = Patience(self._timeout, LONGEST_WAIT, retried)
        set_client_factory(lambda: listing_client(patience))
        api = HfApi(endpoint=self._endpoint, token=self._token or False)
        chunk: list[Entry] = []
        try:
            listing = api.list_datasets(sort=self._rank, limit=limit, expand=list(EXPAND))  # type: ignore[arg-type]
            for info in listing:
                chunk.append(to_entry(info, self._endpoint))
                if len(chunk) == CHUNK:
                    yield chunk
                    chunk = []
        except HfHubHTTPError as error:
            raise self._http_error(error.response.status_code) from error
        except (
            httpx2.HTTPError,
            OSError,
            ValueError,
            ArithmeticError,
            LookupError,
            TypeError,
            RecursionError,
        ) as error:
            raise SourceError(
                f"The listing at {shown(self._endpoint)} cannot be read: {reason(error)}.",
                hint="Check the network and HF_ENDPOINT, or work offline: hfmap sync --source sample.",
            ) from error
        if chunk:
            yield chunk

    def _http_error(self, status: int) -> SourceError | KeyRefusedError:
        if status in (401, 403):
            return token_refused(self._endpoint, status)
        return SourceError(
            f"The Hub at {shown(self._endpoint)} answered the listing with HTTP {status}.",
            hint="Run the same command again later; what is stored is kept.",
        )


def to_entry(info: Any, endpoint: str) -> Entry:
    """Make an entry of huggingface_hub's DatasetInfo, whose attributes may be missing or of another type."""
    gated = getattr(info, "gated", None)
    card_data = getattr(info, "card_data", None)
    repo_id = str(info.id)
    tags = getattr(info, "tags", None)
    return Entry(
        repo_id=repo_id,
        author=_text(getattr(info, "author", None)) or (repo_id.partition("/")[0] if "/" in repo_id else None),
        likes=_count(getattr(info, "likes", None)),
        downloads=_count(getattr(info, "downloads", None)),
        downloads_all_time=_count(getattr(info, "downloads_all_time", None)),
        trending_score=_number(getattr(info, "trending_score", None)),
        created_at=iso_utc(info.created_at) if getattr(info, "created_at", None) else None,
        last_modified=iso_utc(info.last_modified) if getattr(info, "last_modified", None) else None,
        sha=_text(getattr(info, "sha", None)),
        gated=gated if isinstance(gated, str) else ("auto" if gated else None),
        private=bool(getattr(info, "private", False)),
        disabled=bool(getattr(info, "disabled", False)),
        tags=tuple(t for t in tags if isinstance(t, str)) if isinstance(tags, list) else (),
        card_data=card_data.to_dict() if card_data is not None else {},
        url=dataset_url(endpoint, repo_id),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62 else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
