"""Models of servers that speak OpenAI's protocol, over real sockets: single calls and whole runs."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from engine.config import load_settings
from engine.errors import (
    BadAnswerError,
    KeyRefusedError,
    ProviderError,
    RejectedError,
    ServiceDownError,
    TransientError,
    UsageError,
)
from engine.providers import check_providers
from engine.providers.base import Completion, Embedded, Prompt
from engine.providers.openai import OpenAICompleter, OpenAIEmbedder
from tests.conftest import Run
from tests.services import Services, generated_cards
from tests.services.messages import Response
from tests.services.vectors import embed as vector_of

Rows = Callable[..., list[tuple[Any, ...]]]

SCHEMA = {"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}
ASKED = Prompt("Write a summary.", "<card>\nBird songs recorded in Norwegian forests.\n</card>", 300, SCHEMA)


def ask(services: Services, *prompts: Prompt, key: str | None = None, **settings: Any) -> list[Completion]:
    async def all_of_them() -> list[Completion]:
        model = settings.pop("model", services.openai.chat_model)
        completer = OpenAICompleter(services.openai.url, key, model=model, connections=2, **settings)
        try:
            return [await completer.complete(prompt) for prompt in prompts]
        finally:
            await completer.aclose()

    return anyio.run(all_of_them)


def embedded(services: Services, *batches: list[str], dimensions: int = 0, **settings: Any) -> list[Embedded]:
    async def all_of_them() -> list[Embedded]:
        model = settings.pop("model", services.openai.embed_model)
        embedder = OpenAIEmbedder(services.openai.url, None, model=model, connections=1, **settings)
        embedder.dimensions = dimensions
        try:
            return [await embedder.embed(texts) for texts in batches]
        finally:
            await embedder.aclose()

    return anyio.run(all_of_them)


def test_an_answer_and_its_tokens() -> None:
    with Services(keep_bodies=True) as services:
        [answer] = ask(services, ASKED)
        asked = json.loads(services.requests[0].body or b"")
    assert json.loads(answer.text)["summary"]
    assert (answer.stop, answer.usage.input > 0, answer.usage.output > 0) == ("end", True, True)
    assert asked["response_format"]["json_schema"]["schema"] == SCHEMA
    assert asked["temperature"] == 0


@pytest.mark.parametrize("schemas", ["refused", "stumbles"])
def test_a_server_that_refuses_schemas_is_asked_for_plain_json_from_then_on(schemas: Any) -> None:
    with Services(keep_bodies=True) as services:
        services.openai.schemas = schemas
        answers = ask(services, ASKED, ASKED, ASKED)
        bodies = [json.loads(record.body or b"") for record in services.requests]
    assert all(json.loads(answer.text)["summary"] for answer in answers)
    assert ["response_format" in body for body in bodies] == [True, False, False, False]


def test_a_refused_question_is_no_refused_schema() -> None:
    with Services(keep_bodies=True) as services:
        services.openai.faults.next("400", 2, message="the prompt is too long")  # type: ignore[arg-type]
        with pytest.raises(RejectedError, match="too long"):
            ask(services, ASKED)
        ask(services, ASKED)
        assert ["response_format" in json.loads(one.body or b"") for one in services.requests] == [True, False, True]


def test_thoughts_are_not_part_of_the_answer() -> None:
    with Services() as services:
        services.openai.thinking = True
        [answer] = ask(services, ASKED)
        assert json.loads(answer.text)["summary"]
        services.openai.answer = lambda _asked: ""
        with pytest.raises(BadAnswerError):
            ask(services, ASKED)


@pytest.mark.parametrize(
    ("fault", "error", "limited"),
    [
        ("429", TransientError, True),
        ("503", TransientError, False),
        ("html", TransientError, False),
        ("garbage", TransientError, False),
        ("reset", TransientError, False),
        ("cut", TransientError, False),
        ("401", KeyRefusedError, None),
    ],
)
def test_faults_have_their_names(fault: Any, error: type[ProviderError], limited: bool | None) -> None:
    with Services() as services:
        services.openai.faults.next(fault, retry_after=3)
        with pytest.raises(error) as caught:
            ask(services, ASKED)
    if isinstance(caught.value, TransientError):
        assert caught.value.limited == limited
        assert caught.value.retry_after == (3 if fault in ("429", "503") else None)


def test_a_server_that_hangs_is_given_up() -> None:
    with Services() as services:
        services.openai.faults.next("hang")
        with pytest.raises(TransientError, match=r"within 0\.5 s"):
            ask(services, ASKED, timeout=0.5)


def test_a_model_that_is_not_there_ends_it_with_a_hint() -> None:
    with Services() as services:
        with pytest.raises(ServiceDownError, match="no model 'gpt-0'") as caught:
            ask(services, ASKED, model="gpt-0")
        assert "/v1" in (caught.value.hint or "")


def test_nothing_follows_a_redirect() -> None:
    with Services() as services:
        plain = services.openai.route
        target = services.hub.cdn.url + "/v1/chat/completions"

        def route(request: Any) -> Any:
            found = plain(request)
            found.answer = lambda _fault: Response(307, b"", {"location": target})
            return found

        services.openai.route = route  # type: ignore[method-assign]
        with pytest.raises(ServiceDownError, match="leads elsewhere"):
            ask(services, ASKED, key="sk-a-secret")
        assert services.count("hub") == 0


def test_the_key_is_the_one_that_was_given_and_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with Services() as services:
        ask(services, ASKED)
        ask(services, ASKED, key="sk-given")
        assert [record.authorization for record in services.requests] == ["Bearer none", "Bearer sk-given"]
        services.openai.faults.next("400", 2, message="what is sk-given?")  # type: ignore[arg-type]
        with pytest.raises(ProviderError) as caught:
            ask(services, ASKED, key="sk-given")
    assert "sk-given" not in str(caught.value)


@pytest.mark.parametrize(("shuffle", "numbered"), [(False, True), (True, True), (False, False)])
def test_vectors_lie_in_the_order_of_their_texts(shuffle: bool, numbered: bool) -> None:
    texts = [f"Text number {number} about {word}" for number, word in enumerate(["birds", "law", "robots"])]
    with Services() as services:
        services.openai.shuffle, services.openai.numbered = shuffle, numbered
        [answer] = embedded(services, texts)
    expected = np.array([vector_of(text, services.openai.dimensions) for text in texts])
    assert answer.vectors.dtype == np.float32
    np.testing.assert_allclose(answer.vectors, expected, atol=1e-4)
    assert answer.usage.input > 0


@pytest.mark.parametrize("fault", ["wrong_count", "nan", "garbage", "html", "wrong_dimensions"])
def test_vectors_that_cannot_be_right_are_asked_for_again(fault: Any) -> None:
    with Services() as services:
        services.openai.faults.next(fault, matches=lambda _kind, _key: services.count("embed") > 0)
        with pytest.raises(TransientError):
            embedded(services, ["birds and forests"], ["laws and courts"])


def test_another_model_under_the_same_name_ends_it() -> None:
    with Services() as services, pytest.raises(ServiceDownError, match="384 numbers; those stored have 768"):
        embedded(services, ["birds"], dimensions=768)


def test_a_text_beyond_the_models_context_is_cut_until_it_fits() -> None:
    with Services() as services:
        services.openai.most_characters = 400
        [answer] = embedded(services, ["bird song " * 150])
        assert answer.vectors.shape == (1, services.openai.dimensions)
        services.openai.most_characters = 10
        with pytest.raises(RejectedError, match="context length"):
            embedded(services, ["bird song " * 150])


def test_without_the_package_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_openai(name: str, *rest: Any) -> Any:
        if name == "openai":
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_openai)
    with pytest.raises(UsageError, match="not installed") as caught:
        OpenAICompleter("http://127.0.0.1:9/v1", None, model="m", connections=1)
    assert "hfmap[openai]" in (caught.value.hint or "")


def test_addresses_in_settings(tmp_path: Path) -> None:
    def llm(value: str, **more: str) -> str:
        return check_providers(load_settings({"llm": value, "model": "m", **more}, environ={}, cwd=tmp_path)).llm

    assert llm("openai:http://localhost:11434") == "openai:http://localhost:11434/v1"
    assert llm("openai:http://localhost:8000/v1/") == "openai:http://localhost:8000/v1"
    for wrong in ("openai:localhost:11434", "openai:", "openai", "openai:http://me:secret@host/v1", "model2vec:x"):
        with pytest.raises(UsageError) as caught:
            llm(wrong)
        assert "secret@" not in str(caught.value) + str(caught.value.hint)
    with pytest.raises(UsageError, match="no model is named") as caught:
        check_providers(load_settings({"llm": "openai:http://localhost/v1"}, environ={}, cwd=tmp_path))
    assert "--model NAME" in (caught.value.hint or "")
    with pytest.raises(UsageError) as caught:
        check_providers(load_settings({"embedder": "openai:http://localhost/v1"}, environ={}, cwd=tmp_path))
    assert "--embed-model NAME" in (caught.value.hint or "")


def open_flags(services: Services) -> list[str]:
    double = services.openai
    return [
        "--llm", f"openai:{double.url}", "--model", double.chat_model,
        "--embedder", f"openai:{double.url}", "--embed-model", double.embed_model,
    ]  # fmt: skip


def test_a_whole_run_with_open_models(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(60, seed=6), latency_scale=0.02) as services:
        services.openai.schemas = "refused"
        services.openai.shuffle = True
        services.openai.faults.set(rate_429=0.1, rate_nan=0.2, seed=2)
        env = {"HF_ENDPOINT": services.env["HF_ENDPOINT"], "HF_TOKEN": "hf_secret_of_the_hub"}
        done = run_hfmap("sync", "--no-map", *open_flags(services), env=env)
        assert services.count("cohere", "anthropic") == 0
        assert services.openai.texts_embedded == 60
        assert services.peak("enrich") <= 12
        assert {record.authorization for record in services.of("openai")} == {"Bearer none"}
        # Once refused, a schema is not sent again: twelve calls were on their way, and some of them were put off (429).
        refused = [record for record in services.of("extract", "summarize") if record.status == 400]
        assert 1 <= len(refused) <= 24
        services.reset_log()
        run_hfmap("sync", "--no-map", *open_flags(services), env=env)
        assert services.count("openai") == 0
        # A server that does follow schemas makes results of the same kind.
        services.openai.schemas = "followed"
        run_hfmap("sync", "--no-map", *open_flags(services), env=env)
        assert services.count("openai") == 0
    assert rows("SELECT count(*) FROM todo") == [(0,)]
    assert rows("SELECT count(*) FROM datasets WHERE summary IS NOT NULL AND subject_domain IS NOT NULL") == [(60,)]
    assert rows("SELECT DISTINCT dimensions FROM embedding") == [(services.openai.dimensions,)]
    ledger = rows("SELECT stage, provider, model, sum(usd), sum(input_tokens) > 0 FROM call GROUP BY 1, 2, 3")
    assert ledger == [
        ("embed", "openai", "nomic-embed-text", 0, 1),
        ("extract", "openai", "qwen3:8b", 0, 1),
        ("summarize", "openai", "qwen3:8b", 0, 1),
    ]
    assert "hf_secret_of_the_hub" not in done.stdout + done.stderr


def test_a_server_whose_model_was_exchanged_is_noticed_in_the_next_run(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(20)) as services:
        env = {"HF_ENDPOINT": services.env["HF_ENDPOINT"]}
        flags = [*open_flags(services)[4:], "--no-map"]
        run_hfmap("sync", *flags, "--target", 10, env=env)
        services.openai.dimensions = 128
        done = run_hfmap("sync", *flags, env=env, code=3)
        assert "--embed-model" in done.stderr
    assert rows("SELECT dimensions, count(*) FROM embedding GROUP BY 1") == [(384, 10)]


def test_topics_are_named_by_the_open_model(draw_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(60, seed=4)) as services:
        flags = open_flags(services)[:4]
        draw_hfmap("sync", *flags, env={"HF_ENDPOINT": services.env["HF_ENDPOINT"]})
        assert services.count("topic") > 0
    assert rows("SELECT DISTINCT provider, model FROM call WHERE stage = 'topics'") == [("openai", "qwen3:8b")]
