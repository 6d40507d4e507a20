"""A paid call's way into the ledger: every one, with tries, tokens and outcome, however it ends."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from engine.calls.budget import Budget
from engine.calls.caller import Caller
from engine.calls.context import RunContext
from engine.calls.service import Service, service_for
from engine.errors import (
    BudgetReachedError,
    KeyRefusedError,
    ProviderError,
    RefusedError,
    RejectedError,
    ServiceDownError,
    TransientError,
    UnansweredError,
)
from engine.events import Bus, CallFinished
from engine.providers import PROVIDERS
from engine.providers.anthropic import AnthropicCompleter
from engine.providers.prices import Price
from engine.providers.static import StaticEmbedder
from engine.store.connection import open_passes, prepare
from engine.store.runs import Ids, start_run
from engine.store.writer import open_writer
from engine.usage import Usage

pytestmark = pytest.mark.anyio
EXTRACTION_MODEL = PROVIDERS["anthropic"].extraction_model
PRICE = Price(input=1.0, output=10.0)
MOST = Usage(input=50_000, output=5_000)  # $0.10
USED = Usage(input=10_000, output=1_000)  # $0.02


def rows(db: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(db)) as conn:
        return conn.execute(
            "SELECT stage, items, input_tokens, output_tokens, round(usd, 6), retries, outcome FROM call ORDER BY call_id"
        ).fetchall()


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "hfmap.sqlite"
    prepare(path)
    return path


@asynccontextmanager
async def service_on(
    db: Path, limit: float | None = None, places: int = 12, events: list[CallFinished] | None = None
) -> AsyncIterator[Service]:
    bus = Bus(lambda event: events.append(event) if events is not None and isinstance(event, CallFinished) else None)
    with open_passes(db) as conn:
        run_id = start_run(conn, "sync", None, {})
    async with open_writer(db) as writer:
        caller = Caller("Service", at_once=anyio.CapacityLimiter(places), bus=bus, stage="extract")
        yield Service("service", "model", PRICE, Budget(limit), RunContext(run_id, Ids(0, 0, 0), writer, bus), caller)


def script(*outcomes: Exception | Usage) -> Callable[[], Any]:
    queue = list(outcomes)

    async def ask() -> tuple[str, Usage]:
        outcome = queue.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return "yes", outcome

    return ask


def soon(kind: type[TransientError] = TransientError, usage: Usage | None = None) -> TransientError:
    error = kind("HTTP 503", retry_after=0.001)
    error.usage = usage
    return error


async def test_a_good_call(db: Path) -> None:
    events: list[CallFinished] = []
    async with service_on(db, events=events) as service:
        assert await service.call("extract", 1, MOST, script(USED)) == ("yes", 1)
        assert service.budget.spent == pytest.approx(0.02)
    assert rows(db) == [("extract", 1, 10_000, 1_000, 0.02, 0, "done")]
    assert [(event.usd, event.outcome) for event in events] == [(0.02, "done")]


async def test_tries_that_cost_something_are_added_up(db: Path) -> None:
    async with service_on(db) as service:
        await service.call("embed", 96, MOST, script(soon(usage=USED), soon(), USED))
    assert rows(db) == [("embed", 96, 20_000, 2_000, 0.04, 2, "done")]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RejectedError("HTTP 400"), "rejected"),
        (RefusedError("declined", usage=USED), "refused"),
        (KeyRefusedError("no"), "keyrefused"),
        (ServiceDownError("no such model"), "servicedown"),
    ],
)
async def test_a_failed_call_has_its_row_too(db: Path, error: ProviderError, outcome: str) -> None:
    async with service_on(db) as service:
        with pytest.raises(type(error)):
            await service.call("summarize", 1, MOST, script(soon(), error))
    used = USED if error.usage else Usage()
    assert rows(db) == [("summarize", 1, used.input, used.output, 0.02 if error.usage else 0.0, 1, outcome)]


async def never() -> tuple[str, Usage]:
    await anyio.sleep_forever()
    raise AssertionError("forever is over")


async def test_a_call_that_was_cancelled_has_its_row_too(db: Path) -> None:
    async with service_on(db) as service:
        with anyio.move_on_after(0.02):
            await service.call("extract", 1, MOST, never)
    assert rows(db) == [("extract", 1, 0, 0, 0.0, 0, "interrupted")]


async def test_a_call_that_was_never_made_has_none(db: Path) -> None:
    async with service_on(db, limit=0.05) as service:
        with pytest.raises(BudgetReachedError):
            await service.call("extract", 1, MOST, script(USED))
    async with service_on(db) as service:
        assert service.caller is not None
        service.caller.breaker.failed(KeyRefusedError("no"))
        with pytest.raises(KeyRefusedError):
            await service.call("extract", 1, MOST, script(USED))
    assert rows(db) == []


async def test_each_try_is_reserved_anew_and_a_broken_one_may_have_been_paid(db: Path) -> None:
    async with service_on(db, limit=0.25) as service:
        # Two tries broke off at up to $0.10 each; a third one could lead past $0.25.
        with pytest.raises(BudgetReachedError, match="broke off"):
            await service.call("extract", 1, MOST, script(soon(UnansweredError), soon(UnansweredError), USED))
        assert service.budget.spent == 0
    assert rows(db) == [("extract", 1, 0, 0, 0.0, 1, "budgetreached")]


async def test_a_place_is_kept_until_the_answer_is_stored(db: Path) -> None:
    async with service_on(db, places=1) as service:
        async with service.keeping() as keeping:
            await keeping.call("extract", 1, MOST, script(USED))
            with anyio.move_on_after(0.02) as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(service.call, "extract", 1, MOST, script(USED))
            assert scope.cancelled_caught, "the only place is taken"
            # Its holder may call again, and gives it up where that fails.
            await keeping.call("extract", 1, MOST, script(USED))
            with pytest.raises(ProviderError):
                await keeping.call("extract", 1, MOST, script(RejectedError("no")))
            await service.call("extract", 1, MOST, script(USED))
        with anyio.fail_after(1):
            await service.call("extract", 1, MOST, script(USED))


async def test_who_asks_again_keeps_its_place(db: Path) -> None:
    """Its first answer is paid for and not stored yet: it does not queue behind all others."""
    order: list[str] = []
    async with service_on(db, places=1) as service, anyio.create_task_group() as group:

        async def other() -> None:
            await service.call("extract", 1, MOST, script(USED))
            order.append("other")

        async with service.keeping() as keeping:
            await keeping.call("extract", 1, MOST, script(USED))
            group.start_soon(other)
            await anyio.wait_all_tasks_blocked()
            await keeping.call("extract", 1, MOST, script(USED))
            order.append("again")
    assert order == ["again", "other"]


async def test_local_providers_stand_in_no_ledger(db: Path) -> None:
    async with service_on(db) as paid:
        local = Service("local", "rules", PRICE, paid.budget, paid.context, None)
        async with local.keeping() as service:
            assert await service.call("extract", 1, Usage(), script(USED)) == ("yes", None)
    assert rows(db) == []


async def test_a_service_is_made_of_what_its_provider_says_of_itself(db: Path) -> None:
    local = StaticEmbedder()
    paid = AnthropicCompleter("sk", base_url="http://127.0.0.1:9", model=EXTRACTION_MODEL, connections=1)
    async with service_on(db) as other:
        made = [service_for(one, other.budget, other.context, "extract", at_once=12) for one in (None, local, paid)]
    assert [(service.provider, service.model) for service in made] == [
        ("local", "rules"), (local.provider, local.model), ("anthropic", EXTRACTION_MODEL),
    ]  # fmt: skip
    assert [service.price.usd(MOST) > 0 for service in made] == [False, False, True]
    assert [service.caller is not None for service in made] == [False, False, True]
    await paid.aclose()
