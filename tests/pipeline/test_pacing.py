"""Pacing against a token bucket over real sockets: the limit is used, and few calls are refused."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial

import anyio
import pytest

from engine.calls.caller import Caller
from engine.calls.pacing import FIRST, OVERLOAD, Pacer
from engine.errors import TransientError
from engine.events import Bus, CallRetried, WaitingChanged
from engine.providers.anthropic import AnthropicCompleter
from engine.providers.base import Prompt
from tests.services import Services

MODEL = "claude-haiku-4-5-20251001"


async def ask_many(
    services: Services, calls: int, *, tasks: int = 24
) -> tuple[float, list[WaitingChanged | CallRetried]]:
    """Make calls as the two model stages do: 24 tasks, 12 places. Return seconds and events."""
    events: list[WaitingChanged | CallRetried] = []
    bus = Bus(lambda event: events.append(event) if isinstance(event, WaitingChanged | CallRetried) else None)
    env = services.env
    completer = AnthropicCompleter(
        env["ANTHROPIC_API_KEY"], base_url=env["ANTHROPIC_BASE_URL"], model=MODEL, connections=12
    )
    caller = Caller("Anthropic", at_once=anyio.CapacityLimiter(12), bus=bus, stage="extract")
    left = list(range(calls))

    async def work() -> None:
        while left:
            prompt = Prompt("Say yes.", f"Call {left.pop()}", 20)
            await caller.call("extract", partial(completer.complete, prompt))

    started = time.monotonic()
    async with anyio.create_task_group() as group:
        for _ in range(tasks):
            group.start_soon(work)
    seconds = time.monotonic() - started
    await completer.aclose()
    return seconds, events


def statuses(services: Services) -> Counter[int | None]:
    return Counter(record.status for record in services.requests)


@pytest.mark.anyio
@pytest.mark.parametrize("retry_after", [None, 1])
async def test_a_limit_is_used_without_a_herd(retry_after: float | None) -> None:
    calls, limit = 250, 25
    with Services() as services:
        services.latency["message"] = 0.1
        services.anthropic.faults.set(requests_per_second=limit, burst=3, retry_after=retry_after)
        seconds, events = await ask_many(services, calls)
        found = statuses(services)
    assert found[200] == calls
    # A herd took four times as long as the limit allows; a busy machine does not.
    assert seconds <= 2.5 * calls / limit
    assert found[429] <= 0.2 * calls
    waiting = [event.waiting for event in events if isinstance(event, WaitingChanged)]
    assert max(waiting) >= 5
    assert waiting[-1] == 0


@pytest.mark.anyio
async def test_refusals_that_have_nothing_to_do_with_the_pace_do_not_slow_it_down() -> None:
    calls = 300
    with Services() as services:
        services.anthropic.faults.set(rate_529=0.2)
        _, _events = await ask_many(services, calls)
        found = statuses(services)
        arrivals = sorted(record.at for record in services.requests)
    assert found[200] == calls
    assert found[529] <= 0.35 * calls
    # Nine tenths of all calls start at far more than the pace that a few refusals would set. The rest are retries.
    assert arrivals[int(0.9 * len(arrivals))] - arrivals[0] < 0.9 * len(arrivals) / FIRST / 2


@pytest.mark.anyio
async def test_nothing_is_paced_until_something_is_refused() -> None:
    with Services() as services:
        _, events = await ask_many(services, 60)
        assert statuses(services) == {200: 60}
    assert events == []


@pytest.mark.anyio
async def test_a_flood_of_refusals_sets_the_pace_at_once() -> None:
    pacer = Pacer()
    await pacer.wait()
    started = anyio.current_time()
    assert pacer.rate is None
    for _ in range(OVERLOAD):
        pacer.refused(started)
    assert pacer.rate == FIRST
    # Calls that were under way before tell nothing of the new pace.
    for _ in range(3 * OVERLOAD):
        pacer.refused(started)
    assert pacer.rate == FIRST
    for _ in range(OVERLOAD):
        pacer.refused(anyio.current_time())
    assert pacer.rate == FIRST / 2


@pytest.mark.anyio
async def test_first_come_first_served_and_a_cancelled_call_gives_its_turn_away() -> None:
    seen: list[int] = []
    changes: list[int] = []
    pacer = Pacer(changes.append)
    await pacer.wait()
    for _ in range(OVERLOAD):
        pacer.refused(anyio.current_time())
    assert pacer.rate is not None
    started = anyio.current_time()

    async def one(number: int) -> None:
        await pacer.wait()
        seen.append(number)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(one, number)
            await anyio.lowlevel.checkpoint()
        with anyio.move_on_after(0.01):
            await pacer.wait()
        group.start_soon(one, 3)
    assert seen == [0, 1, 2, 3]
    assert anyio.current_time() - started >= 3 / FIRST
    assert changes[-1] == 0


@pytest.mark.anyio
async def test_a_lost_call_names_its_attempts() -> None:
    with Services() as services:
        services.anthropic.faults.next("503", 8, retry_after=0.01)
        completer = AnthropicCompleter(
            services.env["ANTHROPIC_API_KEY"], base_url=services.env["ANTHROPIC_BASE_URL"], model=MODEL, connections=1
        )
        caller = Caller("Anthropic", at_once=anyio.CapacityLimiter(12), bus=Bus(), stage="extract")
        with pytest.raises(TransientError) as caught:
            await caller.call("extract", lambda: completer.complete(Prompt("", "x", 5)))
        await completer.aclose()
    assert caught.value.attempts == 8
