"""Anthropic: one message a call, with structured output and a cached system prompt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
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
)
from engine.providers.base import Completion, Prompt
from engine.providers.http import UnansweredError, imported, within
from engine.text import retry_after, safe, short, sound, whole
from engine.usage import Usage

EXTRACTION_MODEL = "claude-haiku-4-5-20251001"
"""The published map's model for extraction and summaries."""

NAMING_MODEL = "claude-sonnet-5-5"
"""Topic names: the live successor of the published map's claude-sonnet-4-20250514, retired on 15 June 2026."""

NOT_THINKING = ("claude-haiku-4-5",)
"""Models that answer without thinking unless asked to."""

THINKING_TOKENS = 4_000
"""Room for the thinking of later models, which is on by default and counts toward max_tokens."""

TIMEOUT = 40.0
"""Seconds for one answer of a few hundred tokens, to its last byte; it usually takes one to five. A hung call is better
made anew."""


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
        self.headroom = 0 if model.startswith(NOT_THINKING) else THINKING_TOKENS
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
    async def asking(self, seconds: float) -> AsyncIterator[Any]:
        """Make a call inside that may take so many seconds; gives the library, for its exceptions.

        Raises:
            ProviderError: in place of the library's exceptions.
        """
        library, transport = await imported(*self.libraries)
        self._connect()  # before the clock runs
        try:
            async with within(seconds, "Anthropic"):
                yield library
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
