"""The budget by itself: what is spent and in flight never passes the limit."""

from __future__ import annotations

import random

import anyio
import pytest

from engine.calls.budget import Budget
from engine.errors import BudgetReachedError

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("seed", range(10))
async def test_never_more_than_the_limit_with_twelve_in_flight(seed: int) -> None:
    chance = random.Random(seed)
    budget, spent, refused, in_flight, most = Budget(0.5), 0.0, 0, 0, 0

    async def work() -> None:
        nonlocal spent, refused, in_flight, most
        while True:
            dearest = chance.uniform(0.001, 0.03)
            try:
                async with budget.reserve(dearest) as reservation:
                    in_flight += 1
                    most = max(most, in_flight)
                    for _ in range(5 + chance.randrange(20)):
                        await anyio.lowlevel.checkpoint()
                    cost = dearest * chance.random()
                    spent += cost
                    reservation.settle(cost)
                    in_flight -= 1
            except BudgetReachedError:
                refused += 1
                return

    async with anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(work)
    assert spent <= 0.5
    assert budget.spent == pytest.approx(spent)
    assert spent >= 0.5 - 0.03
    assert refused == 12
    assert most >= 10


async def test_an_estimate_that_was_too_low_is_learnt_from() -> None:
    budget = Budget(1.0)
    async with budget.reserve(0.1) as reservation:
        reservation.settle(0.3)
    with pytest.raises(BudgetReachedError, match=r"0\.3000 spent, and the next call may cost \$0\.7500"):
        async with budget.reserve(0.2):
            raise AssertionError("not reached")


async def test_a_call_that_broke_off_counts_in_full_but_is_not_spent() -> None:
    budget = Budget(1.0)
    async with budget.reserve(0.6) as reservation:
        reservation.lose()
    assert budget.spent == 0
    with pytest.raises(BudgetReachedError, match="broke off"):
        async with budget.reserve(0.6):
            raise AssertionError("not reached")
    async with budget.reserve(0.4):
        pass


async def test_a_failed_or_cancelled_call_gives_its_room_back() -> None:
    budget = Budget(1.0)
    with pytest.raises(ValueError, match="broken"):
        async with budget.reserve(1.0):
            raise ValueError("broken")
    with anyio.move_on_after(0.01):
        async with budget.reserve(1.0):
            await anyio.sleep_forever()
    async with budget.reserve(1.0) as reservation:
        reservation.settle(1.0)
    assert budget.spent == 1.0


async def test_who_finds_no_room_waits_for_others_to_settle() -> None:
    budget, order = Budget(1.0), []
    let_go = anyio.Event()

    async def first() -> None:
        async with budget.reserve(0.9) as reservation:
            await let_go.wait()
            reservation.settle(0.1)
            order.append("first")

    async def second() -> None:
        async with budget.reserve(0.5):
            order.append("second")

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await anyio.lowlevel.checkpoint()
        group.start_soon(second)
        await anyio.lowlevel.checkpoint()
        let_go.set()
    assert order == ["first", "second"]


async def test_nothing_is_allowed_on_a_budget_of_nothing_but_what_costs_nothing() -> None:
    budget = Budget(0.0)
    async with budget.reserve(0.0):
        pass
    with pytest.raises(BudgetReachedError):
        async with budget.reserve(1e-9):
            raise AssertionError("not reached")


async def test_no_limit_still_adds_up() -> None:
    budget = Budget(None)
    for _ in range(3):
        async with budget.reserve(5.0) as reservation:
            reservation.settle(2.0)
    assert budget.spent == 6.0
