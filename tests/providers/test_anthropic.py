"""Anthropic's client against its double: answers, tokens, and an error for each way in which it goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

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
)
from engine.providers import PROVIDERS
from engine.providers.anthropic import AnthropicCompleter
from engine.providers.base import Prompt
from engine.usage import Usage
from tests.conftest import PATIENCE
from tests.services import FaultKind, Services
from tests.services.messages import Response

pytestmark = pytest.mark.anyio
EXTRACTION_MODEL = PROVIDERS["anthropic"].extraction_model
QUESTION = Prompt("Answer.", "Is this a card?", 50)


@pytest.fixture
async def completer(services: Services, seconds: float) -> AsyncIterator[AnthropicCompleter]:
    made = completer_for(services, timeout=seconds)
    yield made
    await made.aclose()


def completer_for(
    services: Services, model: str = EXTRACTION_MODEL, *, timeout: float = PATIENCE
) -> AnthropicCompleter:
    env = services.env
    return AnthropicCompleter(
        env["ANTHROPIC_API_KEY"], base_url=env["ANTHROPIC_BASE_URL"], model=model, connections=2, timeout=timeout
    )


def answering(services: Services, body: Any) -> None:
    """Let the double send any JSON for a message."""
    plain = services.anthropic.route

    def route(request: Any) -> Any:
        found = plain(request)
        found.answer = lambda _fault: Response.of_json(body)
        return found

    services.anthropic.route = route  # type: ignore[method-assign]


async def test_an_answer_and_its_tokens(completer: AnthropicCompleter, services: Services) -> None:
    services.anthropic.answer = lambda _asked: "Yes, it is."
    services.anthropic.usage_of = lambda _asked, usage: {
        **usage, "input_tokens": 5, "output_tokens": 7, "cache_creation_input_tokens": 11, "cache_read_input_tokens": 13,
    }  # fmt: skip
    answer = await completer.complete(QUESTION)
    assert (answer.text, answer.stop) == ("Yes, it is.", "end")
    assert answer.usage == Usage(input=5, output=7, cache_write=11, cache_read=13)


async def test_an_answer_that_was_cut_says_so(completer: AnthropicCompleter, services: Services) -> None:
    services.anthropic.malform_next("max_tokens")
    assert (await completer.complete(QUESTION)).stop == "length"


@pytest.mark.parametrize(("how", "kind"), [("refusal", RefusedError), ("empty", BadAnswerError)])
async def test_no_answer_was_paid_for_all_the_same(
    completer: AnthropicCompleter, services: Services, how: Any, kind: type[ProviderError]
) -> None:
    services.anthropic.malform_next(how)
    with pytest.raises(kind) as caught:
        await completer.complete(QUESTION)
    assert caught.value.usage is not None
    assert caught.value.usage.output > 0


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("401", KeyRefusedError), ("403", KeyRefusedError), ("402", QuotaError), ("no_credit", QuotaError),
        ("429", TransientError), ("529", TransientError), ("500", TransientError), ("504", TransientError),
        ("html_502", TransientError), ("html", UnansweredError), ("garbage", UnansweredError),
        ("reset", UnansweredError), ("reset_early", UnansweredError), ("cut", UnansweredError),
        ("hang", UnansweredError), ("hang_silent", UnansweredError), ("endless", UnansweredError),
    ],
)  # fmt: skip
async def test_each_fault_has_its_error(
    completer: AnthropicCompleter, services: Services, fault: FaultKind, kind: type[ProviderError]
) -> None:
    services.anthropic.faults.next(fault)
    with pytest.raises(ProviderError) as caught:
        await completer.complete(QUESTION)
    assert type(caught.value) is kind
    assert len(services.requests) == 1, "retried in one place, which is not here"
    if isinstance(caught.value, TransientError):
        assert caught.value.limited == (fault in ("429", "529"))
    assert services.env["ANTHROPIC_API_KEY"] not in repr(caught.value)
    assert (await completer.complete(QUESTION)).text


async def test_a_slow_answer_is_an_answer(completer: AnthropicCompleter, services: Services) -> None:
    services.anthropic.faults.next("drip")
    assert (await completer.complete(QUESTION)).text


async def test_half_a_character_in_an_answer_is_not_handed_on(
    completer: AnthropicCompleter, services: Services
) -> None:
    """JSON can carry it; it can neither be stored nor be sent back with the question that asks again."""
    body = {"content": [{"type": "text", "text": "a \ud83d b"}]}
    answering(services, body)
    assert (await completer.complete(QUESTION)).text == "a ? b"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, UnansweredError), ([], UnansweredError), ("text", UnansweredError), (None, UnansweredError),
        ({"content": "text"}, UnansweredError), ({"content": []}, BadAnswerError),
        ({"content": [None, 5, "x"]}, BadAnswerError), ({"content": [{"type": "text", "text": None}]}, BadAnswerError),
        ({"content": [{"type": "text", "text": 5}], "usage": 7}, BadAnswerError),
        ({"content": [{"type": "text"}], "usage": {"input_tokens": "many", "output_tokens": -4}}, BadAnswerError),
    ],
)  # fmt: skip
async def test_json_of_another_shape(
    completer: AnthropicCompleter, services: Services, body: Any, kind: type[ProviderError]
) -> None:
    answering(services, body)
    with pytest.raises(kind) as caught:
        await completer.complete(QUESTION)
    if caught.value.usage is not None:
        assert caught.value.usage == Usage()


async def test_a_model_that_does_not_exist_concerns_all_cards(services: Services) -> None:
    completer = completer_for(services, "claude-nothing-1")
    with pytest.raises(ServiceDownError, match="claude-nothing-1"):
        await completer.complete(QUESTION)
    await completer.aclose()


async def test_nobody_listens() -> None:
    completer = AnthropicCompleter("key", base_url="http://127.0.0.1:9", model=EXTRACTION_MODEL, connections=1)
    with pytest.raises(TransientError) as caught:
        await completer.complete(QUESTION)
    assert not isinstance(caught.value, UnansweredError), "nothing was sent, so nothing can have been paid"
    await completer.aclose()


async def test_a_key_in_the_service_s_answer_is_not_repeated(completer: AnthropicCompleter, services: Services) -> None:
    key = services.env["ANTHROPIC_API_KEY"]
    plain = services.anthropic.error
    services.anthropic.error = lambda status, message, request: plain(status, f"bad key {key}", request)  # type: ignore[method-assign]
    with pytest.raises(RejectedError) as caught:
        await completer.complete(Prompt("", " ", 5))
    assert key not in str(caught.value)
    assert "***" in str(caught.value)


async def test_the_key_does_not_follow_a_redirect(completer: AnthropicCompleter, services: Services) -> None:
    plain = services.anthropic.route

    def route(request: Any) -> Any:
        found = plain(request)
        found.answer = lambda _fault: Response(307, b"", {"location": services.hub.cdn.url + "/v1/messages"})
        return found

    services.anthropic.route = route  # type: ignore[method-assign]
    with pytest.raises(ServiceDownError, match="307"):
        await completer.complete(QUESTION)
    assert services.count("hub") == 0


async def test_a_cancelled_call_leaves_the_client_usable(completer: AnthropicCompleter, services: Services) -> None:
    import anyio

    with services.hold("message"), anyio.move_on_after(0.05) as scope:
        await completer.complete(QUESTION)
    assert scope.cancelled_caught
    assert (await completer.complete(QUESTION)).text
