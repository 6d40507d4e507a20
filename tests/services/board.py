"""What the three doubles share: the log of requests, gauges, latencies, and requests held back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.services.messages import End

LATENCIES = {"list": 0.3, "card": 0.12, "embed": 0.4, "extract": 1.2, "summarize": 0.7, "topic": 1.5}
"""Seconds at scale 1, by kind of request. A redirect costs nothing, unless `latency["redirect"]` is set."""

ENRICH = ("extract", "summarize")


@dataclass(slots=True)
class Record:
    """One request that a service has received.

    `kind` is list, info, redirect, card, embed, extract, summarize, topic, message, batch or other. `key` is
    the repo id where one can be told (from the path, or named in the text), else the SHA-256 of the text.
    `items` are the keys of an embed request's texts, or the custom ids of a batch. `fault` is the kind of
    fault that was injected, or `malformed:` and the malformation. `status` is None until an answer is sent,
    and stays None for a connection that was broken or left; `end` says which. `turn` is 2 where a model is
    asked to mend an answer. `at` and `ended_at` are `time.monotonic` seconds.
    """

    service: str
    kind: str
    key: str
    at: float
    items: tuple[str, ...] = ()
    sha: str = ""
    model: str | None = None
    turn: int = 1
    authorization: str | None = None
    conditional: bool = False
    status: int | None = None
    fault: str | None = None
    end: End | None = None
    ended_at: float | None = None
    path: str = ""
    host: str = ""
    body: bytes | None = None

    @property
    def ok(self) -> bool:
        """Whether a whole, sound 200 answer was sent."""
        return self.end == "answered" and self.status == 200 and self.fault in (None, "drip")


def _gauges(record: Record) -> tuple[str, ...]:
    """What a request counts as: its service, its kind, and "enrich" where it asks a model about a card."""
    return (record.service, record.kind, "enrich") if record.kind in ENRICH else (record.service, record.kind)


class Board:
    """Shared by the services of one `Services`; every access goes through `lock`."""

    def __init__(self, *, latency_scale: float = 0.0, jitter: float = 0.0, keep_bodies: bool = False) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.requests: list[Record] = []
        self.latency: dict[str, float] = {}
        self.jitter = jitter
        self.keep_bodies = keep_bodies
        self._now: Counter[str] = Counter()
        self._peak: Counter[str] = Counter()
        self.errors: list[Exception] = []
        self._held: dict[str, list[Callable[[], None]]] = {}
        self.call_in_loop: Callable[[Callable[[], None]], object] = lambda call: call()
        self.scale_latency(latency_scale)

    def scale_latency(self, scale: float) -> None:
        """Set every latency to `scale` times its usual value."""
        with self.lock:
            self.latency = {kind: seconds * scale for kind, seconds in LATENCIES.items()}

    def begin(self, record: Record) -> None:
        """A request has arrived."""
        self.requests.append(record)
        for gauge in _gauges(record):
            self._now[gauge] += 1
            self._peak[gauge] = max(self._peak[gauge], self._now[gauge])
        self.changed.notify_all()

    def end(self, record: Record, how: End) -> None:
        """A request is over. A fault that leaves the client waiting ends it too."""
        with self.lock:
            record.end = how
            record.ended_at = time.monotonic()
            for gauge in _gauges(record):
                self._now[gauge] -= 1
            self.changed.notify_all()

    def now(self, gauge: str) -> int:
        """Requests of a kind or service in progress."""
        with self.lock:
            return self._now[gauge]

    def peak(self, gauge: str) -> int:
        """The most requests of a kind or service that were in progress at once since the log was reset."""
        with self.lock:
            return self._peak[gauge]

    def reset(self) -> None:
        """Forget the log and the peaks."""
        with self.lock:
            self.requests.clear()
            self._peak = Counter({gauge: count for gauge, count in self._now.items() if count > 0})

    def stats(self) -> dict[str, Any]:
        """Counters and peaks since the log was reset, as JSON values."""
        with self.lock:
            return {
                "requests": dict(Counter(record.kind for record in self.requests)),
                "answered": dict(Counter(record.kind for record in self.requests if record.ok)),
                "statuses": dict(Counter(f"{one.service} {one.status or one.end}" for one in self.requests)),
                "faults": dict(Counter(f"{one.service} {one.fault}" for one in self.requests if one.fault)),
                "now": {gauge: count for gauge, count in self._now.items() if count},
                "peaks": dict(self._peak),
            }

    @contextmanager
    def hold(self, *kinds: str) -> Iterator[None]:
        """Leave requests of these kinds unanswered until the block ends."""
        with self.lock:
            for kind in kinds:
                self._held.setdefault(kind, [])
        try:
            yield
        finally:
            with self.lock:
                waiting = [call for kind in kinds for call in self._held.pop(kind, [])]
            for call in waiting:
                self.call_in_loop(call)

    def hold_back(self, kind: str, call: Callable[[], None]) -> bool:
        """Keep `call` for later if requests of this kind are held."""
        waiting = self._held.get(kind)
        if waiting is None:
            return False
        waiting.append(call)
        return True
