"""A survey of the listing: it reads as far as the map reaches, and no further."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import pytest

from engine.hub.entries import Entry
from engine.pipeline.membership import survey

CARD = b"Sentences about birds and their songs, each with a date and a place. " * 6


class Pages:
    """A source of pages of two entries; counts those that were asked for, and notes when it was closed."""

    name = "pages"
    unreadable = ()

    def __init__(self) -> None:
        self.asked = 0
        self.closed = False

    async def chunks(self, limit: int) -> AsyncGenerator[Sequence[Entry]]:
        try:
            for number in range(limit // 2):
                self.asked += 1
                yield [Entry(f"a/{number}-{half}", card=CARD) for half in range(2)]
        finally:
            self.closed = True


@pytest.mark.anyio
@pytest.mark.parametrize(("target", "pages"), [(1, 1), (4, 2), (5, 3), (100, 5)])
async def test_a_survey_asks_for_no_page_below_the_map(target: int, pages: int) -> None:
    source = Pages()
    found = await survey(source, None, target=target, limit=10, refresh=False)
    assert (source.asked, source.closed) == (pages, True)
    assert found.members == min(target, 10)
