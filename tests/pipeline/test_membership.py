"""Membership of the map, whatever the order in which cards arrive."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from engine.pipeline.membership import Membership


@given(
    eligible=st.lists(st.booleans(), max_size=60),
    places=st.integers(0, 40),
    seed=st.integers(0, 10_000),
    listing_pace=st.integers(1, 10),
)
def test_first_eligible_in_rank_order_and_no_more_asked(
    eligible: list[bool], places: int, seed: int, listing_pace: int
) -> None:
    chance = random.Random(seed)
    membership: Membership[int] = Membership(places)
    in_flight: list[int] = []
    asked: list[int] = []
    admitted: set[int] = set()

    def finish_some() -> None:
        for _ in range(chance.randint(0, len(in_flight))):
            one = in_flight.pop(chance.randrange(len(in_flight)))
            asked.append(one)
            if eligible[one]:
                admitted.add(one)
            elif (next_one := membership.free_place()) is not None:
                in_flight.append(next_one)

    for rank in range(len(eligible)):
        if membership.offer(rank):
            in_flight.append(rank)
        if rank % listing_pace == 0:
            finish_some()
    while in_flight:
        finish_some()

    expected = [rank for rank, good in enumerate(eligible) if good][:places]
    assert sorted(admitted) == expected
    # Nobody is asked who comes after the last place is filled.
    full = len(expected) == places
    last = expected[-1] if full and expected else len(eligible) - 1
    if places == 0:
        last = -1
    assert sorted(asked) == list(range(last + 1))
