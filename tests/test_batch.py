"""Runs with --batch over real sockets: what is sent, taken and paid once, also by runs that are killed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.providers import PROVIDERS, price_of
from engine.providers.anthropic import AnthropicBatches, AnthropicCompleter
from engine.providers.base import Prompt
from engine.usage import Usage
from tests.conftest import Run, clean_environment, sync_here
from tests.services import Services, generated_cards
from tests.zygote import Forked, Zygote

EXTRACTION_MODEL = PROVIDERS["anthropic"].extraction_model
Rows = Callable[..., list[tuple[Any, ...]]]

BATCH = ("sync", "--no-map", "--batch")


Start = Callable[..., AbstractContextManager[Forked]]


@pytest.fixture
def started(zygote: Zygote, tmp_path: Path) -> Start:
    """hfmap as a process of its own, which the test stops; `hfmap.log` has what it says."""

    @contextmanager
    def start(services: Services, *arguments: str) -> Iterator[Forked]:
        process = zygote.start(tmp_path, clean_environment(**services.env), *arguments)
        try:
            yield process
        finally:
            process.kill()

    return start


def created(services: Services) -> int:
    """Batches that the service has been sent."""
    return sum(record.key == "create" for record in services.of("batch"))


def came_to(requests: int, services: Services) -> bool:
    """Whether the services have been asked so often."""
    return services.count() >= requests


def both_looked_at(services: Services) -> bool:
    """Whether the run has asked how its two batches are: it has recorded them."""
    return len({record.key for record in services.of("batch", ok=True) if record.key.startswith("msgbatch")}) == 2


def assert_all_once(services: Services, rows: Rows, cards: int) -> None:
    """Every card was answered once in a batch, stored once, and stands in the ledger with the tokens it took."""
    asked = services.anthropic.batches.calls
    assert Counter(kind for kind, _ in asked) == {"extract": cards, "summarize": cards}
    assert set(asked.values()) == {1}
    assert rows("SELECT count(*) FROM todo") == [(0,)]
    assert rows("SELECT count(*) FROM datasets WHERE summary IS NOT NULL AND subject_domain IS NOT NULL") == [(cards,)]
    assert_ledger(services, rows)
    assert rows("SELECT count(*) FROM batch WHERE state IN ('intended', 'submitted')") == [(0,)]
    assert rows("SELECT count(*) FROM batch_request WHERE outcome IS NULL") == [(0,)]
    assert rows("SELECT max(n) FROM (SELECT count(*) AS n FROM batch_request WHERE call_id > 0 GROUP BY call_id)") == [
        (1,)
    ]


def assert_ledger(services: Services, rows: Rows) -> None:
    """The ledger has every token that the model's double has counted."""
    spent = services.anthropic.spent[EXTRACTION_MODEL]
    assert rows(
        "SELECT sum(input_tokens), sum(output_tokens), sum(cache_write_tokens), sum(cache_read_tokens) FROM call "
        "WHERE provider = 'anthropic'"
    ) == [(spent.input, spent.output, spent.cache_write, spent.cache_read)]


def test_a_run_in_batches_costs_half(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(30, seed=8)) as services:
        run_hfmap(*BATCH, env=services.env)
        assert services.count("extract", "summarize") == 0
        assert created(services) == 2
        assert_all_once(services, rows, 30)
        spent = services.anthropic.spent[EXTRACTION_MODEL]
        used = Usage(spent.input, spent.output, spent.cache_write, spent.cache_read)
        [(usd,)] = rows("SELECT sum(usd) FROM call WHERE provider = 'anthropic'")
        assert usd == pytest.approx(price_of(EXTRACTION_MODEL).usd(used) / 2)
        services.reset_log()
        run_hfmap(*BATCH, env=services.env)
        assert services.count("anthropic") == 0
        # Asked in batches or one by one, a result is the same.
        run_hfmap("sync", "--no-map", env=services.env)
        assert services.count("anthropic") == 0


