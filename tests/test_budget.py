"""Money: what a run may spend is never passed, whatever calls turn out to cost, and most of it is used."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.providers import price_of
from engine.usage import Usage
from tests.conftest import Run, sync_here
from tests.services import Services, generated_cards

Rows = Callable[..., list[tuple[Any, ...]]]
BUDGET = 0.25


def charged(services: Services) -> float:
    """What the services have counted, in US dollars."""
    usd = price_of("embed-v4.0").usd(Usage(input=services.cohere.tokens_billed))
    for model, spent in services.anthropic.spent.items():
        usd += price_of(model).usd(Usage(spent.input, spent.output, spent.cache_write, spent.cache_read))
    return usd


def dear_at_random(chance: random.Random) -> Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]:
    """Usage at random, up to all the tokens that an answer may have, and twice the input of English text."""

    def usage_of(asked: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
        sent = usage["input_tokens"] + usage["cache_creation_input_tokens"] + usage["cache_read_input_tokens"]
        tokens, cached = int(sent * chance.uniform(0.5, 2)), chance.random()
        return {
            **usage,
            "input_tokens": int(tokens * (1 - cached)),
            "cache_creation_input_tokens": int(tokens * cached),
            "cache_read_input_tokens": 0,
            "output_tokens": chance.randint(1, asked["max_tokens"]),
        }

    return usage_of


def run(services: Services, folder: Path, budget: float) -> str:
    """Sync on a budget, in this process; how the run ended."""
    folder.mkdir(exist_ok=True)
    result = sync_here(services, folder, budget=budget)
    assert result.exit_code == {"budget": 4, "done": 0}[result.outcome]
    return result.outcome


def test_a_budget_is_never_passed_in_20_runs(rows: Rows, tmp_path: Path) -> None:
    used, most_at_once = [], 0
    for seed in range(20):
        with Services(generated_cards(40, seed=seed), jitter=0.9) as services:
            services.latency.update(extract=0.04, summarize=0.04)
            services.anthropic.usage_of = dear_at_random(random.Random(seed))
            folder = tmp_path / str(seed)
            assert run(services, folder, BUDGET) == "budget"
            spent = charged(services)
            assert services.peak("enrich") <= 12
            most_at_once = max(most_at_once, services.peak("enrich"))
        assert spent <= BUDGET
        assert rows("SELECT sum(usd) FROM call", db=folder / "hfmap.sqlite")[0][0] == pytest.approx(spent)
        used.append(spent / BUDGET)
    # A busy machine seldom has all twelve on their way; what counts is that the money was reserved for many at once.
    assert most_at_once > 2
    # A call is not begun while it might cost more than is left: at most the price of the dearest call stays unused.
    print(f"used: {min(used):.1%} to {max(used):.1%}, mean {sum(used) / len(used):.1%}")
    assert min(used) >= 0.85
    assert sum(used) / len(used) >= 0.92


def test_a_budget_is_kept_while_calls_break_off(tmp_path: Path) -> None:
    """Who breaks a connection may have been paid: the double counts such calls, and so must the budget."""
    for seed in range(3):
        with Services(generated_cards(60, seed=seed), latency_scale=0.01) as services:
            services.anthropic.usage_of = dear_at_random(random.Random(seed))
            services.anthropic.faults.set(rate_reset=0.15, rate_429=0.1, retry_after=0.01, seed=seed)
            assert run(services, tmp_path / str(seed), BUDGET) == "budget"
            assert services.stats()["faults"]["anthropic reset"] > 0
            assert 0.3 * BUDGET < charged(services) <= BUDGET


def test_the_next_run_goes_on_where_the_money_ended(rows: Rows, tmp_path: Path) -> None:
    with Services(generated_cards(60)) as services:
        outcomes = list[str]()
        for _ in range(20):
            before = charged(services)
            outcomes.append(run(services, tmp_path, 0.1))
            assert charged(services) - before <= 0.1
            if outcomes[-1] == "done":
                break
        assert outcomes[0] == "budget"
        assert outcomes[-1] == "done"
        assert services.count("extract") == services.count("summarize") == 60
        paid = charged(services)
        # What is in the database costs nothing, on any budget.
        assert run(services, tmp_path, 0) == "done"
        assert charged(services) == paid
    assert rows("SELECT count(*) FROM todo") == [(0,)]
    assert {row[0] for row in rows("SELECT DISTINCT outcome FROM run")} == {"budget", "done"}


def test_a_budget_of_nothing(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(15)) as services:
        done = run_hfmap("sync", "--no-map", "--budget", "0", env=services.env, code=4)
        assert services.count("embed", "extract", "summarize") == 0
        assert rows("SELECT count(*) FROM card") == [(15,)]
        assert rows("SELECT count(*) FROM call") == rows("SELECT count(*) FROM failure") == [(0,)]
        assert "--budget" in done.stderr


def test_local_providers_need_no_money(run_hfmap: Run, rows: Rows) -> None:
    with Services(generated_cards(10)) as services:
        env = {name: value for name, value in services.env.items() if not name.endswith("_KEY")}
        run_hfmap("sync", "--no-map", "--budget", "0", env=env)
    assert rows("SELECT count(*) FROM datasets WHERE summary IS NOT NULL") == [(10,)]
