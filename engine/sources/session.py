"""The HTTP client that huggingface_hub lists with: one that loses patience.

The library tries a page again, with back-off, after time-outs, broken connections, 429 and 5xx. It does not limit how
long a page takes, nor how long it waits where the Hub asks it to, and it takes any 200 for an answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import ceil
from typing import Any

import httpx2

from engine.errors import SourceError
from engine.sources.patience import hub_wish


def listing_client(seconds: float, longest_wait: float) -> httpx2.Client:
    """Make a client whose answers arrive within `seconds`, or end in an error that the library tries again after.

    Its answers raise SourceError where the Hub asks to wait longer than `longest_wait` seconds.
    """

    def check(response: httpx2.Response) -> None:
        wish = hub_wish(response.headers) if response.status_code in (429, 503) else None
        if wish is not None and wish > longest_wait:
            raise SourceError(
                f"The Hub asks to be left alone for {wish / 60:,.0f} minutes.",
                hint="Run the same command again later; what is stored is kept.",
            )
        if wish is not None:
            response.headers["Retry-After"] = str(ceil(wish))  # the library knows no dates and no fractions
        if response.status_code > 504:
            # Of the kind that the library tries again after; of the statuses it knows 500 to 504 alone.
            raise httpx2.RemoteProtocolError(f"HTTP {response.status_code}", request=response.request)
        if isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = _Hurried(response.stream, time.monotonic() + seconds)
        # The library has one client for whatever it asks; only a listing is a list.
        if response.status_code == 200 and response.url.path.endswith("/api/datasets"):
            body = response.read().strip()
            if not (body.startswith(b"[") and body.endswith(b"]")):
                raise httpx2.RemoteProtocolError("the answer is not a page of a listing", request=response.request)

    return _Client(
        timeout=httpx2.Timeout(seconds, connect=min(10.0, seconds)),
        follow_redirects=True,
        event_hooks={"response": [check]},
    )


class _Client(httpx2.Client):
    """Keeps to its own time limits: the library asks for none with every request."""

    def request(self, *args: Any, **kwargs: Any) -> httpx2.Response:
        """Make a request; see httpx2."""
        return super().request(*args, **{**kwargs, "timeout": self.timeout})


class _Hurried(httpx2.SyncByteStream):
    """A body that must have ended by `deadline` (time.monotonic)."""

    def __init__(self, stream: httpx2.SyncByteStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        for part in self._stream:
            if time.monotonic() > self._deadline:
                raise httpx2.ReadTimeout("the page did not end in time")
            yield part

    def close(self) -> None:
        self._stream.close()
