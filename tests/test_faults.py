"""Services that misbehave, over real sockets: nothing is lost, nothing is paid twice, nobody is hammered."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from engine.calls.breaker import ATTEMPTS, BREAKER_FAILURES
from tests.conftest import Run
from tests.services import FAULT_KINDS, FaultKind, Services, generated_cards
from tests.services.faults import VECTOR_FAULTS

Rows = Callable[..., list[tuple[Any, ...]]]

QUICK = {"HFMAP_TIMEOUT": "0.7"}
"""A request that hangs is given up soon, so that a test need not wait for the usual twenty to forty."""


def whole(services: Services, rows: Rows, cards: int) -> None:
    """Everything is there, once."""
    assert rows(
        "SELECT count(*) FROM datasets WHERE on_map AND summary IS NOT NULL AND subject_domain IS NOT NULL"
    ) == [(cards,)]
    assert rows("SELECT count(*) FROM embedding") == rows("SELECT count(*) FROM summary") == [(cards,)]
    assert rows("SELECT count(*), count(DISTINCT spec_id || input_hash) FROM result") == [(3 * cards, 3 * cards)]
    assert rows("SELECT count(*) FROM todo") == rows("SELECT count(*) FROM failure") == [(0,)]


def test_everything_goes_wrong_now_and_then(run_hfmap: Run, rows: Rows) -> None:
    cards = 120
    with Services(generated_cards(cards, seed=2)) as services:
        for service in services.all:
            # With back-off alone the run would spend minutes asleep.
            service.faults.set(rate_429=0.2, rate_5xx=0.05, rate_reset=0.03, rate_hang=0.01, seed=5, retry_after=0.05)
        run_hfmap("sync", "--no-map", env=services.env | QUICK | {"HFMAP_TARGET": str(cards)})
        whole(services, rows, cards)
        faults = services.stats()["faults"]
        assert {kind.split()[1] for kind in faults} >= {"429", "reset", "hang"}
        # Without faults: a redirect and a card, a call to each model stage, and a batch of 96.
        assert services.count("redirect") + services.count("card") <= 2 * 2 * cards
        assert services.count("extract") <= 2 * cards
        assert services.count("summarize") <= 2 * cards
        assert services.keys("embed").total() <= 2 * cards
        asked = {"embed": services.count("embed"), "model": services.count("extract", "summarize")}
        # The ledger has a row for each call, with the tries that it took.
        tries: dict[str, int] = dict(
            rows("SELECT CASE stage WHEN 'embed' THEN 'embed' ELSE 'model' END, sum(retries + 1) FROM call GROUP BY 1")
        )
    assert tries == asked
    assert rows("SELECT count(*) FROM call WHERE outcome = 'done' AND stage <> 'embed'") == [(2 * cards,)]


def test_every_kind_of_fault_is_got_over(run_hfmap: Run, rows: Rows) -> None:
    kinds = [kind for kind in FAULT_KINDS if kind not in ("401", "402", "403", "no_credit", *VECTOR_FAULTS)]
    cards = 3 * len(kinds)
    with Services(generated_cards(cards, seed=8)) as services:
        ids = list(services.hub.datasets)
        for place, kind in enumerate(kinds):
            # Each at another card, so that none is hit twice and all can be waited for together.
            services.hub.faults.next(kind, of="card", key=ids[3 * place])  # type: ignore[arg-type]
            services.anthropic.faults.next(kind, of="extract", key=ids[3 * place + 1])  # type: ignore[arg-type]
            services.anthropic.faults.next(kind, of="summarize", key=ids[3 * place + 2])  # type: ignore[arg-type]
        for of_vectors in VECTOR_FAULTS:
            services.cohere.faults.next(of_vectors)  # type: ignore[arg-type]
        run_hfmap("sync", "--no-map", env=services.env | {"HFMAP_TIMEOUT": "2"})
        whole(services, rows, cards)
        met = services.stats()["faults"]
        assert {f"{service} {kind}" for service in ("hub", "anthropic") for kind in kinds} <= set(met)
        # Slow answers are good answers; all others were asked for again, and no more than that.
        for kind in ("extract", "summarize"):
            assert services.count(kind) == cards + len(kinds) - 1
        assert services.count("card", ok=True) == cards
        billed = services.cohere.tokens_billed
    # What was sent, but cannot be used, was paid for all the same.
    assert rows("SELECT sum(input_tokens) FROM call WHERE stage = 'embed'")[0][0] > billed


@pytest.mark.parametrize("down", ["503", "reset_early", "hang_silent"])
def test_a_model_that_is_down_is_left_alone(run_hfmap: Run, rows: Rows, down: FaultKind) -> None:
    with Services(generated_cards(80)) as services:
        services.anthropic.faults.set(down=down)
        done = run_hfmap("sync", "--no-map", env=services.env | QUICK, code=3)
        assert services.count("extract", "summarize") <= BREAKER_FAILURES + 12
        assert done.stderr.count("is down") == 2, "once for each of the two stages"
        assert "anthropic is down" in done.stderr
        # The rest goes on, and the cards that were not done are not to blame.
        assert rows("SELECT count(*) FROM embedding") == [(80,)]
        assert rows("SELECT count(*) FROM failure") == [(0,)]
        assert rows("SELECT outcome FROM run") == [("partial",)]
        services.clear_faults()
        run_hfmap("sync", "--no-map", env=services.env | QUICK)
        whole(services, rows, 80)


def test_embeddings_that_are_down(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(120)) as services:
        services.cohere.faults.set(down="503", retry_after=0.1)
        done = run_hfmap("sync", "--no-map", env=services.env, code=3)
        assert services.count("embed") <= ATTEMPTS + 1
        assert "cohere is down" in done.stderr
        assert rows("SELECT count(*) FROM summary") == [(120,)]
        assert rows("SELECT count(*) FROM failure WHERE kind = 'permanent'") == [(0,)]
        services.clear_faults()
        run_hfmap("sync", "--no-map", env=services.env)
        whole(services, rows, 120)


def test_a_hub_that_is_down_while_cards_are_fetched(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(150)) as services:
        services.hub.faults.set(rate_5xx=1.0, kinds=("card", "redirect"))
        done = run_hfmap("sync", "--no-map", env=services.env, code=3)
        assert services.count("redirect", "card") <= 2 * 8 + 8
        assert "the Hub is down" in done.stderr
        assert rows("SELECT count(*) FROM failure WHERE kind = 'permanent'") == [(0,)]
        services.clear_faults()
        run_hfmap("sync", "--no-map", env=services.env)
        whole(services, rows, 150)


def test_no_library_speaks_for_itself(run_hfmap: Run) -> None:
    """What is tried again is told as an event, or counted; stderr is for hfmap's own words."""
    with Services(generated_cards(3)) as services:
        services.hub.faults.next("503", of="list", retry_after=0)
        services.hub.faults.next("500", of="card")
        done = run_hfmap("sync", "--no-map", "--json", env=services.env)
        assert done.stderr == ""
        retried = [line for line in map(json.loads, done.stdout.splitlines()) if line["event"] == "call_retried"]
        assert [line["stage"] for line in retried] == ["list", "card"]
        assert retried[0]["reason"] == "the Hub answered HTTP 503"
        services.hub.faults.next("429", of="list", retry_after=0)
        done = run_hfmap("sync", "--no-map", "--quiet", env=services.env)
        assert (done.stdout, done.stderr) == ("", "")


