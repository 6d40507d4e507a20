"""Retries and the breaker, without a network: what is raised, how often, and after which waits."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest

from engine.calls import clock
from engine.calls.breaker import ATTEMPTS, BREAKER_FAILURES, LONGEST_RETRY_AFTER, PAUSES
from engine.calls.caller import MOST_ATTEMPTS, Caller
from engine.errors import (
    BadAnswerError,
    HfmapError,
    KeyRefusedError,
    ProviderError,
    QuotaError,
    RejectedError,
    ServiceDownError,
    TransientError,
)
from engine.events import Bus, CallRetried

pytestmark = pytest.mark.anyio


class Script:
    """Answers with what is queued: errors are raised. When the queue is empty, "yes"."""

    def __init__(self, *queue: Exception) -> None:
        self.queue = list(queue)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.queue:
            raise self.queue.pop(0)
        return "yes"


def caller_for(events: list[CallRetried] | None = None, places: int = 12) -> Caller:
    bus = Bus(lambda event: events.append(event) if events is not None and isinstance(event, CallRetried) else None)
    return Caller("Service", at_once=anyio.CapacityLimiter(places), bus=bus, stage="extract")


def soon(*, limited: bool = False, text: str = "HTTP 500") -> TransientError:
    return TransientError(text, retry_after=0.001, limited=limited)


async def test_transient_failures_are_tried_again_and_counted() -> None:
    events: list[CallRetried] = []
    ask = Script(soon(), soon(limited=True), soon())
    assert await caller_for(events).call("extract", ask) == ("yes", 4)
    assert [event.limited for event in events] == [False, True, False]
    assert all(event.wait >= 0.001 for event in events)


@pytest.mark.parametrize("error", [RejectedError("HTTP 400"), BadAnswerError("garbage")])
async def test_what_trying_again_cannot_mend_is_not_tried_again(error: ProviderError) -> None:
    ask = Script(error)
    with pytest.raises(type(error)):
        await caller_for().call("extract", ask)
    assert ask.calls == 1
    assert error.attempts == 1


@pytest.mark.usefixtures("no_pauses")
async def test_one_call_that_fails_for_good_is_not_a_service_that_is_down() -> None:
    for places in (1, 8, 12):
        caller = caller_for(places=places)
        ask = Script(*(soon() for _ in range(ATTEMPTS)))
        with pytest.raises(TransientError) as caught:
            await caller.call("extract", ask)
        assert caught.value.attempts == ATTEMPTS
        assert caller.breaker.fatal is None


@pytest.fixture
def no_pauses() -> Iterator[None]:
    """A test need not wait before each call to a service that seems to be down."""
    with clock.turned(1_000):
        yield


@pytest.mark.usefixtures("no_pauses")
async def test_a_call_that_reaches_nobody_in_all_its_tries_tells_of_a_service_that_is_down() -> None:
    def nobody() -> TransientError:
        return TransientError("no route", retry_after=0.001, unreached=True)

    caller = caller_for(places=1)
    with pytest.raises(ServiceDownError, match="Service is down: no route"):
        await caller.call("embed", Script(*(nobody() for _ in range(ATTEMPTS))))
    # Where others were answered meanwhile, it is this call's own misfortune.
    caller = caller_for()
    ask = Script(*(nobody() for _ in range(ATTEMPTS - 1)))
    assert await caller.call("embed", ask) == ("yes", ATTEMPTS)
    assert caller.breaker.fatal is None


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(("places", "most"), [(1, ATTEMPTS + 1), (12, 2 * 12 - 1 + len(PAUSES))])
async def test_a_service_that_is_down_is_left_alone(places: int, most: int) -> None:
    caller, asked, outcomes = caller_for(places=places), 0, []

    async def ask() -> str:
        nonlocal asked
        asked += 1
        await anyio.lowlevel.checkpoint()
        raise soon(text="HTTP 503")

    async def one() -> None:
        try:
            await caller.call("extract", ask)
        except HfmapError as error:
            outcomes.append(type(error))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(one)
    assert asked <= most
    # All but a call that had used up its tries before are left to the next run.
    assert outcomes.count(ServiceDownError) >= 99
    assert "HTTP 503" in str(caller.breaker.fatal)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("places", [1, 8, 12])
async def test_a_service_that_stumbles_is_asked_by_one_at_a_time_until_it_is_up_again(places: int) -> None:
    caller, asked, now, most = caller_for(places=places), 0, 0, 0
    down = places + len(PAUSES) - 1

    async def ask() -> None:
        nonlocal asked, now, most
        asked += 1
        number = asked
        now += 1
        most = max(most, now) if places < number <= down else most
        await anyio.lowlevel.checkpoint()
        now -= 1
        if number <= down:
            raise soon(text="HTTP 503")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(caller.call, "extract", ask)
    assert asked == 100 + down
    assert most == 1
    assert caller.breaker.fatal is None


async def test_sleepers_wake_when_the_breaker_opens() -> None:
    caller = caller_for()
    outcomes = []

    async def sleeper() -> None:
        try:
            await caller.call("extract", Script(TransientError("429", retry_after=300, limited=True)))
        except HfmapError as error:
            outcomes.append(error)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(sleeper)
            await anyio.lowlevel.checkpoint()
            with pytest.raises(KeyRefusedError):
                await caller.call("extract", Script(KeyRefusedError("no")))
    assert [type(error) for error in outcomes] == [KeyRefusedError]


@pytest.mark.parametrize("limited", [True, False])
async def test_a_wait_of_hours_ends_the_run_of_that_service(limited: bool) -> None:
    caller = caller_for()
    ask = Script(TransientError("HTTP 429", retry_after=LONGEST_RETRY_AFTER * 20, limited=limited))
    with anyio.fail_after(1), pytest.raises(ServiceDownError, match="103 minutes"):
        await caller.call("extract", ask)
    assert ask.calls == 1


async def test_a_wait_of_nothing_is_no_invitation_to_hammer() -> None:
    events: list[CallRetried] = []
    await caller_for(events).call("extract", Script(TransientError("429", retry_after=0, limited=True)))
    assert events[0].wait >= 0.5


@pytest.mark.parametrize("error", [KeyRefusedError("no"), QuotaError("no money"), ServiceDownError("no such model")])
async def test_what_concerns_every_call_stops_all(error: ProviderError) -> None:
    caller, ask = caller_for(), Script()
    with pytest.raises(type(error)):
        await caller.call("extract", Script(error))
    with pytest.raises(type(error)):
        await caller.call("extract", ask)
    assert ask.calls == 0


async def test_a_service_that_refuses_every_text_is_left_alone() -> None:
    caller, asked = caller_for(), 0

    async def ask() -> str:
        nonlocal asked
        asked += 1
        raise RejectedError("HTTP 400: unknown field")

    for _ in range(100):
        with pytest.raises(ProviderError):
            await caller.call("extract", ask)
    assert asked == BREAKER_FAILURES
    assert isinstance(caller.breaker.fatal, ServiceDownError)


async def test_some_refused_texts_among_good_ones_are_no_reason_to_stop() -> None:
    caller = caller_for()
    for number in range(100):
        ask = Script(*([RejectedError("HTTP 400")] if number % 3 else []))
        try:
            await caller.call("extract", ask)
        except RejectedError:
            assert number % 3
    assert caller.breaker.fatal is None


async def test_rate_limits_open_the_breaker_only_where_nothing_gets_through_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    breaker, now = caller_for().breaker, 1000.0
    monkeypatch.setattr(anyio, "current_time", lambda: now)
    for _ in range(1000):
        breaker.failed(soon(limited=True))
    now += LONGEST_RETRY_AFTER
    breaker.failed(soon(limited=True))
    breaker.check()
    breaker.succeeded()
    now += 10 * LONGEST_RETRY_AFTER
    for _ in range(1000):
        breaker.failed(soon(limited=True))
    breaker.check()
    now += LONGEST_RETRY_AFTER + 1
    breaker.failed(soon(limited=True))
    with pytest.raises(ServiceDownError, match="let no call through for 5 minutes"):
        breaker.check()


@pytest.mark.usefixtures("no_pauses")
async def test_refusals_as_too_many_are_not_held_against_a_call() -> None:
    caller = caller_for()
    refused = [soon(limited=True)] * (MOST_ATTEMPTS - ATTEMPTS)
    assert await caller.call("extract", Script(*refused, *([soon()] * (ATTEMPTS - 1)))) == ("yes", MOST_ATTEMPTS)
    with pytest.raises(TransientError) as caught:
        await caller.call("extract", Script(*([soon(limited=True)] * MOST_ATTEMPTS)))
    assert caught.value.attempts == MOST_ATTEMPTS
    with pytest.raises(TransientError) as caught:
        await caller.call("extract", Script(soon(limited=True), *([soon()] * ATTEMPTS)))
    assert caught.value.attempts == ATTEMPTS + 1


async def test_a_service_that_is_closed_for_all_refuses_only_those_that_were_on_their_way() -> None:
    caller, asked, opened = caller_for(places=3), 0, anyio.current_time() + 0.3

    async def ask() -> None:
        nonlocal asked
        asked += 1
        await anyio.lowlevel.checkpoint()
        if (left := opened - anyio.current_time()) > 0:
            raise TransientError("429", retry_after=left, limited=True, closed=True)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(caller.call, "extract", ask)
    assert asked == 3 + 6


async def test_who_waits_for_a_closed_service_is_woken_when_the_breaker_opens() -> None:
    caller, outcomes = caller_for(), []

    async def one(ask: Script) -> None:
        try:
            await caller.call("extract", ask)
        except HfmapError as error:
            outcomes.append(type(error))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(one, Script(TransientError("429", retry_after=300, limited=True, closed=True)))
            await anyio.wait_all_tasks_blocked()
            group.start_soon(one, Script())
            await anyio.wait_all_tasks_blocked()
            caller.breaker.open(QuotaError("no money"))
    assert outcomes == [QuotaError, QuotaError]


async def test_no_more_calls_at_once_than_places_and_a_cancelled_call_frees_its_own() -> None:
    caller, now, most = caller_for(places=3), 0, 0
    hold = anyio.Event()

    async def ask() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            await hold.wait()
        finally:
            now -= 1

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(caller.call, "extract", ask)
        with anyio.move_on_after(0.05):
            await caller.call("extract", ask)
        await anyio.wait_all_tasks_blocked()
        assert now == most == 3
        group.cancel_scope.cancel()
    assert now == 0
    hold.set()
    with anyio.fail_after(1):
        await caller.call("extract", ask)
