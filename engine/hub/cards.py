"""The Hub's cards, by plain HTTP."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import anyio
import httpx

from engine.errors import SourceError, TransientError
from engine.hub.address import reason, token_refused
from engine.hub.entries import Entry, Fetched
from engine.hub.quota import hub_wish, quota_renewed
from taxonomy.card import MAX_CARD_BYTES

CARD_SECONDS = 20.0
"""The longest a card may take from request to last byte. A body that never ends is cut off here."""


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
            raise TransientError(reason(error)) from error
        except (httpx.InvalidURL, httpx.HTTPError) as error:
            raise SourceError(f"the card's address cannot be asked: {reason(error)}") from error

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
