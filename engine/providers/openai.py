"""Ask servers that speak OpenAI's protocol (Ollama, vLLM, llama.cpp and others) for answers and embeddings."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import (
    BadAnswerError,
    KeyRefusedError,
    ProviderError,
    QuotaError,
    RefusedError,
    RejectedError,
    ServiceDownError,
    TransientError,
    UsageError,
)
from engine.providers.base import Access, Completion, Embedded, Prompt, within
from engine.providers.static import MAX_CHARS, embedding_text
from engine.text import retry_after, safe, short, sound, whole
from engine.usage import Usage
from engine.vectors import as_float32
from taxonomy.card import CardInput

T = TypeVar("T")

THINKING_TOKENS = 4_000
"""Room for the thinking of models that do, which counts toward max_tokens. It costs nothing where it is not used."""

BATCH_SIZE = 96
"""Texts in one call, as many as Cohere takes; some servers accept fewer, none is known to need more."""

SHORTEST_CUT = 200
"""Characters below which a text that the server refuses is not cut further."""

_END_OF_THOUGHT = "</think>"


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


class OpenAICompleter:
    """Answers prompts with a model of an OpenAI-compatible server.

    Asks for an answer that follows the prompt's JSON schema. A server that refuses such a request is asked for plain
    JSON, in the rest of the run at once. Which of the two it was is no part of `parameters`: either answer passes the
    same validation, so the results are of one kind and an upgraded server need not do all cards again. Nor is the
    address: a server that moves keeps its results, and two servers are told apart by the names of their models.
    """

    provider = "openai"
    paid = False
    remote = True
    libraries: tuple[str, ...] = ()
    headroom = THINKING_TOKENS

    def __init__(
        self, url: str, key: str | None, *, model: str, connections: int, timeout: float | None = None
    ) -> None:
        self.model = model
        self._server = OpenAIServer(url, key, model=model, connections=connections, timeout=timeout)
        self._plain = False

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The sampling: the likeliest answer, so that a run can be repeated."""
        return {"temperature": 0}

    async def complete(self, prompt: Prompt) -> Completion:
        """Answer one prompt; see `Completer`."""
        if prompt.schema is None or self._plain:
            return await self._once(prompt, None)
        try:
            return await self._once(prompt, prompt.schema)
        except RejectedError:
            pass
        # Refused: for its schema, or for the question itself. The same without a schema tells.
        try:
            answer = await self._once(prompt, None)
        except (BadAnswerError, RefusedError):
            self._plain = True
            raise
        self._plain = True
        return answer

    async def _once(self, prompt: Prompt, schema: Mapping[str, Any] | None) -> Completion:
        turns = [{"role": "system", "content": prompt.system}]
        for turn, text in enumerate((*prompt.earlier, prompt.user)):
            turns.append({"role": "assistant" if turn % 2 else "user", "content": text})
        request: dict[str, Any] = {
            "model": self.model,
            "messages": turns,
            "max_tokens": prompt.max_tokens + self.headroom,
            **self.parameters,
        }
        if schema is not None:
            wanted = {"name": "answer", "strict": True, "schema": dict(schema)}
            request["response_format"] = {"type": "json_schema", "json_schema": wanted}
        completions = self._server.client.chat.completions
        return _completion(await self._server.ask(lambda: completions.create(**request)))

    async def aclose(self) -> None:
        """Close connections."""
        await self._server.aclose()


def completer(access: Access) -> OpenAICompleter:
    """Make the completer; see `engine.providers`."""
    return OpenAICompleter(
        access.rest, access.key, model=access.model, connections=access.connections, timeout=access.timeout
    )


def embedder(access: Access) -> OpenAIEmbedder:
    """Make the embedder; see `engine.providers`."""
    return OpenAIEmbedder(
        access.rest, access.key, model=access.model, connections=access.connections, timeout=access.timeout
    )


def _completion(answer: Any) -> Completion:
    """Read an answer whose parts may be missing or of another type: the library does not check them."""
    choices = getattr(answer, "choices", None)
    if not isinstance(choices, list) or not choices:
        # A proxy's page, or another shape of JSON.
        raise TransientError("the server's answer is not a chat completion")
    counted = getattr(answer, "usage", None)
    cached = whole(getattr(getattr(counted, "prompt_tokens_details", None), "cached_tokens", 0))
    usage = Usage(
        input=max(0, whole(getattr(counted, "prompt_tokens", 0)) - cached),
        output=whole(getattr(counted, "completion_tokens", 0)),
        cache_read=cached,
    )
    message, stop = getattr(choices[0], "message", None), getattr(choices[0], "finish_reason", None)
    if stop == "content_filter" or getattr(message, "refusal", None):
        raise RefusedError("the model declined to answer", usage=usage)
    content = getattr(message, "content", None)
    text = _without_thinking(sound(content)) if isinstance(content, str) else ""
    if not text.strip():
        raise BadAnswerError("the model's answer is empty", usage=usage)
    return Completion(text, "length" if stop == "length" else "end", usage)


