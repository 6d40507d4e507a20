"""Cohere: embeddings in batches."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import numpy as np

from engine.errors import KeyRefusedError, ProviderError, QuotaError, TransientError
from engine.providers.base import Embedded
from engine.providers.http import retry_after, short
from engine.usage import Usage
from taxonomy.rules import CardInput

MODEL = "embed-v4.0"
DIMENSIONS = 512
BATCH_SIZE = 96
"""The most texts Cohere takes in one call."""

TEXT_CHARS = 4_000
INPUT_TYPE = "clustering"
TIMEOUT = 40.0
"""Seconds for one batch; it usually takes less than one."""


class CohereEmbedder:
    """Embeds with Cohere's embed-v4.0 (the published map's parameters)."""

    provider = "cohere"
    model = MODEL
    dimensions = DIMENSIONS
    batch_size = BATCH_SIZE
    paid = True

    def __init__(self, api_key: str, *, base_url: str) -> None:
        import cohere
        from cohere.core.api_error import ApiError

        self._api_error = ApiError
        # base_url is always given: the library reads CO_API_URL once, whenever it is first imported.
        self._client = cohere.AsyncClientV2(
            api_key=api_key,
            base_url=base_url,
            timeout=TIMEOUT,
            httpx_client=httpx.AsyncClient(timeout=TIMEOUT),
            log_warning_experimental_features=False,
        )

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What a vector depends on besides text and model."""
        return {"input_type": INPUT_TYPE, "dimensions": DIMENSIONS, "characters": TEXT_CHARS}

    def text(self, card: CardInput) -> str:
        """Return the card's first 4,000 characters, as the published map embeds them."""
        text: str = card.text[:TEXT_CHARS]
        return text

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Embed up to 96 texts; see `Embedder`."""
        try:
            response = await self._client.embed(
                model=MODEL,
                input_type=INPUT_TYPE,
                texts=list(texts),
                output_dimension=DIMENSIONS,
                embedding_types=["float"],
                request_options={"max_retries": 0},
            )
        except self._api_error as error:
            raise _status_error(error) from error
        except (httpx.HTTPError, json.JSONDecodeError, ValueError) as error:
            raise TransientError(f"Cohere did not answer: {short(error)}") from error
        return Embedded(_vectors(response, len(texts)), Usage(input=_tokens(response)))

    async def aclose(self) -> None:
        """Close connections."""
        await self._client._client_wrapper.httpx_client.httpx_client.aclose()


def _vectors(response: Any, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Check what came back; a wrong shape is a fault of the service, which trying again may mend."""
    rows = getattr(getattr(response, "embeddings", None), "float_", None)
    try:
        vectors = np.asarray(rows, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise TransientError("Cohere's answer holds no vectors") from error
    if vectors.shape != (count, DIMENSIONS):
        raise TransientError(f"Cohere sent vectors of shape {vectors.shape} for {count} texts of {DIMENSIONS}")
    if not np.isfinite(vectors).all():
        raise TransientError("Cohere sent vectors that are not numbers")
    return vectors


def _tokens(response: Any) -> int:
    billed = getattr(getattr(response, "meta", None), "billed_units", None)
    return int(getattr(billed, "input_tokens", 0) or 0)


def _status_error(error: Any) -> ProviderError:
    status: int | None = error.status_code
    # error.headers and str(error) may repeat what was sent; only the service's own message is shown.
    body = error.body
    text = short(body.get("message", "") if isinstance(body, dict) else getattr(body, "message", "") or "")
    if status in (401, 403, 498):
        return KeyRefusedError(
            f"Cohere refuses the key in CO_API_KEY (HTTP {status}).",
            hint="Set a valid key, or work without: --embedder local.",
        )
    if status == 402:
        return QuotaError("The Cohere account has no credit left.", hint="Add credit, or use --embedder local.")
    if status is None or status in (200, 408, 429, 499) or status >= 500:
        # 200 with an ApiError: the body was not JSON.
        return TransientError(
            f"Cohere answered HTTP {status}", retry_after=retry_after(error.headers), limited=status == 429
        )
    return ProviderError(f"Cohere answered HTTP {status}: {text}")