def test_money_gone(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(60)) as services:
        services.anthropic.faults.set(no_credit=True)
        services.cohere.faults.set(no_credit=True)
        done = run_hfmap("sync", "--no-map", env=services.env, code=5)
        assert "no credit left" in done.stderr
        assert services.count("extract", "summarize") <= 12
        assert services.count("embed") == 1
        assert rows("SELECT count(*) FROM failure") == [(0,)]
        assert rows("SELECT DISTINCT outcome FROM call") == [("quota",)]
        services.clear_faults()
        run_hfmap("sync", "--no-map", env=services.env)
        whole(services, rows, 60)


def test_a_hub_token_that_is_refused_in_mid_run(run_hfmap: Run, rows: Rows) -> None:
    """Refusals of the token are not the state of the cards: taken for gated, they would be left alone for good."""
    with Services(generated_cards(60), token="hf_token_of_a_test", latency_scale=0.02) as services:
        services.hub.faults.next("401", 1000, of="redirect", matches=lambda _kind, _key: services.count("card") >= 20)
        done = run_hfmap("sync", "--no-map", env=services.env, code=5)
        assert "refuses the token in HF_TOKEN" in done.stderr
        assert services.count("card", "redirect") <= 2 * (20 + 8) + 8
        kept: dict[str, int] = dict(rows("SELECT card_status, count(*) FROM dataset GROUP BY 1"))
        assert set(kept) == {"ok", "pending"}
        assert rows("SELECT count(*) FROM todo") == rows("SELECT count(*) FROM failure") == [(0,)]
        services.clear_faults()
        run_hfmap("sync", "--no-map", env=services.env)
        whole(services, rows, 60)


