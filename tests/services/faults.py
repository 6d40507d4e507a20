"""What can go wrong at a service, and how often."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Literal, get_args

FaultKind = Literal[
    "429", "500", "502", "503", "504", "529", "401", "402", "403",
    "no_credit",     # the account has no money left, in the service's own words
    "html",          # status 200, but a web page instead of JSON
    "html_502",      # a gateway's error page
    "garbage",       # status 200 and broken JSON
    "reset",         # connection reset in mid-body
    "reset_early",   # connection reset before any answer
    "cut",           # connection closed in mid-body
    "hang",          # half the body, then silence
    "hang_silent",   # no answer at all
    "endless",       # a body that never ends
    "drip",          # the right answer, 64 bytes at a time
    "wrong_count", "wrong_dimensions", "nan",  # of the vectors (Cohere only)
]  # fmt: skip
FAULT_KINDS: tuple[str, ...] = get_args(FaultKind)
VECTOR_FAULTS = ("wrong_count", "wrong_dimensions", "nan")
STATUS_5XX: tuple[FaultKind, ...] = ("500", "502", "503", "504")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `retry_after` (seconds, or an HTTP date) is sent with 429, 503 and 529."""

    kind: FaultKind
    retry_after: float | str | None = None
    message: str | None = None


@dataclass(slots=True)
class Scripted:
    """A fault for the next `count` requests of a kind and key (None: any)."""

    fault: Fault
    count: int = 1
    kind: str | None = None
    key: str | None = None
    matches: Callable[[str, str], bool] | None = None

    def fits(self, kind: str, key: str) -> bool:
        """Whether a request of this kind and key is meant."""
        return (
            (self.kind is None or self.kind == kind)
            and (self.key is None or self.key == key)
            and (self.matches is None or self.matches(kind, key))
        )


@dataclass
class Faults:
    """Faults of one service; every attribute may be changed at any time.

    Rates are shares of requests (0 to 1). Whether the n-th request for a key meets a fault depends on the
    seed, the kind, the key and n alone, not on the order in which requests of different keys arrive. With
    `sticky`, n is left out: a key that fails once fails always.
    """

    seed: int = 0
    rate_429: float = 0.0
    rate_5xx: float = 0.0
    rate_529: float = 0.0
    rate_reset: float = 0.0
    rate_hang: float = 0.0
    rate_html: float = 0.0
    rate_endless: float = 0.0
    rate_wrong_count: float = 0.0
    rate_wrong_dimensions: float = 0.0
    rate_nan: float = 0.0
    retry_after: float | str | None = None
    """Seconds or an HTTP date, sent with 429, 503 and 529; None sends no such header."""
    kinds: Collection[str] | None = None
    """Only requests of these kinds meet the rates above; None: all but control requests."""
    sticky: bool = False
    refuse_key: bool = False
    no_credit: bool = False
    down: FaultKind | None = None
    """Every request meets this fault."""
    requests_per_second: float | None = None
    """More than this (with a burst of `burst`) is answered 429."""
    burst: float = 1.0
    queue: list[Scripted] = field(default_factory=list)
    _seen: Counter[tuple[str, str]] = field(default_factory=Counter, repr=False)
    _tokens: float | None = field(default=None, repr=False)
    _filled_at: float = field(default=0.0, repr=False)

    def next(
        self,
        kind: FaultKind,
        count: int = 1,
        *,
        of: str | None = None,
        key: str | None = None,
        matches: Callable[[str, str], bool] | None = None,
        retry_after: float | str | None = None,
        message: str | None = None,
    ) -> None:
        """The next `count` requests of kind `of`, for `key`, that `matches(kind, key)`, meet this fault."""
        self.queue.append(Scripted(Fault(kind, retry_after, message), count, of, key, matches))

    def set(self, **settings: object) -> None:
        """Change several settings.

        Raises:
            AttributeError: there is no such setting.
        """
        for name, value in settings.items():
            if name.startswith("_") or name not in self.__dataclass_fields__:
                raise AttributeError(name)
            setattr(self, name, value)

    def clear(self) -> None:
        """No faults from now on."""
        fresh = Faults(seed=self.seed)
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(fresh, name))

    def choose(self, kind: str, key: str) -> Fault | None:
        """The fault that this request meets, if any. Counts the request."""
        attempt = self._seen[kind, key]
        self._seen[kind, key] += 1
        if self.refuse_key:
            return Fault("401")
        if self.no_credit:
            return Fault("no_credit")
        for scripted in self.queue:
            if scripted.fits(kind, key):
                scripted.count -= 1
                if scripted.count <= 0:
                    self.queue.remove(scripted)
                return scripted.fault
        if self.down is not None:
            return Fault(self.down, self.retry_after)
        if self.requests_per_second is not None and not self._take_token(self.requests_per_second):
            return Fault("429", self.retry_after)
        if self.kinds is not None and kind not in self.kinds:
            return None
        return self._by_chance(kind, key, 0 if self.sticky else attempt)

    def _by_chance(self, kind: str, key: str, attempt: int) -> Fault | None:
        rates: tuple[tuple[FaultKind, float], ...] = (
            ("429", self.rate_429),
            ("500", self.rate_5xx),
            ("529", self.rate_529),
            ("reset", self.rate_reset),
            ("hang", self.rate_hang),
            ("html", self.rate_html),
            ("endless", self.rate_endless),
            ("wrong_count", self.rate_wrong_count),
            ("wrong_dimensions", self.rate_wrong_dimensions),
            ("nan", self.rate_nan),
        )
        if not any(rate for _, rate in rates):
            return None
        point = chance(self.seed, "fault", kind, key, attempt)
        for name, rate in rates:
            if point < rate:
                kind_5xx = STATUS_5XX[int(point / rate * len(STATUS_5XX))]
                return Fault(kind_5xx if name == "500" else name, self.retry_after)
            point -= rate
        return None

    def _take_token(self, per_second: float) -> bool:
        now = time.monotonic()
        if self._tokens is None:
            self._tokens = self.burst
        else:
            self._tokens = min(self.burst, self._tokens + (now - self._filled_at) * per_second)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


@dataclass
class Quota:
    """So many requests in a window of so many seconds, as the Hub counts them."""

    limit: int
    window: float = 300.0
    used: int = 0
    began: float = 0.0

    def take(self) -> tuple[bool, int, int]:
        """Count a request: (whether it is allowed, requests left, seconds to the next window)."""
        now = time.monotonic()
        if now - self.began >= self.window:
            self.began, self.used = now, 0
        self.used += 1
        left = self.limit - self.used
        return left >= 0, max(left, 0), max(1, round(self.began + self.window - now))


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but the parts."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56
