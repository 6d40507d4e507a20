"""The clock that waits between calls go by: it can be turned, and what hangs on the order of things stays as it is."""

from __future__ import annotations

import anyio
import pytest

from engine.calls import clock
from engine.calls.caller import Caller
from engine.calls.pacing import FIRST, OVERLOAD, Pacer
from engine.errors import TransientError
from engine.events import Bus, CallRetried, Event

pytestmark = pytest.mark.anyio


async def test_waits_pass_as_many_times_as_fast_as_the_clock_is_turned() -> None:
    started = anyio.current_time()
    with clock.turned(1_000):
        began = clock.now()
        await clock.sleep(50)
        assert clock.now() - began >= 50
        with clock.move_on_after(20) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
    # 70 seconds by the clock; a machine however busy does not take as many of its own.
    assert anyio.current_time() - started < 35
    before = clock.now()
    assert anyio.current_time() - before < 1


async def test_a_sleep_ends_with_what_it_waits_for() -> None:
    event = anyio.Event()
    event.set()
    with anyio.fail_after(5):
        await clock.sleep(3_600, unless=event)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
async def test_a_clock_that_stands_still_or_has_no_time_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="clock"):
        clock.turn(speed)
    assert clock.now() == pytest.approx(anyio.current_time(), abs=5)


async def test_events_name_the_seconds_that_were_to_be_waited() -> None:
    events: list[Event] = []
    caller = Caller("Service", at_once=anyio.CapacityLimiter(1), bus=Bus(events.append), stage="card")
    answers = [TransientError("HTTP 503", retry_after=120.0)]

    async def ask() -> str:
        if answers:
            raise answers.pop()
        return "yes"

    with clock.turned(1_000), anyio.fail_after(60):
        assert await caller.call("card", ask) == ("yes", 2)
    [retried] = events
    assert isinstance(retried, CallRetried)
    assert retried.wait >= 120


async def test_a_pace_is_kept_on_the_turned_clock() -> None:
    pacer = Pacer()
    with clock.turned(100):
        await pacer.wait()
        for _ in range(OVERLOAD):
            pacer.refused(clock.now())
        assert pacer.rate == FIRST
        started = clock.now()
        for _ in range(11):
            await pacer.wait()
        assert clock.now() - started >= 10 / FIRST
