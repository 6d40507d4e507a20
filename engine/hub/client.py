"""Ask the Hugging Face Hub over HTTP: a page of a listing, one object, one card.

Each method asks once. What trying again may mend is a TransientError; `engine.calls` tries again, at a pace.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx

from engine.errors import KeyRefusedError, SourceError, TransientError
from engine.hub.address import card_url, object_url
from engine.hub.entries import Fetched, refusal
from engine.text import retry_after, short, shown
from taxonomy.card import MAX_CARD_BYTES

PAGE_SECONDS = 30.0
"""The longest that a page of a listing may take from request to last byte; the Hub takes less than one second."""

CARD_SECONDS = 20.0
"""The longest that a card may take from request to last byte. A body that never ends is cut off here."""

MOST_BYTES = 100_000_000
"""The most that a page may have, decompressed; a thousand datasets take about three million."""

PART_BYTES = 1 << 18
"""How much of a body is decompressed at a time: a few bytes may stand for any number of them."""


class StatusError(TransientError):
    """The Hub answered with a status that another try may mend."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        limited = self.status == 429
        quota = Quota.of(response.headers)
        used_up = quota.renewed_in if quota is not None and not quota.remaining else None
        super().__init__(
            f"the Hub answered HTTP {self.status}",
            # A Retry-After of 0 says nothing of when the quota is renewed.
            retry_after=retry_after(response.headers) or used_up,
            limited=limited,
            closed=limited and used_up is not None,
        )


@dataclass(frozen=True, slots=True)
class Quota:
    """How many more requests of a kind the Hub allows, and in how many seconds it starts to count anew."""

    remaining: int
    renewed_in: float

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Quota | None:
        """Read the RateLimit header; None where there is none."""
        from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

        try:
            info = parse_ratelimit_headers(headers)
        except ValueError:
            return None  # more digits than Python reads
        return None if info is None else cls(info.remaining, float(min(info.reset_in_seconds, 10**9)))


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing: `rows` as the Hub's JSON has them, and `next`, where the listing goes on (None: nowhere)."""

    rows: list[Any]
    next: str | None
    quota: Quota | None


