"""What a double of one service does with a request, whichever service it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

from tests.services.board import Board, Record
from tests.services.faults import VECTOR_FAULTS, Fault, Faults, chance
from tests.services.http import Exchange, Server
from tests.services.messages import End, Manner, Request, Response

HTML_PAGE = b"<!doctype html><html><head><title>Sorry</title></head><body><h1>Something broke</h1></body></html>"
_MANNERS: dict[str, Manner] = {
    "reset": "reset",
    "reset_early": "reset_early",
    "cut": "cut",
    "hang": "hang",
    "hang_silent": "hang_silent",
    "endless": "endless",
    "drip": "drip",
}
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(slots=True)
class Route:
    """Where a request leads: its kind and key for the log, and what answers it."""

    kind: str
    key: str
    answer: Callable[[Fault | None], Response]
    items: tuple[str, ...] = field(default=())
    sha: str = ""
    model: str | None = None
    turn: int = 1


class Service:
    """One service behind one port. Subclasses say how to route a request and how an error looks."""

    name = "service"
    takes_key = True

    def __init__(self, board: Board, key: str | None = None) -> None:
        self.board = board
        self.key = key
        self.faults = Faults()
        self.server = Server(self.serve)
        self.identify: Callable[[str], str | None] = lambda _text: None
        self.control: Callable[[Request], Response | None] = lambda _request: None

    def route(self, request: Request) -> Route:
        """Where the request leads."""
        raise NotImplementedError

    def error(self, status: int, message: str, request: Request) -> Response:
        """An error in the form this service gives it."""
        raise NotImplementedError

    def no_credit(self, request: Request) -> Response:
        """The answer to an account without money."""
        return self.error(402, "The account has no credit left.", request)

    def key_refused(self, request: Request) -> bool:
        """Whether the request lacks the key that this service expects."""
        return self.takes_key and self.key is not None and request.token != self.key

    def serve(self, exchange: Exchange) -> None:
        """Handle one request: log it, wait, and answer it or spoil the answer."""
        request = exchange.request
        if request.path.startswith("/__"):
            exchange.send(self.control(request) or Response(404))
            return
        board = self.board
        with board.lock:
            try:
                route = self.route(request)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                refusal = self.error(400, f"The request cannot be read: {error!r}", request)
                route = Route("other", request.path, lambda _fault: refusal)
            fault = Fault("401") if self.key_refused(request) else self.faults.choose(route.kind, route.key)
            record = Record(
                self.name,
                route.kind,
                route.key,
                time.monotonic(),
                items=route.items,
                sha=route.sha,
                model=route.model,
                turn=route.turn,
                authorization=request.headers.get("authorization"),
                conditional="if-none-match" in request.headers,
                fault=fault.kind if fault else None,
                path=request.target,
                host=request.headers.get("host", ""),
                body=request.body if board.keep_bodies else None,
            )
            board.begin(record)
            exchange.on_end = partial(self._over, record)
            wait = self._wait(route, fault, len(board.requests))
        exchange.later(wait, partial(self._answer, exchange, route, record, fault))

    def _wait(self, route: Route, fault: Fault | None, number: int) -> float:
        if fault is not None and fault.kind in ("429", "401", "402", "403", "529", "no_credit"):
            return 0.0  # a gate refuses at once
        wait = self.board.latency.get(route.kind, 0.0)
        if self.board.jitter:
            wait *= 1 + self.board.jitter * (2 * chance(self.faults.seed, "jitter", route.kind, number) - 1)
        return wait

    def _answer(self, exchange: Exchange, route: Route, record: Record, fault: Fault | None) -> None:
        with self.board.lock:
            if exchange.ended:
                return
            again = partial(self._answer, exchange, route, record, fault)
            if self.board.hold_back(route.kind, again):
                return
            try:
                response = self._compose(exchange.request, route, fault)
            except Exception as error:  # a bug in a test's script: answered, and raised when the block ends
                self.board.errors.append(error)
                response = self.error(500, repr(error), exchange.request)
            if response.note is not None:
                record.fault = response.note
            broken = response.manner not in ("whole", "chunked", "drip", "endless")
            record.status = None if broken else response.status
        exchange.send(response)

    def _compose(self, request: Request, route: Route, fault: Fault | None) -> Response:
        if fault is None or fault.kind in VECTOR_FAULTS:
            return route.answer(fault)
        if fault.kind in _MANNERS:
            response = route.answer(None)
            response.manner = _MANNERS[fault.kind]
            return response
        if fault.kind == "html":
            return Response(200, HTML_PAGE, {"content-type": "text/html"})
        if fault.kind == "html_502":
            return Response(502, HTML_PAGE, {"content-type": "text/html"})
        if fault.kind == "garbage":
            return Response(200, b'{"id": "x", "cont', {"content-type": "application/json"})
        if fault.kind == "no_credit":
            return self.no_credit(request)
        response = self.error(int(fault.kind), fault.message or _MESSAGES[fault.kind], request)
        if fault.retry_after is not None and fault.kind in ("429", "503", "529"):
            wish = fault.retry_after
            response.headers["retry-after"] = wish if isinstance(wish, str) else f"{wish:g}"
        return response

    def _over(self, record: Record, how: End) -> None:
        self.board.end(record, how)

    def name_text(self, text: str) -> tuple[str, str]:
        """(key, sha) of a text: the repo id it names, else its SHA-256; and its SHA-256."""
        digest = sha256(text.encode()).hexdigest()
        return self.identify(text) or digest, digest


def named_repo(text: str, known: Callable[[str], bool]) -> str | None:
    """The first repo id in the text that is known."""
    for match in _ID.finditer(text):
        candidate = match.group().rstrip(".")
        if known(candidate):
            return candidate
    return None


_MESSAGES = {
    "401": "The key is not valid.",
    "402": "Payment is required.",
    "403": "This key has no access to that.",
    "429": "Too many requests.",
    "500": "Internal error.",
    "502": "Bad gateway.",
    "503": "The service is unavailable.",
    "504": "The gateway waited too long.",
    "529": "Overloaded.",
}