def test_what_a_batch_leaves_unanswered_is_asked_directly(run_hfmap: Run, rows: Rows) -> None:
    ends: dict[str, Any] = {"0": "expired", "1": "errored", "2": "canceled"}
    with Services(generated_cards(24, seed=9)) as services:
        services.anthropic.batches.outcome = lambda name, _asked: ends.get(name.rpartition("-")[2])
        run_hfmap(*BATCH, env=services.env)
        assert (services.count("extract"), services.count("summarize")) == (3, 3)
        assert set(services.keys("extract").values()) == {1}
        assert_ledger(services, rows)
    assert rows("SELECT count(*) FROM todo") == [(0,)]
    assert dict(rows("SELECT outcome, count(*) FROM batch_request GROUP BY 1")) == {
        "stored": 42, "expired": 2, "errored": 2, "canceled": 2
    }  # fmt: skip
    # A direct answer costs the whole price, one in a batch the half.
    price = price_of(EXTRACTION_MODEL)
    for batched, usd, *tokens in rows(
        "SELECT b.call_id IS NOT NULL, usd, input_tokens, output_tokens, cache_write_tokens, cache_read_tokens "
        "FROM call c LEFT JOIN batch_request b USING (call_id) WHERE provider = 'anthropic'"
    ):
        assert usd == pytest.approx(price.usd(Usage(*tokens), batched=bool(batched)))


def test_answers_of_a_batch_are_validated_and_repaired_like_any_other(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(40, seed=10)) as services:
        services.anthropic.malform_next(*(5 * ("empty", "not_json", "wrong_slug", "truncated")))
        run_hfmap(*BATCH, env=services.env)
        # Whatever was asked directly was asked to mend an answer, or anew where the answer was empty.
        turns = Counter(record.turn for record in services.of("extract", "summarize"))
        assert set(turns) == {1, 2}
        assert turns[1] == 5
        assert_all_once(services, rows, 40)


def test_refusals_are_recorded_and_paid(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(12, seed=11)) as services:
        services.anthropic.rate_malformed = 0.3
        services.anthropic.malformations = ("refusal",)
        run_hfmap(*BATCH, env=services.env, code=3)
        refused = rows("SELECT count(*) FROM failure WHERE kind = 'permanent'")[0][0]
        assert refused > 0
        assert rows("SELECT count(*) FROM call WHERE outcome = 'refused'") == [(refused,)]
        assert rows("SELECT count(*) FROM result r JOIN spec USING (spec_id) WHERE stage <> 'embed'") == [
            (24 - refused,)
        ]
        assert_ledger(services, rows)
        services.reset_log()
        run_hfmap(*BATCH, env=services.env)
        assert services.count("anthropic") == 0


@pytest.mark.parametrize("again", [BATCH, ("sync", "--no-map")], ids=["batch", "direct"])
def test_a_run_killed_while_it_waits(run_hfmap: Run, rows: Rows, started: Start, again: tuple[str, ...]) -> None:
    with Services(generated_cards(20, seed=12)) as services:
        services.anthropic.batches.seconds = None
        with started(services, *BATCH) as process:
            services.wait_for(both_looked_at)
            process.kill()
        assert rows("SELECT count(*), sum(outcome IS NULL) FROM batch_request") == [(40, 40)]
        services.anthropic.batches.finish()
        run_hfmap(*again, env=services.env)
        assert created(services) == 2
        assert services.count("extract", "summarize") == 0
        assert_all_once(services, rows, 20)


def test_a_run_killed_while_it_takes_answers(run_hfmap: Run, rows: Rows, started: Start) -> None:
    with Services(generated_cards(100, seed=13)) as services:
        services.anthropic.rate_malformed = 0.8
        services.anthropic.malformations = ("not_json",)
        services.anthropic.faults.sticky = True
        # Answers that must be mended wait for good; the others are stored until all twelve places are taken, and more wait for one.
        with services.hold("extract", "summarize"), started(services, *BATCH) as process:
            services.wait_for(lambda s: s.now("enrich") == 12)
            process.kill()
        held = services.count("extract", "summarize")
        [(stored, charged, every)] = rows("SELECT sum(outcome = 'stored'), count(call_id), count(*) FROM batch_request")
        assert 0 < stored < charged < every
        services.anthropic.rate_malformed = 0.0
        run_hfmap(*BATCH, env=services.env)
        assert created(services) == 2
        asked = services.anthropic.batches.calls
        assert set(asked.values()) == {1}
        assert rows("SELECT count(*) FROM todo") == [(0,)]
        # Each answer of a batch stands in the ledger once; what the killed run asked directly it never saw answered.
        assert rows("SELECT count(*), count(DISTINCT call_id) FROM batch_request") == [(200, 200)]
        direct = sum(record.ok for record in services.of("extract", "summarize")[held:])
        assert rows("SELECT count(*) FROM call WHERE provider = 'anthropic' AND outcome = 'done'") == [(200 + direct,)]


