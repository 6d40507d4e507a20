"""The doubles of Cohere and Anthropic, spoken to by the real clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import anthropic
import cohere
import numpy as np
import pytest
from pydantic import BaseModel

from tests.services import MALFORMATIONS, Malformation, Services, generated_cards
from tests.services.clients import ask, claude, cohere_client, text_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def services() -> Iterator[Services]:
    with Services(generated_cards(3)) as running:
        yield running


# Cohere


async def test_embeddings_have_topics(services: Services) -> None:
    texts = [
        "speech recordings of many speakers with transcripts",
        "transcripts and speech recordings",
        "court rulings",
    ]
    async with cohere_client(services) as client:
        answer = await client.embed(
            model="embed-v4.0",
            input_type="clustering",
            texts=texts,
            output_dimension=512,
            embedding_types=["float"],
        )
    vectors = np.array(answer.embeddings.float_)
    assert vectors.shape == (3, 512)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-2)
    near = vectors @ vectors[0]
    assert near[1] > 0.6 > 0.3 > near[2]
    assert answer.meta is not None
    assert answer.meta.billed_units is not None
    assert answer.meta.billed_units.input_tokens == sum(len(text) // 4 for text in texts)
    assert services.largest_batch == 3


async def test_too_many_texts_and_a_wrong_key(services: Services) -> None:
    asked: dict[str, Any] = {"model": "embed-v4.0", "input_type": "clustering", "output_dimension": 512}
    async with cohere_client(services) as client:
        with pytest.raises(cohere.BadRequestError):
            await client.embed(texts=["a"] * 97, **asked)
        services.cohere.key = "another"
        with pytest.raises(cohere.UnauthorizedError):
            await client.embed(texts=["a"], **asked)


@pytest.mark.parametrize("kind", ["wrong_count", "wrong_dimensions", "nan"])
async def test_bad_vectors(services: Services, kind: Literal["wrong_count", "wrong_dimensions", "nan"]) -> None:
    services.cohere.faults.next(kind)
    async with cohere_client(services) as client:
        answer = await client.embed(
            model="embed-v4.0",
            input_type="clustering",
            texts=["a b", "c d"],
            output_dimension=512,
            embedding_types=["float"],
        )
    rows = answer.embeddings.float_
    assert rows is not None
    assert len(rows) == (1 if kind == "wrong_count" else 2)
    assert len(rows[0]) == (256 if kind == "wrong_dimensions" else 512)
    assert bool(np.isnan(rows[-1]).any()) == (kind == "nan")
    assert services.keys("embed", ok=True) == {}


# Anthropic


class Field(BaseModel):
    value: Literal["speech-and-audio", "legal-and-policy", "not_stated"]
    quote: str


class ListField(BaseModel):
    value: list[Literal["pretraining", "sft", "not_stated"]]
    quote: str


class Extraction(BaseModel):
    subject_domain: Field
    training_stage: ListField
    is_benchmark: bool


async def test_extraction_is_valid_and_quotes_the_card(services: Services) -> None:
    repo_id, state = next(iter(services.hub.datasets.items()))
    card = (state.card or b"").decode() + "\nAll of it is speech and audio, for sft.\n"
    async with claude(services) as client:
        message = await client.messages.parse(**ask(card), output_format=Extraction)
    found = message.parsed_output
    assert found is not None
    assert found.subject_domain.value == "speech-and-audio"
    assert found.subject_domain.quote in card
    assert services.keys("extract") == {repo_id: 1}
    assert message.usage.input_tokens > len(card) // 4


async def test_summary_and_topic(services: Services) -> None:
    async with claude(services) as client:
        message = await client.messages.create(**ask("Card words " * 30, system="Write a summary as JSON."))
        assert len(json.loads(text_of(message))["summary"].split()) <= 25
        named = await client.messages.create(
            **ask(
                "x",
                system='Answer {"topic_name": NAME}',
                messages=[{"role": "user", "content": "- Keywords for this group include: court rulings, treaties"}],
            )
        )
        assert json.loads(text_of(named)) == {
            "topic_name": "Court Rulings Treaties",
            "topic_specificity": 0.8,
        }
    assert (services.count("summarize"), services.count("topic")) == (1, 1)


async def test_prompt_cache(services: Services) -> None:
    system = [{"type": "text", "text": "word " * 4000, "cache_control": {"type": "ephemeral"}}]
    async with claude(services) as client:
        first = (await client.messages.create(**ask("one", system=system))).usage
        second = (await client.messages.create(**ask("two", system=system))).usage
        small = [{**system[0], "text": "word " * 3000}]
        uncached = (await client.messages.create(**ask("two", system=small))).usage
    assert (first.cache_creation_input_tokens, first.cache_read_input_tokens) == (5000, 0)
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, 5000)
    assert second.input_tokens < 20 < 3000 < uncached.input_tokens
    assert uncached.cache_creation_input_tokens == 0


@pytest.mark.parametrize("how", MALFORMATIONS)
async def test_every_malformation_changes_the_answer(services: Services, how: Malformation) -> None:
    schema = {"type": "json_schema", "schema": Extraction.model_json_schema()}
    asked = ask("speech sft", output_config={"format": schema})
    async with claude(services) as client:
        sound = await client.messages.create(**asked)
        services.anthropic.malform_next(how)
        spoilt = await client.messages.create(**asked)
    assert Extraction.model_validate_json(text_of(sound))
    assert [record.fault for record in services.requests] == [None, f"malformed:{how}"]
    assert text_of(spoilt) != text_of(sound)
    assert spoilt.stop_reason == {"refusal": "refusal", "max_tokens": "max_tokens"}.get(how, "end_turn")


async def test_retired_models_and_sampling_settings(services: Services) -> None:
    async with claude(services) as client:
        with pytest.warns(DeprecationWarning, match="sonnet"), pytest.raises(anthropic.NotFoundError):
            await client.messages.create(**ask("x", model="claude-sonnet-4-20250514"))
        messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "{"}]
        with pytest.raises(anthropic.BadRequestError, match="prefill"):
            await client.messages.create(**ask("x", model="claude-haiku-5-5", messages=messages))
        thoughtful = await client.messages.create(**ask("x", model="claude-haiku-5-5"))
        assert [block.type for block in thoughtful.content] == ["thinking", "text"]


async def test_scripted_answers(services: Services) -> None:
    services.anthropic.answer = lambda asked: "scripted" if "now" in asked["messages"][0]["content"] else None
    async with claude(services) as client:
        assert text_of(await client.messages.create(**ask("now"))) == "scripted"
        assert text_of(await client.messages.create(**ask("then"))) != "scripted"


async def test_a_failing_script_is_not_hidden() -> None:
    with pytest.raises(ExceptionGroup, match="script"), Services() as services:  # noqa: PT012
        services.anthropic.answer = lambda asked: asked["no such key"]
        async with claude(services, max_retries=0) as client:
            with pytest.raises(anthropic.InternalServerError):
                await client.messages.create(**ask("x"))


async def test_batches(services: Services) -> None:
    services.anthropic.batches.seconds = None
    services.anthropic.batches.outcome = lambda custom_id, _params: "expired" if custom_id == "c2" else None
    asked: Any = [{"custom_id": f"c{n}", "params": ask(f"card {n}")} for n in range(4)]
    async with claude(services) as client:
        batch = await client.messages.batches.create(requests=asked)
        assert (await client.messages.batches.retrieve(batch.id)).processing_status == "in_progress"
        services.anthropic.batches.finish()
        ended = await client.messages.batches.retrieve(batch.id)
        assert (ended.request_counts.succeeded, ended.request_counts.expired) == (3, 1)
        results = [one async for one in await client.messages.batches.results(batch.id)]
        assert {one.custom_id: one.result.type for one in results} == {
            "c0": "succeeded",
            "c1": "succeeded",
            "c2": "expired",
            "c3": "succeeded",
        }
        other = await client.messages.batches.create(requests=asked)
        assert (await client.messages.batches.cancel(other.id)).processing_status == "canceling"
        assert (await client.messages.batches.retrieve(other.id)).request_counts.canceled == 4