def test_a_wait_of_hours_is_not_waited_for(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(30)) as services:
        later = format_datetime(datetime.now(UTC) + timedelta(hours=6), usegmt=True)
        services.anthropic.faults.set(down="429", retry_after=later)
        services.cohere.faults.set(down="429", retry_after=86_400)
        done = run_hfmap("sync", "--no-map", env=services.env, code=3)
        assert "anthropic asks to be left alone for 360 minutes" in done.stderr
        assert "cohere asks to be left alone for 1,440 minutes" in done.stderr
        assert services.count("extract", "summarize") <= 12
        assert rows("SELECT count(*) FROM failure") == [(0,)]


def test_the_hub_s_quota_is_waited_for(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(60)) as services:
        services.hub.set_quota(resolvers=80, window=3)
        run_hfmap("sync", "--no-map", env=services.env, speed=1)
        whole(services, rows, 60)
        # Who is told when the window ends asks again when it has ended, and not before.
        assert services.stats()["statuses"]["hub 429"] <= 2 * 8


def test_a_text_that_a_service_refuses_fails_alone(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(100)) as services:
        victim = list(services.hub.datasets)[40]
        text = services.hub.datasets[victim].card
        assert text is not None

        def refuse(request_texts: list[str]) -> bool:
            return any(victim in one for one in request_texts)

        plain = services.cohere.route

        def route(request: Any) -> Any:
            found = plain(request)
            if request.path == "/v2/embed" and refuse(request.json()["texts"]):
                found.answer = lambda _fault: services.cohere.error(400, "invalid request: text", request)
            return found

        services.cohere.route = route  # type: ignore[method-assign]
        run_hfmap("sync", "--no-map", env=services.env, code=3)
        assert rows("SELECT d.repo_id, f.stage, f.attempts FROM failure f JOIN dataset d USING (dataset_id)") == [
            (victim, "embed", 1)
        ]
        assert rows("SELECT count(*) FROM embedding") == [(99,)]
        assert services.keys("embed", ok=True).total() == 99


def test_a_model_that_does_not_exist_is_asked_for_no_more_than_once_a_place(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(60)) as services:
        done = run_hfmap("sync", "--no-map", "--model", "claude-nothing-1", env=services.env, code=3)
        assert "no model 'claude-nothing-1'" in done.stderr
        assert "--model" in done.stderr
        assert services.count("extract", "summarize") <= 12
        assert rows("SELECT count(*) FROM failure") == [(0,)]


def test_a_listing_that_fails_is_tried_again(run_hfmap: Run, rows: Rows, tmp_path: Path) -> None:
    with Services(generated_cards(30), page_size=10) as services:
        services.hub.faults.next("html", of="list", matches=lambda _kind, key: "cursor" not in key)
        services.hub.faults.next("429", of="list", matches=lambda _kind, key: "cursor" in key)
        run_hfmap("sync", "--no-map", env=services.env)
        assert rows("SELECT count(*) FROM datasets WHERE on_map") == [(30,)]
        services.hub.faults.set(down="429", retry_after=7200)
        done = run_hfmap("sync", "--no-map", env=services.env, code=1)
        assert "left alone for 120 minutes" in done.stderr
        # A listing that failed takes nothing off the map.
        assert rows("SELECT count(*) FROM datasets WHERE on_map") == [(30,)]
