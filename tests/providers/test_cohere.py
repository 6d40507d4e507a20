"""Cohere's client against its double: vectors as they were sent, and an error for each way in which it goes wrong."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from engine.errors import (
    KeyRefusedError,
    ProviderError,
    QuotaError,
    RejectedError,
    ServiceDownError,
    TransientError,
    UnansweredError,
)
from engine.providers.cohere import BATCH_SIZE, DIMENSIONS, CohereEmbedder
from tests.services import FaultKind, Services
from tests.services.vectors import embed

pytestmark = pytest.mark.anyio
TEXTS = [f"A text about birds, number {number}" for number in range(BATCH_SIZE)]


def encoded(number: float, numbers: int = DIMENSIONS) -> list[str]:
    """One vector of one number, as Cohere sends it."""
    return [b64encode(np.full(numbers, number, "<f4").tobytes()).decode()]


@pytest.fixture
async def embedder(services: Services, seconds: float) -> AsyncIterator[CohereEmbedder]:
    made = CohereEmbedder(services.env["CO_API_KEY"], base_url=services.env["CO_API_URL"], timeout=seconds)
    yield made
    await made.aclose()


async def test_vectors_arrive_as_they_were_sent(embedder: CohereEmbedder, services: Services) -> None:
    answer = await embedder.embed(TEXTS)
    assert answer.vectors.dtype == np.float32
    assert answer.vectors.shape == (BATCH_SIZE, DIMENSIONS)
    assert np.array_equal(answer.vectors, [embed(text, DIMENSIONS) for text in TEXTS])
    assert answer.vectors.dtype.isnative
    assert answer.vectors.flags.writeable
    assert answer.usage.input == services.cohere.tokens_billed


async def test_no_object_is_made_of_each_number(embedder: CohereEmbedder, services: Services) -> None:
    """Of 96 vectors as JSON the library makes 49,152 numbers, which took 150 ms; as base64 each is one text."""
    services.board.keep_bodies = True
    await embedder.embed(TEXTS)
    [asked] = services.of("embed")
    assert json.loads(asked.body or b"")["embedding_types"] == ["base64"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("401", KeyRefusedError), ("403", KeyRefusedError), ("402", QuotaError), ("no_credit", QuotaError),
        ("429", TransientError), ("500", TransientError), ("502", TransientError), ("503", TransientError),
        ("html_502", TransientError), ("html", UnansweredError), ("garbage", UnansweredError),
        ("reset", UnansweredError), ("reset_early", UnansweredError), ("cut", UnansweredError),
        ("hang", UnansweredError), ("hang_silent", UnansweredError), ("endless", UnansweredError),
        ("drip", UnansweredError), ("wrong_count", TransientError), ("wrong_dimensions", TransientError),
        ("nan", TransientError),
    ],
)  # fmt: skip
async def test_each_fault_has_its_error(
    embedder: CohereEmbedder, services: Services, fault: FaultKind, kind: type[ProviderError]
) -> None:
    services.cohere.faults.next(fault)
    with pytest.raises(ProviderError) as caught:
        await embedder.embed(TEXTS)
    assert type(caught.value) is kind
    assert services.count("embed") == 1, "retried in one place, which is not here"
    if isinstance(caught.value, TransientError):
        assert caught.value.limited == (fault == "429")
    # Vectors that cannot be used were counted all the same.
    assert (caught.value.usage is not None) == (fault in ("wrong_count", "wrong_dimensions", "nan"))
    assert services.env["CO_API_KEY"] not in repr(caught.value)
    assert (await embedder.embed(TEXTS[:2])).vectors.shape == (2, DIMENSIONS)


async def test_a_service_s_wish_is_passed_on(embedder: CohereEmbedder, services: Services) -> None:
    services.cohere.faults.next("429", retry_after=7)
    with pytest.raises(TransientError) as caught:
        await embedder.embed(TEXTS[:1])
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    "body",
    [
        {}, {"embeddings": None}, {"embeddings": []}, {"embeddings": {}}, {"embeddings": {"base64": None}},
        {"embeddings": {"base64": 5}}, {"embeddings": {"base64": [["a"] * DIMENSIONS]}},
        {"embeddings": {"base64": ["0.5" * DIMENSIONS]}}, {"embeddings": {"base64": ["\u00fc"]}},
        {"embeddings": {"base64": [{}]}}, {"embeddings": {"base64": [""]}}, {"embeddings": {"float": [[0.5] * DIMENSIONS]}},
        {"embeddings": {"base64": encoded(0.0)}}, {"embeddings": {"base64": encoded(np.inf)}},
        {"embeddings": {"base64": encoded(0.5, DIMENSIONS - 1)}}, {"embeddings": {"base64": encoded(0.5)[0]}},
        {"embeddings": {"base64": [*encoded(0.5), *encoded(0.5, 8)]}}, [], 7, None, "text",
    ],
)  # fmt: skip
async def test_json_of_another_shape(embedder: CohereEmbedder, services: Services, body: Any) -> None:
    from tests.services.messages import Response

    services.cohere._embed = lambda *_: Response.of_json(body)  # type: ignore[method-assign]
    with pytest.raises(TransientError):
        await embedder.embed(TEXTS[:1])


async def test_a_wrong_path_or_model_concerns_all_texts(services: Services) -> None:
    embedder = CohereEmbedder("key", base_url=services.cohere.server.url + "/nowhere")
    services.cohere.key = None
    with pytest.raises(ServiceDownError):
        await embedder.embed(TEXTS[:1])
    await embedder.aclose()


async def test_nobody_listens() -> None:
    embedder = CohereEmbedder("key", base_url="http://127.0.0.1:9")
    with pytest.raises(TransientError) as caught:
        await embedder.embed(TEXTS[:1])
    assert not isinstance(caught.value, UnansweredError), "nothing was sent, so nothing can have been paid"
    await embedder.aclose()


async def test_a_key_in_the_service_s_answer_is_not_repeated(embedder: CohereEmbedder, services: Services) -> None:
    key = services.env["CO_API_KEY"]
    plain = services.cohere.error
    services.cohere.error = lambda status, message, request: plain(status, f"bad request with {key}", request)  # type: ignore[method-assign]
    with pytest.raises(RejectedError, match=r"bad request with \*\*\*") as caught:
        await embedder.embed([])
    assert key not in str(caught.value)


async def test_the_key_does_not_follow_a_redirect(embedder: CohereEmbedder, services: Services) -> None:
    from tests.services.messages import Response

    target = services.hub.cdn.url + "/v2/embed"
    services.cohere._embed = lambda *_: Response(307, b"", {"location": target})  # type: ignore[method-assign]
    with pytest.raises(ServiceDownError, match="307"):
        await embedder.embed(TEXTS[:1])
    assert services.count("hub") == 0
