"""Embed texts with Cohere, 96 in a call."""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from engine.errors import (
    KeyRefusedError,
    ProviderError,
    QuotaError,
    RejectedError,
    ServiceDownError,
    TransientError,
    UnansweredError,
)
from engine.providers.base import Access, Embedded, imported, within
from engine.text import retry_after, safe, short, whole
from engine.usage import Usage
from taxonomy.card import CardInput

MODEL = "embed-v4.0"
DIMENSIONS = 512
BATCH_SIZE = 96
"""The most texts Cohere takes in one call."""

TEXT_CHARS = 4_000
INPUT_TYPE = "clustering"
TIMEOUT = 40.0
"""Seconds for one batch, to its last byte; it usually takes less than one."""


class CohereEmbedder:
    """Embeds with Cohere's embed-v4.0 (the published map's parameters)."""

    provider = "cohere"
    model = MODEL
    dimensions = DIMENSIONS
    batch_size = BATCH_SIZE
    paid = True
    remote = True
    libraries: tuple[str, ...] = ("cohere.client_v2", "cohere.core.api_error")

    def __init__(self, api_key: str, *, base_url: str, timeout: float | None = None) -> None:
        self._key = api_key
        self._base_url = base_url
        self._timeout = timeout or TIMEOUT
        # httpx follows no redirects unless told to: the key and the texts are for the API's host alone.
        self._http = httpx.AsyncClient(timeout=self._timeout)

    @cached_property
    def _client(self) -> Any:
        """The library's client, made when first asked for: a refresh that changes nothing needs none."""
        from cohere.client_v2 import AsyncClientV2

        # base_url is always given: the library reads CO_API_URL once, whenever it is first imported.
        return AsyncClientV2(
            api_key=self._key,
            base_url=self._base_url,
            timeout=self._timeout,
            httpx_client=self._http,
            log_warning_experimental_features=False,
        )

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What a vector depends on besides text and model."""
        return {"input_type": INPUT_TYPE, "dimensions": DIMENSIONS, "characters": TEXT_CHARS}

    def text(self, card: CardInput) -> str:
        """Return the card's first 4,000 characters, as the published map embeds them."""
        return card.text[:TEXT_CHARS]

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Embed up to 96 texts; see `Embedder`."""
        _, errors = await imported(*self.libraries)
        client = self._client  # made before the clock runs
        try:
            async with within(self._timeout, "Cohere"):
                response = await client.embed(
                    model=MODEL,
                    input_type=INPUT_TYPE,
                    texts=list(texts),
                    output_dimension=DIMENSIONS,
                    # As numbers, the library would make an object of each: 150 ms for 96 texts.
                    embedding_types=["base64"],
                    request_options={"max_retries": 0},
                )
        except errors.ApiError as error:
            raise _status_error(error, self._key) from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise TransientError(f"Cohere cannot be reached: {short(error)}", unreached=True) from error
        except (httpx.HTTPError, TypeError, ValueError, RecursionError) as error:
            # TypeError: JSON of another shape, of which the library cannot make its own objects.
            raise UnansweredError(f"Cohere did not answer: {short(error)}") from error
        usage = Usage(input=_tokens(response))
        try:
            return Embedded(_vectors(_encoded(response), len(texts)), usage)
        except TransientError as error:
            error.usage = usage
            raise

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()


def embedder(access: Access) -> CohereEmbedder:
    """Make the embedder; see `engine.providers`."""
    return CohereEmbedder(access.key, base_url=access.address, timeout=access.timeout)


def _vectors(rows: object, count: int) -> NDArray[np.float32]:
    """Check what came back; a wrong shape is a fault of the service, which trying again may mend.

    Each row is the base64 of float32 numbers, the lowest byte first.
    """
    try:
        raw = [b64decode(row, validate=True) for row in rows] if isinstance(rows, list) else []
    except (TypeError, ValueError) as error:
        raise TransientError("Cohere's answer holds no vectors") from error
    if [len(row) for row in raw] != [4 * DIMENSIONS] * count:
        lengths = ", ".join(str(length // 4) for length in sorted({len(row) for row in raw})) or "no"
        raise TransientError(f"Cohere sent {len(raw)} vectors of {lengths} numbers for {count} texts of {DIMENSIONS}")
    vectors = np.frombuffer(b"".join(raw), "<f4").reshape(count, DIMENSIONS).astype(np.float32)
    if not np.isfinite(vectors).all():
        raise TransientError("Cohere sent vectors that are not numbers")
    if not vectors.any(axis=1).all():
        raise TransientError("Cohere sent a vector of zeros")
    return vectors


def _encoded(response: Any) -> object:
    """The vectors of an answer, whatever they are: the library does not check what it is sent."""
    return getattr(getattr(response, "embeddings", None), "base64", None)


def _tokens(response: Any) -> int:
    billed = getattr(getattr(response, "meta", None), "billed_units", None)
    tokens = getattr(billed, "input_tokens", 0)
    # The library declares this number as a float.
    return whole(int(tokens) if isinstance(tokens, float) and math.isfinite(tokens) else tokens)


def _status_error(error: Any, key: str) -> ProviderError:
    status: int | None = error.status_code
    # error.headers and str(error) may repeat what was sent; only the service's own message is shown.
    body = error.body
    text = safe(body.get("message", "") if isinstance(body, dict) else getattr(body, "message", "") or "", key)
    if status in (401, 403, 498):
        return KeyRefusedError(
            f"Cohere refuses the key in CO_API_KEY (HTTP {status}).",
            hint="Set a valid key, or work without: --embedder local.",
        )
    if status == 402:
        return QuotaError("The Cohere account has no credit left.", hint="Add credit, or use --embedder local.")
    if status is not None and 300 <= status < 400:
        return ServiceDownError(
            f"Cohere's address leads elsewhere (HTTP {status}), where the key is not for.", hint="Check CO_API_URL."
        )
    if status == 404:
        return ServiceDownError(f"Cohere does not know the model {MODEL}, or CO_API_URL is not its address.")
    if status == 200:
        return UnansweredError("Cohere did not answer: what it sent is not JSON")
    if status is None or status in (408, 429, 499) or status >= 500:
        return TransientError(
            f"Cohere answered HTTP {status}", retry_after=retry_after(error.headers), limited=status == 429
        )
    return RejectedError(f"Cohere answered HTTP {status}: {text}")