def test_a_run_killed_again_and_again(run_hfmap: Run, rows: Rows, started: Start) -> None:
    ends: dict[str, Any] = {"3": "expired", "5": "errored", "7": "canceled"}
    with Services(generated_cards(20, seed=27)) as services:
        services.anthropic.batches.outcome = lambda name, _asked: ends.get(name.rpartition("-")[2])
        services.anthropic.rate_malformed = 0.2
        # Among the cards, about when the batches are sent, and while answers are taken.
        for upto in (30, 14, 5):
            services.reset_log()
            with started(services, *BATCH):
                services.wait_for(partial(came_to, upto))
        run_hfmap(*BATCH, env=services.env, code=None)
        asked = services.anthropic.batches.calls
    # A batch that was recorded, and not sent before its run was killed, is none: its questions are asked one by one.
    assert len(services.anthropic.batches.by_id) <= 2
    assert set(asked.values()) <= {1}
    assert rows("SELECT count(*) FROM batch_request WHERE outcome IS NULL") == [(0,)]
    done = "SELECT count(*) FROM result JOIN spec USING (spec_id) WHERE stage <> 'embed'"
    given_up = "SELECT count(*) FROM failure WHERE stage IN ('extract', 'summarize')"
    assert rows(f"SELECT ({done}) + ({given_up})") == [(40,)]
    # Every answer of the service stands in the ledger once, and no card has two results.
    assert rows("SELECT count(call_id), count(DISTINCT call_id) FROM batch_request") == [(len(asked), len(asked))]
    assert rows("SELECT count(*) FROM call JOIN batch_request USING (call_id)") == [(len(asked),)]
    assert rows("SELECT 1 FROM result GROUP BY spec_id, input_hash HAVING count(*) > 1") == []


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "in progress"])
def test_a_run_killed_between_sending_and_recording(run_hfmap: Run, rows: Rows, started: Start, ended: bool) -> None:
    with Services(generated_cards(20, seed=14)) as services:
        batches = services.anthropic.batches
        batches.seconds = None
        # The service takes both batches, and its answers do not arrive.
        services.anthropic.faults.next("hang", 2, of="batch", key="create")
        with started(services, *BATCH) as process:
            services.wait_for(lambda _s: len(batches.by_id) == 2)
            process.kill()
        assert rows("SELECT state, count(*) FROM batch GROUP BY 1") == [("intended", 2)]
        batches.seconds = 0.0 if ended else 3.0
        for batch in batches.by_id.values():
            batch.ends_at = time.monotonic() + batches.seconds
        run_hfmap(*BATCH, env=services.env)
        assert created(services) == 2
        assert services.count("extract", "summarize") == 0
        assert_all_once(services, rows, 20)


def test_a_batch_whose_sending_breaks_off_is_not_sent_twice(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(16, seed=15)) as services:
        services.anthropic.faults.next("reset", 2, of="batch", key="create")
        run_hfmap(*BATCH, env=services.env)
        assert created(services) == 2
        assert_all_once(services, rows, 16)


def test_a_batch_that_the_service_did_not_take_is_sent_again(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(8, seed=16)) as services:
        services.anthropic.faults.next("503", 1, of="batch", key="create")
        run_hfmap(*BATCH, env=services.env)
        assert created(services) == 3
        assert len(services.anthropic.batches.by_id) == 2
        assert_all_once(services, rows, 8)


def test_rate_limits_and_broken_results_are_put_up_with(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(16, seed=17)) as services:
        services.anthropic.faults.next("429", 2, of="batch", key="create", retry_after=0.2)
        services.anthropic.faults.next("cut", 3, matches=lambda kind, key: kind == "batch" and key.startswith("msg"))
        run_hfmap(*BATCH, env=services.env)
        assert len(services.anthropic.batches.by_id) == 2
        assert_all_once(services, rows, 16)


