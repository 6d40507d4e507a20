"""Ask Anthropic's models: one message a call or many in a batch, with structured output and a cached prompt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

from engine.errors import (
    BadAnswerError,
    KeyRefusedError,
    ProviderError,
    QuotaError,
    RefusedError,
    RejectedError,
    ServiceDownError,
    TransientError,
    UnansweredError,
    UnsureError,
)
from engine.providers import facts_of
from engine.providers.base import Access, BatchAnswer, BatchStatus, Completion, Prompt, imported, within
from engine.text import retry_after, safe, short, sound, whole
from engine.usage import Usage

THINKING_TOKENS = 4_000
"""Room for the thinking of later models, which is on by default and counts toward max_tokens."""

TIMEOUT = 40.0
"""Seconds for one answer of a few hundred tokens, to its last byte; it usually takes one to five. A hung call is better
made anew."""

MOST_REQUESTS = 100_000
MOST_BYTES = 32_000_000
"""Requests and bytes in one batch. The service takes 256 MB; less keeps a batch's making and its answers in memory."""

TRANSFER_SECONDS = 600.0
"""For sending a batch of that size, or fetching its results, over a slow line."""


class AnthropicCompleter:
    """Answers prompts with one of Anthropic's models."""

    provider = "anthropic"
    paid = True
    remote = True
    libraries: tuple[str, ...] = ("anthropic", "httpx2")

    def __init__(
        self, api_key: str, *, base_url: str, model: str, connections: int, timeout: float | None = None
    ) -> None:
        self.model = model
        self.headroom = THINKING_TOKENS if facts_of(model).thinks else 0
        self.timeout = timeout or TIMEOUT
        self._key = api_key
        self._base_url = base_url
        self._connections = connections
        self._client: Any = None

    @property
    def client(self) -> Any:
        """The library's client, made when first asked for: a refresh that changes nothing needs none."""
        self._connect()
        return self._client

    def _connect(self) -> None:
        if self._client is not None:
            return
        import anthropic
        import httpx2

        self._client = anthropic.AsyncAnthropic(
            api_key=self._key,
            base_url=self._base_url,
            max_retries=0,  # retried in one place, engine.calls.caller
            timeout=self.timeout,
            http_client=anthropic.DefaultAsyncHttpxClient(
                limits=httpx2.Limits(max_connections=self._connections, max_keepalive_connections=self._connections),
                follow_redirects=False,  # the API has none, and the key and the card are for its host alone
            ),
        )

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Nothing beyond the model: temperature is not sent, since the 5.5 models refuse it."""
        return {}

    async def complete(self, prompt: Prompt) -> Completion:
        """Answer one prompt; see `Completer`."""
        async with self.asking(self.timeout):
            message = await self.client.messages.create(**self.request(prompt))
        return completion(message)

    def request(self, prompt: Prompt) -> dict[str, Any]:
        """Return a prompt as the body of a request."""
        request: dict[str, Any] = {
            "model": self.model,
            "max_tokens": prompt.max_tokens + self.headroom,
            "system": [{"type": "text", "text": prompt.system, "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "assistant" if turn % 2 else "user", "content": text}
                for turn, text in enumerate((*prompt.earlier, prompt.user))
            ],
        }
        if prompt.schema is not None:
            request["output_config"] = {"format": {"type": "json_schema", "schema": dict(prompt.schema)}}
        return request

    @asynccontextmanager
    async def asking(self, seconds: float) -> AsyncIterator[tuple[Any, Any]]:
        """Make a call inside that may take so many seconds; gives the library and its HTTP client, for their exceptions.

        Raises:
            ProviderError: in place of the library's exceptions.
        """
        library, transport = await imported(*self.libraries)
        self._connect()  # before the clock runs
        try:
            async with within(seconds, "Anthropic"):
                yield library, transport
        except library.APIStatusError as error:
            raise _status_error(error, self.model, self._key) from error
        except library.APIConnectionError as error:
            cause = error.__cause__ or error
            if isinstance(cause, (transport.ConnectError, transport.ConnectTimeout)):
                raise TransientError(f"Anthropic cannot be reached: {short(cause)}", unreached=True) from error
            raise UnansweredError(f"Anthropic did not answer: {short(cause)}") from error
        except (library.APIResponseValidationError, ValueError, RecursionError) as error:
            raise UnansweredError(f"Anthropic's answer is not JSON: {short(error)}") from error
        except library.AnthropicError as error:
            raise RejectedError(f"Anthropic cannot be asked: {short(error)}") from error

    async def aclose(self) -> None:
        """Close connections."""
        if self._client is not None:
            await self._client.close()


def completer(access: Access) -> AnthropicCompleter:
    """Make the completer; see `engine.providers`."""
    return AnthropicCompleter(
        access.key, base_url=access.address, model=access.model, connections=access.connections, timeout=access.timeout
    )


def completion(message: Any) -> Completion:
    """Read an answer whose parts may be missing or of another type: the library does not check them.

    Raises:
        ProviderError: it is no answer, a refusal, or empty; `usage` says what it cost.
    """
    content = getattr(message, "content", None)
    if not isinstance(content, list):
        # A proxy's page, or another shape of JSON.
        raise UnansweredError("Anthropic's answer is not a message")
    counted = getattr(message, "usage", None)
    usage = Usage(
        input=whole(getattr(counted, "input_tokens", 0)),
        output=whole(getattr(counted, "output_tokens", 0)),
        cache_write=whole(getattr(counted, "cache_creation_input_tokens", 0)),
        cache_read=whole(getattr(counted, "cache_read_input_tokens", 0)),
    )
    stop = getattr(message, "stop_reason", None)
    if stop == "refusal":
        raise RefusedError("the model declined to answer", usage=usage)
    texts = (getattr(block, "text", None) for block in content if getattr(block, "type", None) == "text")
    text = sound("".join(part for part in texts if isinstance(part, str)))
    if not text.strip():
        raise BadAnswerError("the model's answer is empty", usage=usage)
    return Completion(text, "length" if stop == "max_tokens" else "end", usage)


def _status_error(error: Any, model: str, key: str) -> ProviderError:
    status: int = error.status_code
    # The service's own words, where it is the service that answers; the library's message holds the whole body.
    told = error.body.get("error") if isinstance(error.body, dict) else None
    words = told.get("message") if isinstance(told, dict) else None
    text = safe(words if isinstance(words, str) else error.message, key)
    if status in (401, 403):
        return KeyRefusedError(
            f"Anthropic refuses the key in ANTHROPIC_API_KEY (HTTP {status}).",
            hint="Set a valid key, or work without: --llm local.",
        )
    if status == 402 or (status == 400 and "credit balance" in text.lower()):
        return QuotaError("The Anthropic account has no credit left.", hint="Add credit, or work without: --llm local.")
    if 300 <= status < 400:
        return ServiceDownError(
            f"Anthropic's address leads elsewhere (HTTP {status}), where the key is not for.",
            hint="Check ANTHROPIC_BASE_URL.",
        )
    if status == 404:
        return ServiceDownError(f"Anthropic has no model {model!r}.", hint="Name another one with --model.")
    if status in (408, 409, 429) or status >= 500:
        return TransientError(
            f"Anthropic answered HTTP {status}",
            retry_after=retry_after(error.response.headers),
            limited=status in (429, 529),
        )
    return RejectedError(f"Anthropic answered HTTP {status}: {text}")


class AnthropicBatches:
    """Anthropic's Message Batches: many prompts at once, at half the price, answered within a day."""

    def __init__(self, completer: AnthropicCompleter) -> None:
        self.completer = completer
        self.most_requests, self.most_bytes = MOST_REQUESTS, MOST_BYTES
        self._seconds = max(TRANSFER_SECONDS, completer.timeout)

    @cached_property
    def _batches(self) -> Any:
        return self.completer.client.with_options(timeout=self._seconds).messages.batches

    def size(self, prompt: Prompt) -> int:
        """Return about how many bytes a prompt takes; see `Batches`."""
        texts = (prompt.system, prompt.user, *prompt.earlier)
        escaped = sum(
            len(text.encode("utf-8", "replace")) + 2 * text.count("\n") + 2 * text.count('"') for text in texts
        )
        return escaped + len(str(prompt.schema)) + 1_000

    async def create(self, requests: Sequence[tuple[str, Prompt]]) -> BatchStatus:
        """Send prompts as one batch; see `Batches`. By any other error than UnsureError it was not taken."""
        body: Any = [{"custom_id": name, "params": self.completer.request(prompt)} for name, prompt in requests]
        try:
            async with self.completer.asking(self._seconds):
                return _status(await self._batches.create(requests=body))
        except TransientError as error:
            if error.limited:
                raise
            raise UnsureError(str(error)) from error

    async def status(self, batch_id: str) -> BatchStatus | None:
        """Return the state of a batch; see `Batches`."""
        async with self.completer.asking(self.completer.timeout) as (library, _):
            try:
                return _status(await self._batches.retrieve(batch_id))
            except library.NotFoundError:
                return None

    async def since(self, moment: datetime) -> list[BatchStatus]:
        """Return the batches made since then; see `Batches`."""
        found = []
        async with self.completer.asking(self._seconds):
            async for batch in self._batches.list(limit=100):
                status = _status(batch)
                if status.created_at < moment:
                    break
                found.append(status)
        return found

    async def one_name(self, batch_id: str) -> str | None:
        """Return the custom id of any request; see `Batches`."""
        try:
            async with self._lines(batch_id) as lines:
                async for line in lines:
                    return str(getattr(line, "custom_id", ""))
        except _GoneError:
            pass
        return None

    async def results(self, batch_id: str, expected: int) -> list[BatchAnswer] | None:
        """Fetch how each request ended; see `Batches`."""
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
        async with self.completer.asking(self._seconds) as (library, transport):
            try:
                decoder = await self._batches.results(batch_id)
            except library.NotFoundError as error:
                raise _GoneError from error
            try:
                async with aclosing(decoder.__aiter__()) as lines:
                    yield lines
            except transport.HTTPError as error:
                raise TransientError(f"the results of a batch broke off: {short(error)}") from error
            finally:
                await decoder.close()


def batches(completer: AnthropicCompleter) -> AnthropicBatches:
    """Make what sends a completer's prompts in batches; see `engine.providers`."""
    return AnthropicBatches(completer)


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
