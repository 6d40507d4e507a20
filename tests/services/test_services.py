"""The doubles, spoken to by the real clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from tests.services import (
    DatasetState,
    Services,
    ServicesProcess,
    generated_cards,
)
from tests.services.clients import ask, claude

pytestmark = pytest.mark.anyio
EXPAND: list[Any] = [
    "author", "sha", "lastModified", "createdAt", "likes", "downloads", "downloadsAllTime", "tags", "gated",
    "private", "disabled", "cardData", "description", "trendingScore",
]  # fmt: skip


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def services() -> Iterator[Services]:
    with Services(generated_cards(30), page_size=12, token="hf-secret-token") as running:
        yield running


def card_url(services: Services, repo_id: str) -> str:
    return f"{services.env['HF_ENDPOINT']}/datasets/{repo_id}/resolve/main/README.md"


# The Hub


def test_listing_pages_in_rank_order(services: Services) -> None:
    api = HfApi(endpoint=services.env["HF_ENDPOINT"], token=False)
    rows = list(api.list_datasets(sort="likes", expand=EXPAND, limit=25))
    assert [row.id for row in rows] == list(services.hub.datasets)[:25]
    assert rows[0].likes == max(state.likes for state in services.hub.datasets.values())
    assert rows[0].sha == services.hub.datasets[rows[0].id].sha
    assert rows[0].card_data is not None
    assert rows[0].card_data.license
    assert services.count("list") == 3


def test_listing_repeats_rows(services: Services) -> None:
    services.hub.repeat_rows = 2
    api = HfApi(endpoint=services.env["HF_ENDPOINT"], token=False)
    ids = [row.id for row in api.list_datasets(sort="downloads", expand=EXPAND)]
    assert len(ids) == 34
    assert set(ids) == set(services.hub.datasets)


def test_card_redirects_and_is_not_sent_twice(services: Services) -> None:
    repo_id, state = next(iter(services.hub.datasets.items()))
    with httpx.Client(follow_redirects=True) as client:
        first = client.get(card_url(services, repo_id))
        assert first.content == state.card
        assert first.headers["x-repo-commit"] == state.sha
        again = client.get(card_url(services, repo_id), headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code == 304
        services.hub.touch(repo_id)
        touched = client.get(card_url(services, repo_id), headers={"If-None-Match": first.headers["etag"]})
        assert touched.status_code == 304
        services.hub.update(repo_id, card="new words")
        changed = client.get(card_url(services, repo_id), headers={"If-None-Match": first.headers["etag"]})
        assert changed.text == "new words"
    assert services.count("card") == services.count("redirect") == 4
    assert services.keys("card") == {repo_id: 4}


def test_authorization_stays_at_the_hub() -> None:
    with Services(generated_cards(1), token="hf-secret-token", redirect="cdn") as services:
        headers = {"Authorization": f"Bearer {services.env['HF_TOKEN']}"}
        with httpx.Client(follow_redirects=True, headers=headers) as client:
            assert client.get(card_url(services, next(iter(services.hub.datasets)))).status_code == 200
        redirect, card = services.requests
        assert redirect.authorization == headers["Authorization"]
        assert card.authorization is None
        assert card.host == services.hub.cdn.url.removeprefix("http://") != redirect.host


def test_refusals_say_why(services: Services) -> None:
    flaws = {"gated": ("auto", 401, "GatedRepo"), "private": (True, 401, "RepoNotFound")}
    services.hub.add(*(DatasetState(f"a/{name}", b"x", **{name: flaw[0]}) for name, flaw in flaws.items()))  # type: ignore[arg-type]
    services.hub.add(DatasetState("a/missing"), DatasetState("a/disabled", b"x", disabled=True))
    with httpx.Client(follow_redirects=True) as client:
        for name, (_, status, code) in flaws.items():
            answer = client.get(card_url(services, f"a/{name}"))
            assert (answer.status_code, answer.headers["x-error-code"]) == (status, code)
        assert client.get(card_url(services, "a/nowhere")).headers["x-error-code"] == "RepoNotFound"
        assert client.get(card_url(services, "a/missing")).headers["x-error-code"] == "EntryNotFound"
        disabled = client.get(card_url(services, "a/disabled"))
        assert disabled.headers["x-error-message"] == "Access to this resource is disabled."
        token = {"Authorization": "Bearer hf-secret-token"}
        assert client.get(card_url(services, "a/gated"), headers=token).content == b"x"
        wrong = {"Authorization": "Bearer nonsense"}
        assert client.get(card_url(services, "a/gated"), headers=wrong).status_code == 401


def test_renamed_repository_redirects(services: Services) -> None:
    old = next(iter(services.hub.datasets))
    services.hub.rename(old, "new/name")
    with httpx.Client(follow_redirects=True) as client:
        assert client.get(card_url(services, old)).status_code == 200
        assert client.get(f"{services.env['HF_ENDPOINT']}/api/datasets/{old}").json()["id"] == "new/name"
    assert HfApi(endpoint=services.env["HF_ENDPOINT"], token=False).dataset_info("new/name").id == "new/name"


def test_hub_quota(services: Services) -> None:
    services.hub.set_quota(api=1, window=60)
    api = HfApi(endpoint=services.env["HF_ENDPOINT"], token=False)
    api.dataset_info(next(iter(services.hub.datasets)))
    with pytest.raises(HfHubHTTPError, match="'api' rate limit"):
        api.dataset_info(next(iter(services.hub.datasets)))

    services.hub.quotas.clear()
    services.hub.ratelimit_reset = 9
    services.hub.faults.next("429", of="list")
    answer = httpx.get(f"{services.env['HF_ENDPOINT']}/api/datasets")
    assert (answer.status_code, answer.headers["ratelimit"]) == (429, '"api";r=0;t=9')


# Faults


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("429", anthropic.RateLimitError),
        ("500", anthropic.InternalServerError),
        ("529", anthropic.APIStatusError),
        ("401", anthropic.AuthenticationError),
        ("no_credit", anthropic.BadRequestError),
        ("html_502", anthropic.InternalServerError),
        ("reset_early", anthropic.APIConnectionError),
        ("reset", (anthropic.APIConnectionError, httpx2.ReadError)),
        ("cut", (anthropic.APIConnectionError, httpx2.RemoteProtocolError)),
        ("hang", (anthropic.APITimeoutError, httpx2.ReadTimeout)),
        ("hang_silent", anthropic.APITimeoutError),
    ],
)
async def test_faults_reach_the_client(services: Services, kind: Any, error: Any) -> None:
    services.anthropic.faults.next(kind, retry_after=2)
    async with claude(services, max_retries=0, timeout=0.5) as client:
        with pytest.raises(error) as caught:
            await client.messages.create(**ask("x"))
        if kind in ("429", "529"):
            assert caught.value.response.headers["retry-after"] == "2"
        assert (await client.messages.create(**ask("x"))).content
    services.wait_for(lambda now: now.now("anthropic") == 0)
    assert [record.ok for record in services.requests] == [False, True]


def test_a_body_that_never_ends(services: Services) -> None:
    services.hub.faults.next("endless", of="card")
    received = 0
    with (
        httpx.Client(follow_redirects=True) as client,
        client.stream("GET", card_url(services, next(iter(services.hub.datasets)))) as answer,
    ):
        for piece in answer.iter_bytes():
            received += len(piece)
            if received > 100_000:
                break
    services.wait_for(lambda now: now.now("card") == 0)
    assert services.of("card")[0].end == "fault"


def test_fault_rates_do_not_depend_on_the_order(services: Services) -> None:
    services.hub.faults.set(rate_5xx=0.3, rate_429=0.2, seed=5, kinds=["card"])
    ids = list(services.hub.datasets)

    def statuses(order: list[str]) -> dict[str, int]:
        with httpx.Client(follow_redirects=True) as client:
            return {repo_id: client.get(card_url(services, repo_id)).status_code for repo_id in order}

    first = statuses(ids)
    services.clear_faults()
    services.hub.faults.set(rate_5xx=0.3, rate_429=0.2, seed=5, kinds=["card"])
    assert statuses(ids[::-1]) == first
    assert len(set(first.values())) > 2


def test_a_rate_limit(services: Services) -> None:
    services.hub.faults.set(requests_per_second=0.001, burst=3, retry_after=7)
    with httpx.Client() as client:
        url = f"{services.env['HF_ENDPOINT']}/api/datasets"
        answers = [client.get(url) for _ in range(5)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].headers["retry-after"] == "7"


# The log


async def test_gauges_hold_and_wait(services: Services) -> None:
    async with claude(services) as client:
        with services.hold("summarize"):
            calls = [asyncio.create_task(client.messages.create(**ask(f"{n}", system="A summary."))) for n in range(5)]
            await asyncio.to_thread(services.wait_for, lambda now: now.now("enrich") == 5)
            assert not any(call.done() for call in calls)
        await asyncio.gather(*calls)
    assert services.peak("summarize") == services.peak("anthropic") == 5
    assert services.now("summarize") == 0
    services.reset_log()
    assert (services.count(), services.peak("summarize")) == (0, 0)


def test_generated_cards_are_the_same_every_time() -> None:
    shares = {"short": 0.1, "missing": 0.1, "gated": 0.1, "private": 0.1, "disabled": 0.1, "bad_yaml": 0.1}
    first, second = generated_cards(200, 3, **shares), generated_cards(200, 3, **shares)
    assert first == second != generated_cards(200, 4, **shares)
    assert len({state.id for state in first}) == 200
    assert [state.likes for state in first] == sorted({state.likes for state in first}, reverse=True)
    for flaw in (lambda s: s.card is None, lambda s: s.gated, lambda s: s.private, lambda s: s.disabled):
        assert 5 <= sum(map(bool, map(flaw, first))) <= 40


def test_in_a_process_of_its_own() -> None:
    with ServicesProcess(cards=5, latency_scale=0) as services:
        api = HfApi(endpoint=services.env["HF_ENDPOINT"], token=False)
        first = next(iter(api.list_datasets(sort="likes", limit=5)))
        services.control(
            hub=[["update", {"id": first.id, "likes": 10**6, "card": "words"}]],
            next=[{"service": "hub", "kind": "503", "of": "card"}],
        )
        with httpx.Client(follow_redirects=True) as client:
            url = f"{services.env['HF_ENDPOINT']}/datasets/{first.id}/resolve/main/README.md"
            assert [client.get(url).status_code for _ in range(2)] == [503, 200]
        assert services.stats()["requests"] == {"list": 1, "redirect": 2, "card": 2}
        assert [row["ok"] for row in services.log("card")] == [False, True]