def test_a_batch_that_is_gone_is_asked_again(run_hfmap: Run, rows: Rows, started: Start) -> None:
    with Services(generated_cards(10, seed=18)) as services:
        services.anthropic.batches.seconds = None
        with started(services, *BATCH) as process:
            services.wait_for(both_looked_at)
            process.kill()
        services.anthropic.batches.by_id.clear()
        done = run_hfmap("sync", "--no-map", env=services.env)
        assert "any more" in done.stderr
        assert (services.count("extract"), services.count("summarize")) == (10, 10)
    assert rows("SELECT count(*) FROM todo") == [(0,)]
    assert rows("SELECT state, count(*) FROM batch GROUP BY 1") == [("lost", 2)]


def test_cards_that_change_while_a_batch_is_out(run_hfmap: Run, rows: Rows, started: Start) -> None:
    with Services(generated_cards(10, seed=19)) as services:
        services.anthropic.batches.seconds = None
        with started(services, *BATCH) as process:
            services.wait_for(both_looked_at)
            process.kill()
        changed = next(iter(services.hub.datasets))
        services.hub.update(changed, card=b"A card about newly recorded bird songs in Norwegian forests. " * 10)
        with started(services, *BATCH) as process:
            # The changed card has been sent, so it is stored; only now do the first answers come.
            services.wait_for(lambda s: len(s.anthropic.batches.by_id) == 4)
            services.anthropic.batches.finish()
            assert process.wait() == 0
        assert_ledger(services, rows)
    assert rows("SELECT count(*) FROM todo") == [(0,)]
    assert rows("SELECT count(*) FROM batch_request WHERE outcome = 'obsolete' AND call_id IS NOT NULL") == [(2,)]


def test_stopping_does_not_wait_for_a_batch(run_hfmap: Run, rows: Rows, tmp_path: Path, started: Start) -> None:
    with Services(generated_cards(10, seed=20)) as services:
        services.anthropic.batches.seconds = None
        with started(services, *BATCH) as process:
            services.wait_for(both_looked_at)
            os.kill(process.pid, signal.SIGINT)
            assert process.wait() == 130
        assert "Traceback" not in (tmp_path / "hfmap.log").read_text()
        services.anthropic.batches.finish()
        run_hfmap("sync", "--no-map", env=services.env)
        assert created(services) == 2
        assert_all_once(services, rows, 10)


def test_a_budget_is_kept_in_batches(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(30, seed=21)) as services:
        run_hfmap(*BATCH, "--budget", "0.0005", env=services.env, code=4)
        assert created(services) == 0
        # Room for the dearest that a part of the questions can cost: the others go into later batches.
        run_hfmap(*BATCH, "--budget", "0.30", env=services.env)
        assert created(services) > 2
        assert_all_once(services, rows, 30)
        assert rows("SELECT sum(usd) <= 0.30 FROM call") == [(1,)]


def test_batches_are_of_limited_size(rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.providers.anthropic.MOST_REQUESTS", 10)
    with Services(generated_cards(25, seed=22)) as services:
        sync_here(services, tmp_path, batch=True)
        sizes = sorted(len(record.items) for record in services.of("batch") if record.key == "create")
        assert sizes == [5, 5, 10, 10, 10, 10]
        assert_all_once(services, rows, 25)


def test_the_size_of_a_request_is_not_underrated() -> None:
    completer = AnthropicCompleter("k", base_url="http://127.0.0.1:9", model=EXTRACTION_MODEL, connections=1)
    batches = AnthropicBatches(completer)
    schema = {"type": "object", "properties": {f"field_{n}": {"enum": ["a-b", "c"]} for n in range(40)}}
    for text in ("plain " * 500, 'quotes " and\nlines\n' * 300, "日本語のカード" * 300, ""):
        prompt = Prompt("instructions " * 800, text, 500, schema)
        sent = json.dumps(
            {"custom_id": "hfmap-0123456789abcdef-99999", "params": completer.request(prompt)}, ensure_ascii=False
        )
        assert batches.size(prompt) >= len(sent.encode())


def test_batches_need_anthropic(run_hfmap: Run) -> None:
    done = run_hfmap(*BATCH, "--source", "sample", code=2)
    assert "--batch" in done.stderr
    assert "Anthropic" in done.stderr