class HubClient:
    """A client of the Hub at `endpoint`; close it with `aclose`.

    The token is sent to the endpoint's own host only. Redirects are followed: httpx drops the Authorization header where
    one leads elsewhere, as the Hub's do for files on its CDN.

    Args:
        connections: how many requests may be under way at once.
        timeout: seconds for a whole answer, in place of the constants above.
    """

    def __init__(self, endpoint: str, token: str | None, *, connections: int, timeout: float | None = None) -> None:
        headers = {"User-Agent": "hfmap", "Accept-Encoding": "gzip"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.endpoint = endpoint
        self._token = token
        self._page_seconds = timeout or PAGE_SECONDS
        self._card_seconds = timeout or CARD_SECONDS
        longest = max(self._page_seconds, self._card_seconds)
        self._client = httpx.AsyncClient(
            headers=headers,
            follow_redirects=True,
            timeout=httpx.Timeout(longest, connect=min(10.0, longest)),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    async def page(self, address: str) -> Page:
        """Ask for one page of a listing; `address` is of `listing_url` or a page's `next`.

        Raises:
            TransientError: trying again may help; also where the answer is not a JSON list.
            KeyRefusedError: the Hub does not accept the token.
            SourceError: trying again will not help, or the listing goes on at another host.
        """
        self._at_home(address)
        async with self._get(address, "page", self._page_seconds) as response:
            self._check(response, "the listing")
            body = await _body(response, MOST_BYTES, "page")
        rows = await _parsed(body)
        if not isinstance(rows, list):
            raise TransientError("the answer is not a page of a listing")
        following = response.links.get("next", {}).get("url")
        onward = None if following is None else self._at_home(following)
        return Page(rows, onward, Quota.of(response.headers))

    async def object(self, kind: str, repo_id: str) -> dict[str, Any] | None:
        """Ask what the API says of one object of a kind ("datasets", "models", "spaces"); None where it has none for us.

        Raises: as `page`.
        """
        async with self._get(object_url(self.endpoint, kind, repo_id), "object", self._page_seconds) as response:
            if response.status_code in (403, 404, 410) or (response.status_code == 401 and _code(response)):
                return None
            self._check(response, repo_id)
            body = await _body(response, MOST_BYTES, "object")
        found = await _parsed(body)
        if not isinstance(found, dict):
            raise TransientError(f"the answer does not describe {repo_id}")
        return found

    async def card(self, repo_id: str, etag: str | None) -> Fetched:
        """Ask for a dataset's card; with `etag`, only if it has changed.

        Raises:
            TransientError: trying again may help.
            KeyRefusedError: the Hub does not accept the token.
            SourceError: trying again will not help.
        """
        headers = {"If-None-Match": etag} if etag else {}
        async with self._get(card_url(self.endpoint, repo_id), "card", self._card_seconds, headers) as response:
            return await self._card(repo_id, response, asked=etag is not None)

    async def _card(self, repo_id: str, response: httpx.Response, *, asked: bool) -> Fetched:
        """Read an answer; `asked` is whether the question was if the card has changed."""
        status = response.status_code
        new_etag = response.headers.get("X-Linked-ETag") or response.headers.get("ETag")
        if status == 200:
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind in ("text/html", "application/json"):
                raise TransientError(f"the Hub answered with {kind} in place of the card")
            return Fetched("ok", await _card_body(response), new_etag, moved_to=_moved(repo_id, response))
        if status == 304 and asked:
            return Fetched("unchanged", etag=new_etag, moved_to=_moved(repo_id, response))
        if status == 304 or _passing(status):
            raise StatusError(response)
        if response.url.netloc != httpx.URL(self.endpoint).netloc:
            raise TransientError(f"{response.url.host}, where the Hub keeps the card, answered HTTP {status}")
        code = _code(response)
        if status == 401 and not code and self._token:
            # Taken for the repository's state, it would close every card for good.
            raise self._token_refused(status)
        return refusal(status, code, response.headers.get("X-Error-Message", ""))

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def _get(
        self, url: str, what: str, seconds: float, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Ask, and let the answer be read, all within `seconds`: httpx limits the pauses between bytes alone."""
        try:
            with anyio.fail_after(seconds):
                async with self._client.stream("GET", url, headers=headers) as response:
                    yield response
        except TimeoutError as error:
            raise TransientError(f"the {what} did not arrive within {seconds:g} s") from error
        except (httpx.TransportError, httpx.TooManyRedirects, zlib.error) as error:
            raise TransientError(_reason(error)) from error
        except (httpx.InvalidURL, httpx.HTTPError) as error:
            raise SourceError(f"the {what}'s address cannot be asked: {_reason(error)}") from error

    def _check(self, response: httpx.Response, what: str) -> None:
        """Raise what an answer's status means where it is not 200."""
        status = response.status_code
        if status == 200:
            return
        if _passing(status):
            raise StatusError(response)
        if status in (401, 403):
            raise self._token_refused(status)
        raise SourceError(
            f"The Hub at {shown(self.endpoint)} answered {what} with HTTP {status}.",
            hint="Run the same command again later; what is stored is kept.",
        )

    def _at_home(self, address: str) -> str:
        """Return an address at the endpoint; whoever is asked elsewhere would be told the token."""
        here = at_endpoint(self.endpoint, address)
        if here is None:
            raise SourceError(
                f"The listing at {shown(self.endpoint)} goes on at another host, where hfmap does not follow it: "
                f"{short(shown(address), 100)}",
                hint="Set HF_ENDPOINT to the host that lists all of it.",
            )
        return here

    def _token_refused(self, status: int) -> KeyRefusedError:
        return KeyRefusedError(
            f"The Hub at {shown(self.endpoint)} refuses the token in HF_TOKEN (HTTP {status}).",
            hint="Set a valid token, or unset HF_TOKEN: public datasets need none.",
        )


def at_endpoint(endpoint: str, address: str) -> str | None:
    """Return an address that an answer named, as it is to be asked for at `endpoint`; None where it is another host's.

    A server behind a proxy may call itself http where it is reached by https, and leaves out the name and password that
    the proxy wants: these are the endpoint's.
    """
    home = httpx.URL(endpoint)
    try:
        named = home.join(address)
    except httpx.InvalidURL:
        return None
    if named.netloc != home.netloc:
        return None
    return str(named.copy_with(scheme=home.scheme, userinfo=home.userinfo))


def _passing(status: int) -> bool:
    """Whether a status may be another one at the next try."""
    return status in (408, 429) or status >= 500


def _code(response: httpx.Response) -> str:
    """Return the reason that the Hub gives by name, such as RepoNotFound; "" where it gives none."""
    return str(response.headers.get("X-Error-Code", ""))


def _reason(error: Exception) -> str:
    """Return an error's text on one line, cut, to stand within a sentence."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__


async def _parts(response: httpx.Response) -> AsyncGenerator[bytes]:
    """Yield a body part by part, decompressed by no more than a part at a time: httpx knows no such limit."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        async for raw in response.aiter_raw():
            yield raw
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise TransientError(f"the answer is encoded as {encoding[:20]}, which was not asked for")
    unzip, begun = zlib.decompressobj(zlib.MAX_WBITS | 32), False
    async for raw in response.aiter_raw():
        begun, left = True, raw
        while left and not unzip.eof:
            yield unzip.decompress(left, PART_BYTES)
            left = unzip.unconsumed_tail
    yield unzip.flush()
    if begun and not unzip.eof:
        raise TransientError("the answer breaks off")


async def _body(response: httpx.Response, most: int, what: str) -> bytes:
    """Read a body of at most so many bytes, decompressed."""
    body = bytearray()
    async with aclosing(_parts(response)) as parts:
        async for part in parts:
            body += part
            if len(body) > most:
                raise TransientError(f"the {what} does not end")
    return bytes(body)


async def _card_body(response: httpx.Response) -> bytes:
    """Read a card, cut where it is far too long.

    A body of unannounced length is read to its end all the same: one that never ends is not a card.
    """
    announced = "Content-Length" in response.headers
    raw = bytearray()
    async with aclosing(_parts(response)) as parts:
        async for part in parts:
            if len(raw) <= MAX_CARD_BYTES:
                raw += part
            elif announced:
                break
    return bytes(raw)


async def _parsed(body: bytes) -> Any:
    """Read JSON, megabytes of it, in a thread; None where it is none."""

    def parse() -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None

    return await anyio.to_thread.run_sync(parse)


def _moved(repo_id: str, response: httpx.Response) -> str | None:
    """Return a renamed repository's new id, as the redirects tell it."""
    for hop in (*response.history[1:], response):
        parts = urlsplit(str(hop.url)).path.split("/")
        if "datasets" in parts:
            rest = parts[parts.index("datasets") + 1 :]
            moved = "/".join(rest[: rest.index("resolve")]) if "resolve" in rest else ""
            if moved and moved != repo_id:
                return moved
    return None
