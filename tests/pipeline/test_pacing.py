"""Pacing against a token bucket, in virtual time and over real sockets: the limit is used, and few calls are refused."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise

import anyio
import pytest

from engine.calls.caller import Caller
from engine.calls.pacing import FIRST, OVERLOAD, SLOWEST, Pacer
from engine.errors import TransientError
from engine.events import Bus, CallRetried, WaitingChanged
from engine.providers.anthropic import AnthropicCompleter
from engine.providers.base import Prompt
from tests import virtual
from tests.services import Services

MODEL = "claude-haiku-4-5-20251001"


class Gate:
    """A service that lets so many calls a second through, and refuses the others; on the event loop's own time."""

    def __init__(self, per_second: float, burst: float, *, retry_after: float | None) -> None:
        self.answered = self.refused = 0
        self._per_second, self._burst, self._retry_after = per_second, burst, retry_after
        self._tokens, self._at = burst, anyio.current_time()

    async def ask(self) -> None:
        """Answer after a tenth of a second.

        Raises:
            TransientError: too many calls.
        """
        now = anyio.current_time()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            self.refused += 1
            raise TransientError("too many", limited=True, retry_after=self._retry_after)
        self._tokens -= 1
        await anyio.sleep(0.1)
        self.answered += 1


async def ask_many(
    ask: Callable[[], Awaitable[object]], calls: int, *, tasks: int = 24
) -> list[WaitingChanged | CallRetried]:
    """Make calls as the two model stages do: 24 tasks, 12 places. Return what was told."""
    events: list[WaitingChanged | CallRetried] = []
    bus = Bus(lambda event: events.append(event) if isinstance(event, WaitingChanged | CallRetried) else None)
    caller = Caller("Anthropic", at_once=anyio.CapacityLimiter(12), bus=bus, stage="extract")
    left = list(range(calls))

    async def work() -> None:
        while left:
            left.pop()
            await caller.call("extract", ask)

    async with anyio.create_task_group() as group:
        for _ in range(tasks):
            group.start_soon(work)
    return events


@asynccontextmanager
async def asking(services: Services) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """A question to the model's double, over a real socket."""
    env = services.env
    completer = AnthropicCompleter(
        env["ANTHROPIC_API_KEY"], base_url=env["ANTHROPIC_BASE_URL"], model=MODEL, connections=12
    )
    yield lambda: completer.complete(Prompt("Say yes.", "A call", 20))
    await completer.aclose()


def statuses(services: Services) -> Counter[int | None]:
    return Counter(record.status for record in services.requests)


@pytest.mark.parametrize("retry_after", [None, 1])
@pytest.mark.parametrize("seed", range(4))
def test_a_limit_is_used_without_a_herd(retry_after: float | None, seed: int) -> None:
    calls, limit = 250, 25
    random.seed(seed)  # of back-off

    async def measured() -> tuple[float, Gate, list[WaitingChanged | CallRetried]]:
        gate, started = Gate(limit, 3, retry_after=retry_after), anyio.current_time()
        events = await ask_many(gate.ask, calls)
        return anyio.current_time() - started, gate, events

    seconds, gate, events = virtual.run(measured)
    assert gate.answered == calls
    # A herd took four times as long as the limit allows.
    assert seconds <= 2.0 * calls / limit
    assert gate.refused <= 0.2 * calls
    waiting = [event.waiting for event in events if isinstance(event, WaitingChanged)]
    assert max(waiting) >= 5
    assert waiting[-1] == 0


@pytest.mark.anyio
async def test_a_real_limit_is_kept_to() -> None:
    with Services() as services:
        services.anthropic.faults.set(requests_per_second=50, burst=3, retry_after=0.1)
        async with asking(services) as ask:
            events = await ask_many(ask, 60)
        found = statuses(services)
    assert found[200] == 60
    assert sum(isinstance(event, CallRetried) for event in events) == found[429] > 0


@pytest.mark.parametrize("seed", range(4))
def test_refusals_that_have_nothing_to_do_with_the_pace_do_not_slow_it_down(seed: int) -> None:
    calls, chance = 300, random.Random(seed)
    random.seed(seed)
    arrivals: list[float] = []
    refused = 0

    async def ask() -> None:
        nonlocal refused
        arrivals.append(anyio.current_time())
        await anyio.sleep(0.01)
        if chance.random() < 0.2:
            refused += 1
            raise TransientError("overloaded", limited=True)

    virtual.run(partial(ask_many, ask, calls))
    assert len(arrivals) - refused == calls
    # Nine tenths of all calls start at far more than the pace that a few refusals would set. The rest are retries.
    assert arrivals[int(0.9 * len(arrivals))] - arrivals[0] < 0.9 * len(arrivals) / FIRST / 2


@pytest.mark.anyio
async def test_nothing_is_paced_until_something_is_refused() -> None:
    with Services() as services:
        async with asking(services) as ask:
            events = await ask_many(ask, 60)
        assert statuses(services) == {200: 60}
    assert events == []


@pytest.mark.anyio
async def test_a_flood_of_refusals_sets_the_pace_at_once() -> None:
    pacer = Pacer()
    await pacer.wait()
    started = anyio.current_time()
    assert not pacer.rate
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


def test_calls_start_one_pace_apart_and_a_change_holds_for_all_who_wait() -> None:
    started: list[float] = []

    async def queue() -> None:
        pacer = Pacer()
        await pacer.wait()
        for _ in range(OVERLOAD):
            pacer.refused(anyio.current_time())

        async def one() -> None:
            await pacer.wait()
            started.append(anyio.current_time())

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(one)
            await anyio.sleep(3.5 / FIRST)
            for _ in range(OVERLOAD):
                pacer.refused(anyio.current_time())

    virtual.run(queue)
    apart = [later - earlier for earlier, later in pairwise(started)]
    assert apart == pytest.approx([1 / FIRST] * 3 + [2 / FIRST] * 4)


@pytest.mark.anyio
async def test_the_pace_does_not_fall_below_one_call_in_ten_seconds() -> None:
    pacer = Pacer()
    await pacer.wait()
    for _ in range(40 * OVERLOAD):
        pacer.refused(anyio.current_time())
    assert pacer.rate == SLOWEST
