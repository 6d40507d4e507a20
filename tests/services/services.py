"""All doubles together, in one background thread."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Literal, Self

from tests.services.anthropic import AnthropicDouble
from tests.services.board import Board, Record
from tests.services.cohere import CohereDouble
from tests.services.control import Control
from tests.services.hub import HubDouble
from tests.services.hub_state import DatasetState
from tests.services.openai import OpenAIDouble
from tests.services.service import Service, named_repo

CO_API_KEY = "co-secret-4f1d9c7ab2e84d06"
ANTHROPIC_API_KEY = "sk-ant-secret-93be5a1c07d24f68"


class Services:
    """The Hub, Cohere, Anthropic and an OpenAI-compatible server on free ports of 127.0.0.1, for a `with` block.

    Args:
        datasets: what the Hub has; change it later through `hub`.
        token: the Hub token that opens private repositories and gated cards; None: no HF_TOKEN in `env`.
        latency_scale: multiplies `LATENCIES`; 0 answers at once. `latency` may be changed by kind at any
            time.
        jitter: how far a latency may differ from its value, as a share of it.
        keep_bodies: keep the body of every request in its log record.
        page_size, repeat_rows, redirect, list_private: see `HubDouble`.
    """

    def __init__(
        self,
        datasets: Iterable[DatasetState] = (),
        *,
        token: str | None = None,
        latency_scale: float = 0.0,
        jitter: float = 0.0,
        keep_bodies: bool = False,
        page_size: int = 1000,
        repeat_rows: int = 0,
        redirect: Literal["path", "cdn", "none"] = "path",
        list_private: bool = True,
    ) -> None:
        self.board = Board(latency_scale=latency_scale, jitter=jitter, keep_bodies=keep_bodies)
        self.hub = HubDouble(
            self.board,
            datasets,
            token=token,
            page_size=page_size,
            repeat_rows=repeat_rows,
            redirect=redirect,
            list_private=list_private,
        )
        self.cohere = CohereDouble(self.board, CO_API_KEY)
        self.anthropic = AnthropicDouble(self.board, ANTHROPIC_API_KEY)
        self.openai = OpenAIDouble(self.board)
        self.control = control = Control(self)
        for service in self.all:
            service.control = control
            service.identify = lambda text: named_repo(text, self._known)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="services", daemon=True)

    @property
    def all(self) -> tuple[Service, ...]:
        """The services."""
        return self.hub, self.cohere, self.anthropic, self.openai

    def service(self, name: str) -> Service:
        """The service called hub, cohere, anthropic or openai."""
        return {service.name: service for service in self.all}[name]

    # Life

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        self.board.call_in_loop = self._loop.call_soon_threadsafe
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()
        if error is None and self.board.errors:
            raise ExceptionGroup("a script of a double failed", self.board.errors)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _start(self) -> None:
        for server in (*(service.server for service in self.all), self.hub.cdn):
            await server.start()

    async def _stop(self) -> None:
        for server in (*(service.server for service in self.all), self.hub.cdn):
            await server.stop()

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that send hfmap here."""
        env = {
            "HF_ENDPOINT": self.hub.server.url,
            "CO_API_URL": self.cohere.server.url,
            "ANTHROPIC_BASE_URL": self.anthropic.server.url,
            "CO_API_KEY": CO_API_KEY,
            "ANTHROPIC_API_KEY": ANTHROPIC_API_KEY,
        }
        if self.hub.key is not None:
            env["HF_TOKEN"] = self.hub.key
        return env

    @property
    def secrets(self) -> tuple[str, ...]:
        """Keys and tokens that must turn up nowhere."""
        return tuple(value for name, value in self.env.items() if name.endswith(("_KEY", "_TOKEN")))

    # The log

    @property
    def latency(self) -> dict[str, float]:
        """Seconds by kind of request; change it at any time."""
        return self.board.latency

    @property
    def requests(self) -> list[Record]:
        """A copy of the log, in order of arrival."""
        with self.board.lock:
            return list(self.board.requests)

    def of(self, *kinds: str, ok: bool | None = None) -> list[Record]:
        """Log records of these kinds or services (none: all); with `ok`, only the sound or the others."""
        return [
            record
            for record in self.requests
            if (not kinds or record.kind in kinds or record.service in kinds) and ok in (None, record.ok)
        ]

    def count(self, *kinds: str, ok: bool | None = None) -> int:
        """How many requests of these kinds or services there were (none: in all)."""
        return len(self.of(*kinds, ok=ok))

    def keys(self, kind: str, *, ok: bool | None = None) -> Counter[str]:
        """How often each key was asked for. For embed, each text counts, not each batch."""
        found: Counter[str] = Counter()
        for record in self.of(kind, ok=ok):
            found.update(record.items if kind == "embed" else (record.key,))
        return found

    def peak(self, gauge: str) -> int:
        """The most requests of a kind or service in progress at once, or of `enrich`: extract and summarize.

        Without latency, answers are sent in the same turn of the loop, and a peak says nothing.
        """
        return self.board.peak(gauge)

    def now(self, gauge: str) -> int:
        """Requests of a kind or service in progress."""
        return self.board.now(gauge)

    @property
    def largest_batch(self) -> int:
        """The most texts that one embed request carried."""
        return max((len(record.items) for record in self.of("embed")), default=0)

    def reset_log(self) -> None:
        """Forget the log and the peaks."""
        self.board.reset()

    def wait_for(self, predicate: Callable[[Services], bool], timeout: float = 120.0) -> None:
        """Wait until the predicate holds; it is asked again whenever a request arrives or ends.

        Raises:
            TimeoutError: it never did.
        """
        with self.board.changed:
            if not self.board.changed.wait_for(lambda: predicate(self), timeout):
                raise TimeoutError(f"not within {timeout} s; now {self.stats()}")

    def hold(self, *kinds: str) -> AbstractContextManager[None]:
        """Leave requests of these kinds unanswered until the block ends."""
        return self.board.hold(*kinds)

    def clear_faults(self) -> None:
        """No faults from now on, at any service."""
        with self.board.lock:
            for service in self.all:
                service.faults.clear()
            self.anthropic.rate_malformed = 0.0
            self.anthropic.malform_queue.clear()

    def stats(self) -> dict[str, Any]:
        """Counters and peaks, as JSON values."""
        return self.board.stats() | {
            "largest_batch": self.largest_batch,
            "texts_embedded": self.cohere.texts_embedded,
            "datasets": len(self.hub.datasets),
        }

    def _known(self, repo_id: str) -> bool:
        return repo_id in self.hub.datasets or repo_id in self.hub.hub.renamed