def _without_thinking(text: str) -> str:
    """Cut off what a model thought aloud, which servers without a parser for it leave in the answer."""
    if _END_OF_THOUGHT in text:
        return text.rpartition(_END_OF_THOUGHT)[2]
    return "" if text.lstrip().startswith("<think>") else text


class OpenAIEmbedder:
    """Embeds with a model of an OpenAI-compatible server.

    Sends what the local embedder embeds, a card without its boilerplate: it made small models better by far, and fits
    into their short contexts. `dimensions` is 0 until the first answer, unless earlier vectors of the model are known.
    """

    provider = "openai"
    batch_size = BATCH_SIZE
    paid = False
    remote = True
    libraries: tuple[str, ...] = ()

    def __init__(
        self, url: str, key: str | None, *, model: str, connections: int, timeout: float | None = None
    ) -> None:
        self.model = model
        self.dimensions = 0
        self._url = url
        self._seen = False
        self._server = OpenAIServer(url, key, model=model, connections=connections, timeout=timeout)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What a vector depends on besides text and model."""
        return {"characters": MAX_CHARS, "text": "stripped"}

    def text(self, card: CardInput) -> str:
        """Return what of a card is embedded."""
        return embedding_text(card.title, card.tags, card.text)

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Embed up to 96 texts; see `Embedder`. One that the server refuses by itself is cut until it fits."""
        try:
            return await self._once(texts)
        except RejectedError:
            if len(texts) != 1 or len(texts[0]) < 2 * SHORTEST_CUT:
                raise
        return await self.embed([texts[0][: len(texts[0]) // 2]])

    async def _once(self, texts: Sequence[str]) -> Embedded:
        embeddings = self._server.client.embeddings.with_raw_response

        async def request() -> Any:
            # The raw answer: the library would make an object of each vector. "float", since not all know base64.
            raw = await embeddings.create(model=self.model, input=list(texts), encoding_format="float")
            return json.loads(raw.http_response.content)

        answer = await self._server.ask(request)
        counted = answer.get("usage") if isinstance(answer, dict) else None
        usage = Usage(input=whole(counted.get("prompt_tokens")) if isinstance(counted, dict) else 0)
        vectors = _vectors(answer, len(texts))
        self._check(vectors.shape[1])
        return Embedded(vectors, usage)

    def _check(self, width: int) -> None:
        if self.dimensions and width != self.dimensions:
            if self._seen:
                raise TransientError(f"the server sent vectors of {width} numbers, and of {self.dimensions} before")
            raise ServiceDownError(
                f"{self.model} at {self._url} makes vectors of {width} numbers; those stored have {self.dimensions}.",
                hint="It is another model now. Give it another name: --embed-model.",
            )
        self.dimensions, self._seen = width, True

    async def aclose(self) -> None:
        """Close connections."""
        await self._server.aclose()


def _vectors(answer: object, count: int) -> NDArray[np.float32]:
    """Check what came back; a wrong shape is a fault of the server, which trying again may mend."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise TransientError("the server's answer holds no vectors")
    if len(data) != count:
        raise TransientError(f"the server sent {len(data)} vectors for {count} texts")
    places = [row.get("index") for row in data]
    if places != [None] * count:
        if sorted(place for place in places if isinstance(place, int)) != list(range(count)):
            raise TransientError("the server's vectors cannot be told apart: their numbers are wrong")
        data = sorted(data, key=lambda row: row["index"])
    try:
        vectors = as_float32([row.get("embedding") for row in data])
    except (TypeError, ValueError, OverflowError) as error:
        raise TransientError("the server's answer holds no vectors") from error
    if vectors.ndim != 2 or not vectors.shape[1]:
        raise TransientError("the server's vectors differ in length")
    if not np.isfinite(vectors).all():
        raise TransientError("the server sent vectors that are not numbers")
    if not vectors.any(axis=1).all():
        raise TransientError("the server sent a vector of zeros")
    return vectors
