"""The Hub: its listing through huggingface_hub, its cards by plain HTTP."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

import anyio
import anyio.from_thread
import httpx

from engine.errors import KeyRefusedError, SourceError, TransientError
from engine.events import Bus, CallRetried
from engine.sources.base import MAX_CARD_BYTES, Entry, Fetched
from engine.sources.patience import hub_wish, quota_renewed
from engine.store.clock import iso_utc

EXPAND = (
    "author", "sha", "lastModified", "createdAt", "likes", "downloads", "downloadsAllTime", "trendingScore", "tags",
    "gated", "private", "disabled", "cardData", "description",
)  # fmt: skip
"""What is asked of each dataset. Left out is `siblings`, the list of files, larger than all the rest."""

CHUNK = 250
"""Datasets handed over at a time; a page of the listing holds up to 1,000."""

CARD_SECONDS = 20.0
"""The longest a card may take from request to last byte. A body that never ends is cut off here."""

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

        from engine.sources.session import Patience, listing_client, silence_library

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
                f"The listing at {_shown(self._endpoint)} cannot be read: {_reason(error)}.",
                hint="Check the network and HF_ENDPOINT, or work offline: hfmap sync --source sample.",
            ) from error
        if chunk:
            yield chunk

    def _http_error(self, status: int) -> SourceError | KeyRefusedError:
        if status in (401, 403):
            return token_refused(self._endpoint, status)
        return SourceError(
            f"The Hub at {_shown(self._endpoint)} answered the listing with HTTP {status}.",
            hint="Run the same command again later; what is stored is kept.",
        )


def token_refused(endpoint: str, status: int) -> KeyRefusedError:
    """Make the error of a token that the Hub does not accept."""
    return KeyRefusedError(
        f"The Hub at {_shown(endpoint)} refuses the token in HF_TOKEN (HTTP {status}).",
        hint="Set a valid token, or unset HF_TOKEN: public datasets need none.",
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


def dataset_url(endpoint: str, repo_id: str) -> str:
    """Return the address of a dataset's page."""
    return f"{_shown(endpoint)}/datasets/{quote(repo_id, safe='/')}"


def _shown(endpoint: str) -> str:
    """Leave out of an address the name and password that it may carry."""
    scheme, _, rest = endpoint.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


class HubCards:
    """Asks the Hub for READMEs, at most as often as its caller does; redirects are followed.

    The token goes to the endpoint's own host only: httpx drops the Authorization header when a redirect leads
    elsewhere, as the Hub's do for files on its CDN.
    """

    def __init__(self, endpoint: str, token: str | None, *, connections: int, timeout: float | None = None) -> None:
        headers = {"User-Agent": "hfmap", "Accept-Encoding": "gzip, deflate"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._token = token
        self._endpoint = endpoint
        self._timeout = timeout or CARD_SECONDS
        self._client = httpx.AsyncClient(
            headers=headers,
            follow_redirects=True,
            timeout=httpx.Timeout(self._timeout, connect=min(10.0, self._timeout)),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    async def fetch(self, entry: Entry, etag: str | None) -> Fetched:
        """Ask for a card; see `CardFetcher`."""
        url = f"{self._endpoint}/datasets/{quote(entry.repo_id, safe='/')}/resolve/main/README.md"
        headers = {"If-None-Match": etag} if etag else {}
        try:
            with anyio.fail_after(self._timeout):
                async with self._client.stream("GET", url, headers=headers) as response:
                    return await self._answer(entry, response, asked=etag is not None)
        except TimeoutError as error:
            raise TransientError(f"the card did not arrive within {self._timeout:g} s") from error
        except (httpx.TransportError, httpx.DecodingError, httpx.TooManyRedirects) as error:
            raise TransientError(_reason(error)) from error
        except (httpx.InvalidURL, httpx.HTTPError) as error:
            raise SourceError(f"the card's address cannot be asked: {_reason(error)}") from error

    async def _answer(self, entry: Entry, response: httpx.Response, *, asked: bool) -> Fetched:
        """Read an answer; `asked` is whether the question was if the card has changed."""
        status = response.status_code
        new_etag = response.headers.get("X-Linked-ETag") or response.headers.get("ETag")
        if status == 200:
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind in ("text/html", "application/json"):
                raise TransientError(f"the Hub answered with {kind} in place of the card")
            return Fetched("ok", await _body(response), new_etag, moved_to=_moved(entry, response))
        if status == 304 and asked:
            return Fetched("unchanged", etag=new_etag, moved_to=_moved(entry, response))
        if status in (304, 408, 429) or status >= 500:
            raise TransientError(
                f"the Hub answered HTTP {status}",
                retry_after=hub_wish(response.headers),
                limited=status == 429,
                closed=status == 429 and quota_renewed(response.headers) is not None,
            )
        if response.url.netloc != httpx.URL(self._endpoint).netloc:
            raise TransientError(f"{response.url.host}, where the Hub keeps the card, answered HTTP {status}")
        code = response.headers.get("X-Error-Code", "")
        if status == 401 and not code and self._token:
            # Taken for the repository's state, it would close every card for good.
            raise token_refused(self._endpoint, status)
        return _refusal(status, code, response.headers.get("X-Error-Message", ""))

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()


async def _body(response: httpx.Response) -> bytes:
    """Read a card, cut where it is far too long.

    A body of unannounced length is read to its end all the same: one that never ends is not a card.
    """
    announced = "Content-Length" in response.headers
    raw = bytearray()
    async for part in response.aiter_bytes():
        if len(raw) <= MAX_CARD_BYTES:
            raw += part
        elif announced:
            break
    return bytes(raw)


_DISABLED = "Access to this resource is disabled"
"""What the Hub says of repositories that it has taken down, without a code; huggingface_hub goes by these words too."""


def _refusal(status: int, code: str, message: str) -> Fetched:
    """Say why there is no card. The Hub names the reason in X-Error-Code, or in X-Error-Message alone."""
    if code == "GatedRepo":
        return Fetched("gated", reason="access must be asked for on the Hub")
    if code == "EntryNotFound":
        return Fetched("missing", reason="the repository has no README.md")
    if code == "RevisionNotFound":
        return Fetched("missing", reason="the repository has no branch main")
    if code == "RepoNotFound":
        # The Hub does not tell a stranger whether a repository is private or gone.
        return Fetched("missing", reason="the repository is gone or private", gone=True)
    if code == "DisabledRepo" or message.startswith(_DISABLED):
        return Fetched("disabled", reason="the Hub has disabled the repository")
    if status in (401, 403):
        return Fetched("gated", reason=f"the Hub answered HTTP {status}")
    if status in (404, 410, 451):
        return Fetched("missing", reason=f"the Hub answered HTTP {status}")
    raise SourceError(f"the Hub answered HTTP {status}")


def _moved(entry: Entry, response: httpx.Response) -> str | None:
    """Return a renamed repository's new id, as the redirects tell it."""
    for hop in (*response.history[1:], response):
        parts = urlsplit(str(hop.url)).path.split("/")
        if "datasets" in parts:
            rest = parts[parts.index("datasets") + 1 :]
            moved = "/".join(rest[: rest.index("resolve")]) if "resolve" in rest else ""
            if moved and moved != entry.repo_id:
                return moved
    return None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
