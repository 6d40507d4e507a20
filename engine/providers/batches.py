"""Anthropic's Message Batches: many prompts at once, at half the price, answered within a day."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from engine.errors import ProviderError, TransientError
from engine.providers.anthropic import AnthropicCompleter, completion
from engine.providers.base import Completer, Completion, Prompt
from engine.text import short
from engine.usage import Usage

MOST_REQUESTS = 100_000
MOST_BYTES = 32_000_000
"""Requests and bytes in one batch. The service takes 256 MB; less keeps a batch's making and its answers in memory."""

TRANSFER_SECONDS = 600.0
"""For sending a batch of that size, or fetching its results, over a slow line."""

Outcome = Literal["succeeded", "errored", "expired", "canceled"]


class UnsureError(ProviderError):
    """The connection broke, or the service stumbled, while a batch was sent: it may exist all the same."""


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


class AnthropicBatches:
    """The batches of a completer's account. Every method makes one call and retries nothing."""

    def __init__(self, completer: AnthropicCompleter) -> None:
        self.completer = completer
        self._seconds = max(TRANSFER_SECONDS, completer.timeout)

    @cached_property
    def _batches(self) -> Any:
        return self.completer.client.with_options(timeout=self._seconds).messages.batches

    def size(self, prompt: Prompt) -> int:
        """Return about how many bytes a prompt takes in a batch, rather too many."""
        texts = (prompt.system, prompt.user, *prompt.earlier)
        escaped = sum(
            len(text.encode("utf-8", "replace")) + 2 * text.count("\n") + 2 * text.count('"') for text in texts
        )
        return escaped + len(str(prompt.schema)) + 1_000

    async def create(self, requests: Sequence[tuple[str, Prompt]]) -> BatchStatus:
        """Send (custom id, prompt) pairs as one batch.

        Raises:
            UnsureError: whether it was taken is not known.
            TransientError: it was not taken: the service is asked too often.
            ProviderError: it was not taken.
        """
        body: Any = [{"custom_id": name, "params": self.completer.request(prompt)} for name, prompt in requests]
        try:
            async with self.completer.asking(self._seconds):
                return _status(await self._batches.create(requests=body))
        except TransientError as error:
            if error.limited:
                raise
            raise UnsureError(str(error)) from error

    async def status(self, batch_id: str) -> BatchStatus | None:
        """Return the state of a batch; None where the service has none of that name."""
        async with self.completer.asking(self.completer.timeout) as library:
            try:
                return _status(await self._batches.retrieve(batch_id))
            except library.NotFoundError:
                return None

    async def since(self, moment: datetime) -> list[BatchStatus]:
        """Return the batches made since then, the newest first."""
        found = []
        async with self.completer.asking(self._seconds):
            async for batch in self._batches.list(limit=100):
                status = _status(batch)
                if status.created_at < moment:
                    break
                found.append(status)
        return found

    async def one_name(self, batch_id: str) -> str | None:
        """Return the custom id of any request of an ended batch; None where its results are gone."""
        try:
            async with self._lines(batch_id) as lines:
                async for line in lines:
                    return str(getattr(line, "custom_id", ""))
        except _GoneError:
            pass
        return None

    async def results(self, batch_id: str, expected: int) -> list[BatchAnswer] | None:
        """Fetch how each request of an ended batch ended, in any order; None where the results are gone.

        Raises:
            TransientError: also where fewer than `expected` came.
        """
        answers = []
        try:
            async with self._lines(batch_id) as lines:
                async for line in lines:
                    answers.append(_answer(line))
        except _GoneError:
            return None
        if len(answers) < expected:
            raise TransientError(f"Anthropic sent {len(answers)} of {expected} results of a batch")
        return answers

    @asynccontextmanager
    async def _lines(self, batch_id: str) -> AsyncIterator[AsyncIterator[Any]]:
        async with self.completer.asking(self._seconds) as library:
            import httpx2

            try:
                decoder = await self._batches.results(batch_id)
            except library.NotFoundError as error:
                raise _GoneError from error
            try:
                async with aclosing(decoder.__aiter__()) as lines:
                    yield lines
            except httpx2.HTTPError as error:
                raise TransientError(f"the results of a batch broke off: {short(error)}") from error
            finally:
                await decoder.close()


def batches_of(completer: Completer | None) -> AnthropicBatches | None:
    """Return what sends a completer's prompts in batches; None where it cannot."""
    return AnthropicBatches(completer) if isinstance(completer, AnthropicCompleter) else None


class _GoneError(Exception):
    """The service has no such batch."""


def _status(batch: Any) -> BatchStatus:
    """Read a batch; the library does not check what it is sent."""
    name, created, counts = (getattr(batch, part, None) for part in ("id", "created_at", "request_counts"))
    if not isinstance(name, str) or not isinstance(created, datetime):
        raise TransientError("Anthropic's answer is not a batch")
    numbers = [getattr(counts, part, 0) for part in ("processing", "succeeded", "errored", "canceled", "expired")]
    return BatchStatus(
        id=name,
        created_at=created,
        requests=sum(number for number in numbers if isinstance(number, int)),
        ended=getattr(batch, "processing_status", None) == "ended",
        kept=isinstance(getattr(batch, "results_url", None), str),
    )


def _answer(line: Any) -> BatchAnswer:
    name, result = getattr(line, "custom_id", None), getattr(line, "result", None)
    outcome = getattr(result, "type", None)
    if not isinstance(name, str) or outcome not in ("succeeded", "errored", "expired", "canceled"):
        raise TransientError("Anthropic's results of a batch cannot be read")
    if outcome != "succeeded":
        return BatchAnswer(name, outcome)
    try:
        answer = completion(getattr(result, "message", None))
    except TransientError:
        # Not a message at all: asked again, like one that expired.
        return BatchAnswer(name, "errored")
    except ProviderError as error:
        return BatchAnswer(name, "succeeded", error=error, usage=error.usage or Usage())
    return BatchAnswer(name, "succeeded", answer, usage=answer.usage)
