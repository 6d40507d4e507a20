"""The double of the Hugging Face Hub: the listing, one dataset's facts, and its card."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import quote, urlencode

from tests.services.board import Board
from tests.services.faults import Fault, Quota
from tests.services.http import Server
from tests.services.hub_state import DatasetState, Hub
from tests.services.messages import Request, Response
from tests.services.service import Route, Service

PAGE_LIMIT = 1000
SORTS = {
    "likes": "likes",
    "downloads": "downloads",
    "trendingScore": "trending_score",
    "createdAt": "created_at",
    "lastModified": "last_modified",
}
EXPANDABLE = frozenset(DatasetState("a/b").row()) - {"_id", "id", "key"} | {"xetEnabled", "gitalyUid"}
_BASIC = (
    "_id", "id", "key", "author", "disabled", "gated", "lastModified", "likes", "trendingScore", "private",
    "sha", "description", "downloads", "tags", "createdAt",
)  # fmt: skip
_FULL = (*_BASIC, "cardData", "citation", "paperswithcode_id", "siblings")
_INFO = re.compile(r"/api/datasets/(?P<id>[^/]+(?:/[^/]+)?)(?:/revision/(?P<rev>[^/]+))?")
_RESOLVE = re.compile(r"/datasets/(?P<id>[^/]+(?:/[^/]+)?)/resolve/(?P<rev>[^/]+)/(?P<file>.+)")
_CACHED = re.compile(r"/api/resolve-cache/datasets/(?P<id>[^/]+(?:/[^/]+)?)/(?P<rev>[0-9a-f]{40})/(?P<file>.+)")


class HubDouble(Service):
    """The Hub. Change repositories by its methods, or take `lock` and change `datasets` itself.

    Args:
        token: what `Authorization` must carry to see private repositories and gated cards; a wrong one is
            refused with 401. None: every token is as good as none.
        page_size: rows of a listing page, at most 1000.
        repeat_rows: how many rows each page after the first repeats from the page before it.
        redirect: whether a card is answered by a redirect to the resolve cache ("path", as the Hub does), to
            another origin that stands in for a CDN ("cdn"), or at once ("none").
        ratelimit_reset: (an attribute) seconds that the RateLimit header of an injected 429 names; None: no
            header.
        list_private: whether the listing shows private rows to everyone (as it does to a member of the
            organisation).
    """

    name = "hub"
    takes_key = False

    def __init__(
        self,
        board: Board,
        datasets: Iterable[DatasetState] = (),
        *,
        token: str | None = None,
        page_size: int = PAGE_LIMIT,
        repeat_rows: int = 0,
        redirect: Literal["path", "cdn", "none"] = "path",
        list_private: bool = True,
    ) -> None:
        super().__init__(board, token)
        self.hub = Hub(datasets)
        self.lock = board.lock
        self.page_size = page_size
        self.repeat_rows = repeat_rows
        self.redirect = redirect
        self.list_private = list_private
        self.quotas: dict[str, Quota] = {}
        self.ratelimit_reset: float | None = None
        self.cdn = Server(self.serve)
        self._snapshots: dict[str, list[str]] = {}

    @property
    def datasets(self) -> dict[str, DatasetState]:
        """The repositories by id."""
        return self.hub.datasets

    def add(self, *states: DatasetState) -> None:
        """Publish repositories, or replace those of the same id."""
        with self.lock:
            self.datasets.update((state.id, state) for state in states)

    def remove(self, *ids: str) -> None:
        """Delete repositories."""
        with self.lock:
            for repo_id in ids:
                del self.datasets[repo_id]

    def rename(self, old: str, new: str) -> None:
        """Give a repository another id; the old one redirects."""
        with self.lock:
            self.hub.rename(old, new)

    def touch(self, *ids: str) -> None:
        """A commit that leaves the card as it is."""
        with self.lock:
            for repo_id in ids:
                self.datasets[repo_id].commit()

    def update(self, repo_id: str, **changes: Any) -> None:
        """Set attributes of `DatasetState`. A new `card` (bytes, str or None) is a commit, others are not."""
        with self.lock:
            state = self.datasets[repo_id]
            if isinstance(changes.get("card"), str):
                changes["card"] = changes["card"].encode()
            for name, value in changes.items():
                if name not in state.__dataclass_fields__:
                    raise AttributeError(name)
                setattr(state, name, value)
            if "card" in changes and "sha" not in changes:
                state.commit()

    def set_quota(self, *, api: int | None = None, resolvers: int | None = None, window: float = 300.0) -> None:
        """Allow so many requests a window, counted and announced in RateLimit headers; None: unlimited."""
        with self.lock:
            given = {"api": api, "resolvers": resolvers}
            self.quotas = {name: Quota(limit, window) for name, limit in given.items() if limit is not None}

    # Requests

    def route(self, request: Request) -> Route:
        path = request.path
        if path == "/api/datasets":
            return self._limited("api", request, Route("list", request.target, lambda _f: self._list(request)))
        if cached := _CACHED.fullmatch(path):
            answer = Route("card", cached["id"], lambda _f: self._cached(request, cached))
            return self._limited("resolvers", request, answer)
        if resolve := _RESOLVE.fullmatch(path):
            return self._limited("resolvers", request, self._resolve_route(request, resolve))
        if info := _INFO.fullmatch(path):
            return self._limited("api", request, Route("info", info["id"], lambda _f: self._info(request, info)))
        if path == "/api/whoami-v2":
            return Route("other", path, lambda _f: self._whoami(request))
        return Route("other", path, lambda _f: self.error(404, "Sorry, we can't find the page.", request))

    def error(self, status: int, message: str, request: Request, code: str | None = None) -> Response:
        headers = {"X_Error_Message": message}
        if code is not None:
            headers["X_Error_Code"] = code
        if status == 429 and self.ratelimit_reset is not None:
            resource = "resolvers" if "/resolve" in request.path else "api"
            headers["RateLimit"] = f'"{resource}";r=0;t={self.ratelimit_reset:.0f}'
            headers["RateLimit_Policy"] = f'"fixed window";"{resource}";q=500;w=300'
        return Response.of_json({"error": message}, status, **headers)

    def _limited(self, resource: str, request: Request, route: Route) -> Route:
        """The route under the resource's quota, with RateLimit headers where they are switched on."""
        quota = self.quotas.get(resource)
        if quota is None:
            return route
        allowed, left, reset = quota.take()
        answer = route.answer

        def with_headers(fault: Fault | None) -> Response:
            response = answer(fault) if allowed else self.error(429, "Too many requests.", request)
            response.headers["RateLimit"] = f'"{resource}";r={left};t={reset}'
            response.headers["RateLimit-Policy"] = f'"fixed window";"{resource}";q={quota.limit};w={quota.window:.0f}'
            return response

        route.answer = with_headers
        return route

    def _list(self, request: Request) -> Response:
        query = request.query
        if self._bad_token(request):
            return self.error(401, "Invalid credentials in Authorization header", request)
        expand = [*query.get("expand", ()), *query.get("expand[]", ())]
        if unknown := set(expand) - EXPANDABLE:
            return self.error(400, f"Invalid expand: {sorted(unknown)}", request)
        sort = query.get("sort", ["trendingScore"])[0]
        if sort not in SORTS:
            return self.error(400, f"Invalid sort: {sort}", request)
        limit = int(query.get("limit", [str(self.page_size)])[0])
        if limit < 1:
            return self.error(400, "Invalid limit", request)
        size = min(limit, self.page_size, PAGE_LIMIT)
        if "cursor" in query:
            name, _, at = base64.urlsafe_b64decode(query["cursor"][0]).decode().partition(":")
            start = int(at)
        else:
            name, start = self._snapshot(query, sort, request), 0
        ids = self._snapshots[name]
        begin = max(0, start - min(self.repeat_rows, size - 1))
        rows = [self.datasets[repo_id].row() for repo_id in ids[begin : begin + size] if repo_id in self.datasets]
        full = query.get("full", ["false"])[0].lower() in ("true", "1", "yes")
        names = ("_id", "id", *expand) if expand else _FULL if full else _BASIC
        response = Response.of_json([{name: row[name] for name in names if row.get(name) is not None} for row in rows])
        if begin + size < len(ids):
            cursor = base64.urlsafe_b64encode(f"{name}:{begin + size}".encode()).decode()
            pairs = [(key, value) for key, values in query.items() if key != "cursor" for value in values]
            host = request.headers.get("host", "")
            link = f"http://{host}/api/datasets?{urlencode([*pairs, ('cursor', cursor)])}"
            response.headers["Link"] = f'<{link}>; rel="next"'
        return response

    def _snapshot(self, query: dict[str, list[str]], sort: str, request: Request) -> str:
        """Keep the order of the listing as it is now, so that its pages fit together."""
        author, filters = query.get("author", [None])[0], query.get("filter", [])
        search = [word.lower() for word in query.get("search", [])]
        shown = [
            state
            for state in self.datasets.values()
            if (not state.private or self.list_private or self._member(request))
            and (author is None or state.author == author)
            and all(tag in state.tags for tag in filters)
            and all(word in state.id.lower() for word in search)
        ]
        attribute = SORTS[sort]
        shown.sort(key=lambda state: state.id)
        shown.sort(key=lambda state: getattr(state, attribute), reverse=True)
        name = f"s{time.monotonic_ns():x}"
        self._snapshots[name] = [state.id for state in shown]
        while len(self._snapshots) > 8:
            del self._snapshots[next(iter(self._snapshots))]
        return name

    def _info(self, request: Request, info: re.Match[str]) -> Response:
        moved = self.hub.current_id(info["id"])
        if moved != info["id"]:
            return self._moved(request.target.replace(quote(info["id"]), quote(moved), 1))
        state = self.datasets.get(moved)
        if refusal := self._refuse(state, request):
            return refusal
        assert state is not None
        if info["rev"] not in (None, "main", state.sha):
            return self.error(404, "Invalid rev id", request, "RevisionNotFound")
        wanted = request.query.get("expand")
        row = state.row()
        return Response.of_json({name: row[name] for name in ("_id", "id", *wanted)} if wanted else row)

    def _resolve_route(self, request: Request, resolve: re.Match[str]) -> Route:
        """A redirect is a kind of its own: the card is what it leads to."""
        repo_id = resolve["id"]
        moved = self.hub.current_id(repo_id)
        if moved != repo_id:
            target = f"/datasets/{quote(moved)}/resolve/{resolve['rev']}/{resolve['file']}"
            return Route("redirect", repo_id, lambda _f: self._moved(target))
        state = self.datasets.get(repo_id)
        refusal = self._refuse(state, request) or self._refuse_file(state, resolve["rev"], resolve["file"], request)
        if refusal is not None:
            return Route("card", repo_id, lambda _f: refusal)
        assert state is not None
        if self.redirect == "none":
            return Route("card", repo_id, lambda _f: self._file(state, request))
        origin = self.cdn.url if self.redirect == "cdn" else ""
        target = f"{origin}/api/resolve-cache/datasets/{quote(repo_id)}/{state.sha}/{resolve['file']}"
        return Route("redirect", repo_id, lambda _f: self._moved(target, state))

    def _cached(self, request: Request, cached: re.Match[str]) -> Response:
        state = self.datasets.get(cached["id"])
        if state is None or state.card is None:
            return self.error(404, "Entry not found", request, "EntryNotFound")
        return self._file(state, request)

    def _file(self, state: DatasetState, request: Request) -> Response:
        card = state.card or b""
        headers = {
            "content-type": "text/plain; charset=utf-8",
            "ETag": state.etag,
            "X-Repo-Commit": state.sha,
            "content-disposition": "inline; filename*=UTF-8''README.md; filename=\"README.md\";",
        }
        wanted = request.headers.get("if-none-match", "")
        if state.etag in [tag.strip().removeprefix("W/") for tag in wanted.split(",")]:
            return Response(304, b"", headers)
        return Response(200, card, headers)

    def _moved(self, target: str, state: DatasetState | None = None) -> Response:
        body = f"Temporary Redirect. Redirecting to {target}".encode()
        response = Response(307, body, {"content-type": "text/plain; charset=utf-8", "location": target})
        if state is not None:
            response.headers |= {
                "X-Repo-Commit": state.sha,
                "X-Linked-ETag": state.etag,
                "X-Linked-Size": str(len(state.card or b"")),
            }
        return response

    def _whoami(self, request: Request) -> Response:
        if not self._member(request):
            return self.error(401, "Invalid username or password.", request)
        return Response.of_json({"type": "user", "name": "tester", "orgs": [], "auth": {"type": "access_token"}})

    # Who may see what

    def _member(self, request: Request) -> bool:
        return self.key is not None and request.token == self.key

    def _bad_token(self, request: Request) -> bool:
        return self.key is not None and request.token is not None and request.token != self.key

    def _refuse(self, state: DatasetState | None, request: Request) -> Response | None:
        """Why this client may not see this repository, if so. A private one looks as if it did not exist."""
        if self._bad_token(request):
            return self.error(401, "Invalid credentials in Authorization header", request)
        if state is None or (state.private and not self._member(request)):
            status = 404 if self._member(request) else 401
            message = "Repository not found" if status == 404 else "Invalid username or password."
            return self.error(status, message, request, "RepoNotFound")
        if state.disabled:
            return self.error(403, "Access to this resource is disabled.", request)
        return None

    def _refuse_file(self, state: DatasetState | None, rev: str, file: str, request: Request) -> Response | None:
        assert state is not None
        if state.gated and not self._member(request):
            status = 403 if request.token else 401
            message = f"Access to dataset {state.id} is restricted. You must be authenticated to access it."
            return self.error(status, message, request, "GatedRepo")
        if rev not in ("main", state.sha):
            return self.error(404, f"Invalid rev id: {rev}", request, "RevisionNotFound")
        if file != "README.md" or state.card is None:
            return self.error(404, "Entry not found", request, "EntryNotFound")
        return None
