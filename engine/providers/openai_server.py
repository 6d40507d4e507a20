"""The client of a server that speaks OpenAI's protocol, and what becomes of its library's exceptions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from engine.errors import (
    KeyRefusedError,
    ProviderError,
    QuotaError,
    RejectedError,
    ServiceDownError,
    TransientError,
    UsageError,
)
from engine.providers.http import within
from engine.text import retry_after, safe, short

T = TypeVar("T")

PLACEHOLDER_KEY = "none"
"""Sent where OPENAI_API_KEY is not set: the library demands a key, servers of one's own mostly do not."""

TIMEOUT = 300.0
"""Seconds for one answer, to its last byte. A model on one's own machine may queue twelve questions and take its time."""

_OF_SCHEMA = ("schema", "grammar", "response_format", "structured output")


class OpenAIServer:
    """One server's client. Maps its library's exceptions; retries nothing.

    Raises:
        UsageError: the library is not installed.
    """

    def __init__(self, url: str, key: str | None, *, model: str, connections: int, timeout: float | None) -> None:
        try:
            import httpx2
            import openai
        except ImportError as error:
            raise UsageError(
                "A server that speaks OpenAI's protocol needs the package openai, which is not installed.",
                hint="pip install 'hfmap[openai]' (with uv: uv tool install 'hfmap[openai]').",
            ) from error
        self._openai = openai
        self._unsent = (httpx2.ConnectError, httpx2.ConnectTimeout)
        self._url = url
        self._model = model
        self._key = key or ""
        self._timeout = timeout or TIMEOUT
        self.client = openai.AsyncOpenAI(
            # Always given: left out, the library would look for keys and addresses in the environment.
            api_key=key or PLACEHOLDER_KEY,
            base_url=url,
            max_retries=0,  # retried in one place, engine.calls.caller
            timeout=self._timeout,
            http_client=openai.DefaultAsyncHttpxClient(
                limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
                follow_redirects=False,  # the key and the card are for this host alone
            ),
        )
        # Taken from the environment by the library; they are nobody's business here.
        self.client.organization = self.client.project = None

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make one request.

        Raises:
            ProviderError: it failed; see `engine.errors`.
        """
        errors = self._openai
        try:
            async with within(self._timeout, f"The server at {self._url}"):
                return await call()
        except errors.APIStatusError as error:
            raise self._status_error(error) from error
        except errors.APIConnectionError as error:
            cause = error.__cause__ or error
            unreached = isinstance(cause, self._unsent)
            raise TransientError(
                f"The server at {self._url} did not answer: {short(cause)}", unreached=unreached
            ) from error
        except (errors.APIResponseValidationError, ValueError, RecursionError) as error:
            raise TransientError(f"The answer of {self._url} is not JSON: {short(error)}") from error
        except errors.OpenAIError as error:
            raise RejectedError(f"The server at {self._url} cannot be asked: {short(error)}") from error

    def _status_error(self, error: Any) -> ProviderError:
        status: int = error.status_code
        text = safe(error.message, self._key)
        where = f"The server at {self._url}"
        if status in (401, 403):
            state = "the key in OPENAI_API_KEY" if self._key else "requests without a key"
            return KeyRefusedError(f"{where} refuses {state} (HTTP {status}).", hint="export OPENAI_API_KEY=…")
        if status == 402 or error.code == "insufficient_quota":
            return QuotaError(f"The account at {self._url} has no credit left.")
        if 300 <= status < 400:
            return ServiceDownError(
                f"{where} leads elsewhere (HTTP {status}), where neither key nor cards are for.",
                hint="Name the address where it leads, if that is yours.",
            )
        if status == 404:
            return ServiceDownError(
                f"{where} has no model {self._model!r}, or is not at this address: {text}",
                hint="Check the name of the model, and that the address ends as the server wants it, mostly in /v1.",
            )
        # Some servers crash over a schema that they cannot follow: the same question fails again.
        of_schema = status in (500, 501) and any(word in text.lower() for word in _OF_SCHEMA)
        if (status in (408, 409, 425, 429) or status >= 500) and not of_schema:
            return TransientError(
                f"{where} answered HTTP {status}",
                retry_after=retry_after(error.response.headers),
                limited=status == 429,
            )
        return RejectedError(f"{where} answered HTTP {status}: {text}")

    async def aclose(self) -> None:
        """Close connections."""
        await self.client.close()
