"""The HTTP client that huggingface_hub lists with: one that loses patience, and tells why a page is asked for again.

The library tries a page again, with back-off, after time-outs, broken connections, 429 and 5xx. It does not limit how
long or how large a page may be, nor how long it waits where the Hub asks it to, it takes any 200 for an answer, and it
says what it does on stderr.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDoneError
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import httpx2

from engine.errors import SourceError
from engine.hub.address import reason
from engine.hub.quota import hub_wish

RETRIES = 5
"""How often the library asks for a page again, at most."""

LONGEST_BACK_OFF = 8.0
"""Seconds between two of its tries, at most, where the Hub names no time."""

MOST_BYTES = 100_000_000
"""The most that a page may have, decompressed; a thousand datasets take about three million."""


def silence_library() -> None:
    """Let huggingface_hub say nothing on stderr: what it retries is told as events."""
    logger = logging.getLogger("huggingface_hub")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    # Without any handler, Python would print warnings itself.
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


@dataclass(slots=True)
class Patience:
    """How long pages may take, and who is told that one is asked for again.

    The library makes itself a new client after a connection that failed: this outlives it.
    """

    seconds: float
    """For a page, from request to last byte."""
    longest_wait: float
    """Seconds that the Hub may ask to wait before a page."""
    retried: Callable[[str, float, bool], None]
    """Told why, the seconds until then, and whether the Hub asks to slow down."""
    _failed: dict[str, int] = field(default_factory=dict)

    def failed(self, address: str, why: str, wish: float | None = None, *, limited: bool = False) -> None:
        """Note that a page did not come; tell, where the library is going to ask for it again."""
        times = self._failed[address] = self._failed.get(address, 0) + 1
        if times <= RETRIES:
            back_off = min(LONGEST_BACK_OFF, 2.0 ** (times - 1))
            self.retried(why, back_off if wish is None else ceil(wish) + 1.0, limited)


def listing_client(patience: Patience) -> httpx2.Client:
    """Make a client whose answers arrive in time, or end in an error that the library tries again after.

    Its answers raise SourceError where the Hub asks for too long a wait.
    """
    return _Client(patience)


class _Client(httpx2.Client):
    def __init__(self, patience: Patience) -> None:
        seconds = patience.seconds
        super().__init__(timeout=httpx2.Timeout(seconds, connect=min(10.0, seconds)), follow_redirects=True)
        self._patience = patience

    def request(self, *args: Any, **kwargs: Any) -> httpx2.Response:
        """Make a request that ends in time; see httpx2. The library sets no time limit of its own."""
        address = str(args[1] if len(args) > 1 else kwargs.get("url"))
        try:
            response = self._in_time(*args, **{**kwargs, "timeout": self.timeout})
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            why = reason(error)
            self._patience.failed(address, why)
            if isinstance(error, httpx2.DecodingError):
                raise httpx2.RemoteProtocolError(why) from error  # which the library tries again after
            raise
        status = response.status_code
        if status == 429 or 500 <= status <= 504:
            wish = hub_wish(response.headers) if status in (429, 503) else None
            self._patience.failed(address, f"the Hub answered HTTP {status}", wish, limited=status == 429)
        return response

    def _in_time(self, *args: Any, **kwargs: Any) -> httpx2.Response:
        """Wait for an answer on another thread: httpx2 limits the pauses between bytes, not the time they all take."""
        answer: Future[httpx2.Response] = Future()

        def ask() -> None:
            try:
                answer.set_result(super(_Client, self).request(*args, **kwargs))
            except Exception as error:  # raised where it is waited for
                answer.set_exception(error)

        threading.Thread(target=ask, name="listing page", daemon=True).start()
        try:
            return answer.result(self._patience.seconds)
        except NotDoneError:
            if answer.done():
                raise
            raise httpx2.ReadTimeout(f"the page did not arrive within {self._patience.seconds:g} s") from None

    def send(self, request: httpx2.Request, *, stream: bool = False, **kwargs: Any) -> httpx2.Response:  # noqa: ARG002
        """Send a request and read its answer to the end; see httpx2."""
        deadline = time.monotonic() + self._patience.seconds
        streamed = super().send(request, stream=True, **kwargs)
        try:
            body = bytearray()
            for part in streamed.iter_bytes():
                body += part
                if len(body) > MOST_BYTES:
                    raise httpx2.RemoteProtocolError("the page does not end", request=request)
                if time.monotonic() > deadline:
                    raise httpx2.ReadTimeout("the page did not end in time", request=request)
        finally:
            streamed.close()
        headers = httpx2.Headers(streamed.headers)
        headers.pop("Content-Encoding", None)
        response = httpx2.Response(
            streamed.status_code, headers=headers, content=bytes(body), request=streamed.request,
            extensions=streamed.extensions, history=streamed.history,
        )  # fmt: skip
        self._check(response)
        return response

    def _check(self, response: httpx2.Response) -> None:
        wish = hub_wish(response.headers) if response.status_code in (429, 503) else None
        if wish is not None and wish > self._patience.longest_wait:
            raise SourceError(
                f"The Hub asks to be left alone for {wish / 60:,.0f} minutes.",
                hint="Run the same command again later; what is stored is kept.",
            )
        if wish is not None:
            response.headers["Retry-After"] = str(ceil(wish))  # the library knows no dates and no fractions
        elif "Retry-After" in response.headers:
            del response.headers["Retry-After"]  # makes no sense
        if response.status_code > 504 or response.status_code == 408:
            # Of the kind that the library tries again after; of the statuses it knows 429 and 500 to 504 alone.
            raise httpx2.RemoteProtocolError(f"HTTP {response.status_code}", request=response.request)
        # The library has one client for whatever it asks; only a listing is a list.
        if response.status_code == 200 and response.url.path.endswith("/api/datasets"):
            body = response.content.strip()
            if not (body.startswith(b"[") and body.endswith(b"]")):
                raise httpx2.RemoteProtocolError("the answer is not a page of a listing", request=response.request)
