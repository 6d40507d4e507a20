"""Protocols of providers: embedders, completers and batches; and what their clients share.

Retry, pacing and accounting are written once in `engine.calls`, validation and storage in `engine.pipeline`; a provider
makes one call, maps its library's exceptions to `engine.errors`, and reports the tokens.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any, Literal, Protocol

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from engine.errors import ProviderError, UnansweredError
from engine.usage import Usage
from taxonomy.card import CardInput


@dataclass(frozen=True, slots=True)
class Access:
    """What a client is made from.

    Attributes:
        rest: what follows the provider's name in the setting: a server's address, a repository, or nothing.
        key, address: from the environment; the key is empty where none is set.
        model: the one to be asked; empty where the provider has only one.
        connections: calls that may be made at once.
        timeout: seconds for one call; None is the provider's own choice.
    """

    rest: str = ""
    key: str = ""
    address: str = ""
    model: str = ""
    connections: int = 1
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of one call: float32, shape (texts, dimensions), rows in the order of the texts."""

    vectors: NDArray[np.float32]
    usage: Usage = Usage()


class Embedder(Protocol):
    """Turns texts into vectors."""

    provider: str
    model: str
    dimensions: int
    """Numbers of a vector; 0 while that is not known."""
    batch_size: int
    """The most texts one call may carry."""
    paid: bool
    """Whether calls cost money, by the table of prices."""
    remote: bool
    """Whether calls go to a service: limited, retried, and entered in the ledger."""
    libraries: tuple[str, ...]
    """Modules that the first call imports, which takes up to a second."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Everything a vector depends on besides the text, provider and model; JSON values."""

    def text(self, card: CardInput) -> str:
        """Return the text of a card that is embedded, cut to the embedder's length."""

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Embed at most `batch_size` texts.

        Raises:
            ProviderError: as `engine.errors` draws it; TransientError where trying again may help.
        """

    async def aclose(self) -> None:
        """Close connections."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question to a model.

    `schema` is the JSON schema of the answer, where one is wanted. `earlier` holds the turns before `user`: what was
    asked, what was answered, and so on.
    """

    system: str
    user: str
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    earlier: tuple[str, ...] = ()

    @property
    def most_input(self) -> int:
        """The most tokens the prompt is likely to have: half its UTF-8 bytes, twice what English text needs."""
        return sum(len(part.encode("utf-8", "replace")) for part in (self.system, self.user, *self.earlier)) // 2 + 200


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer. `stop` is "length" where it was cut at max_tokens."""

    text: str
    stop: Literal["end", "length"] = "end"
    usage: Usage = Usage()


class Completer(Protocol):
    """Answers a prompt with text."""

    provider: str
    model: str
    paid: bool
    remote: bool
    libraries: tuple[str, ...]
    headroom: int
    """Tokens that the model may think before it answers, on top of a prompt's max_tokens."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Everything an answer depends on besides the prompt, provider and model; JSON values."""

    async def complete(self, prompt: Prompt) -> Completion:
        """Answer one prompt.

        Raises:
            ProviderError: as `engine.errors` draws it; RefusedError where the model declined.
        """

    async def aclose(self) -> None:
        """Close connections."""


Outcome = Literal["succeeded", "errored", "expired", "canceled"]


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """What the service says of a batch. `kept`: its results can be fetched, as they can for 29 days."""

    id: str
    created_at: datetime
    requests: int
    ended: bool
    kept: bool


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """How one request of a batch ended.

    A succeeded one has an `answer`, or an `error` where the answer is none: RefusedError, BadAnswerError. `usage` is
    what is charged; only succeeded requests are.
    """

    custom_id: str
    outcome: Outcome
    answer: Completion | None = None
    error: ProviderError | None = None
    usage: Usage = Usage()


class Batches(Protocol):
    """Sends a completer's prompts many at once, to be answered later. Every method makes one call and retries nothing.

    What the service cannot do it says by a ProviderError, as `engine.errors` draws it.
    """

    completer: Completer
    most_requests: int
    most_bytes: int
    """Requests and bytes that one batch may have."""

    def size(self, prompt: Prompt) -> int:
        """Return about how many bytes a prompt takes in a batch, rather too many."""

    async def create(self, requests: Sequence[tuple[str, Prompt]]) -> BatchStatus:
        """Send (custom id, prompt) pairs as one batch.

        Raises:
            UnsureError: whether it was taken is not known.
        """

    async def status(self, batch_id: str) -> BatchStatus | None:
        """Return the state of a batch; None where the service has none of that name."""

    async def since(self, moment: datetime) -> list[BatchStatus]:
        """Return the batches made since then, the newest first."""

    async def one_name(self, batch_id: str) -> str | None:
        """Return the custom id of any request of an ended batch; None where its results are gone."""

    async def results(self, batch_id: str, expected: int) -> list[BatchAnswer] | None:
        """Fetch how each request of an ended batch ended, in any order; None where the results are gone.

        Raises:
            TransientError: also where fewer than `expected` came.
        """


async def imported(*names: str) -> list[Any]:
    """Import a client's library in a thread: that takes up to a second, in which other calls go on."""
    if not _ready.issuperset(names):
        await anyio.to_thread.run_sync(lambda: [import_module(name) for name in names])
        _ready.update(names)
    return [sys.modules[name] for name in names]


_ready: set[str] = set()
"""Modules whose import has ended: one that another thread is still at is in `sys.modules` too."""


@asynccontextmanager
async def within(seconds: float, service: str) -> AsyncIterator[None]:
    """Limit a whole call, to its last byte: a client's own time limits only measure the pauses between bytes.

    Raises:
        UnansweredError: it took longer.
    """
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError as error:
        raise UnansweredError(f"{service} did not answer within {seconds:g} s") from error
