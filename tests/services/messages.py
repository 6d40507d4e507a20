"""HTTP/1.1 requests and responses, and chunked bodies."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qs

End = Literal["answered", "fault", "gone"]
Manner = Literal["whole", "chunked", "reset", "reset_early", "cut", "hang", "hang_silent", "endless", "drip"]

_REASONS = {status.value: status.phrase for status in HTTPStatus} | {529: "Overloaded"}


@dataclass(slots=True)
class Request:
    """One request. Header names are lower-case; `path` is percent-decoded, without the query."""

    method: str
    path: str
    target: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's values by name."""
        return parse_qs(self.target.partition("?")[2], keep_blank_values=True)

    @property
    def token(self) -> str | None:
        """The bearer token or the key in `x-api-key`."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and value:
            return value.strip()
        return self.headers.get("x-api-key")

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: the body is not JSON.
        """
        return json.loads(self.body)


@dataclass(slots=True)
class Response:
    """One answer, and the manner in which it is sent. `note` goes into the log as the answer's fault."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    manner: Manner = "whole"
    note: str | None = None

    @classmethod
    def of_json(cls, value: Any, status: int = 200, **headers: str) -> Response:
        """A JSON answer. Underscores in header names stand for hyphens."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, json.dumps(value).encode(), {"content-type": "application/json", **named})

    def head(self, *, chunked: bool, keep: bool) -> bytes:
        """Status line and headers, with the empty line."""
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if chunked:
            lines.append("transfer-encoding: chunked")
        elif self.status not in (204, 304):
            lines.append(f"content-length: {len(self.body)}")
        if not keep:
            lines.append("connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def slices(body: bytes, size: int) -> Iterable[bytes]:
    """Cut a body into pieces of at most `size` bytes."""
    return [body[at : at + size] for at in range(0, len(body), size)]


def chunk(piece: bytes) -> bytes:
    """Frame a piece for a chunked body."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def unchunk(buffer: bytearray, at: int) -> tuple[bytes, int] | None:
    """Body and end position of a chunked request body, or None where more is to come."""
    body = bytearray()
    while True:
        line_end = buffer.find(b"\r\n", at)
        if line_end < 0:
            return None
        size = int(bytes(buffer[at:line_end]).split(b";")[0], 16)
        at = line_end + 2
        if len(buffer) < at + size + 2:
            return None
        if size == 0:
            return bytes(body), at + 2
        body += buffer[at : at + size]
        at += size + 2
