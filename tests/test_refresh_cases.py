"""What changes at the Hub one night to the next, and what only seems to: each with exactly the requests that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.pipeline.listing import PROBES
from tests.conftest import Run
from tests.services import Services, generated_cards
from tests.services.messages import Request, Response

Rows = Callable[..., list[tuple[Any, ...]]]
Counts = tuple[int, int, int, int, str]
CARDS = 40
STATUS = "SELECT card_status, on_map, count(*) FROM dataset GROUP BY 1, 2 ORDER BY 1, 2"
WHOLE = [("ok", 1, CARDS)]


@pytest.fixture
def services() -> Iterator[Services]:
    with Services(generated_cards(CARDS, seed=14), page_size=10) as running:
        yield running


@pytest.fixture
def sync(run_hfmap: Run, services: Services) -> Callable[..., Counts]:
    """Run a sync and return how many cards were asked for and enriched, and what was said."""

    def sync(*flags: str, code: int = 0, target: int = CARDS, overshoot: int = 1000) -> Counts:
        services.reset_log()
        limits = {"HFMAP_TARGET": str(target), "HFMAP_OVERSHOOT": str(overshoot)}
        done = run_hfmap("sync", "--no-map", *flags, env=services.env | limits, code=code)
        asked = services.count("card")
        enriched = services.keys("embed").total(), services.count("extract"), services.count("summarize")
        return asked, *enriched, done.stderr

    return sync


def test_a_listing_that_breaks_off_leaves_the_map_as_it_was(
    services: Services, sync: Callable[..., Counts], rows: Rows
) -> None:
    """A page without a link to the next looks like the last one."""
    sync()
    whole = services.hub._list

    def cut(request: Request) -> Response:
        page = whole(request)
        if "cursor" in request.target:
            page.headers.pop("Link", None)
        return page

    services.hub._list = cut  # type: ignore[method-assign]
    *counts, said = sync(code=1)
    assert counts == [PROBES, 0, 0, 0]
    assert "broke off after 20 datasets" in said
    assert rows(STATUS) == WHOLE
    assert rows("SELECT count(*) FROM change WHERE run_id = 2") == [(0,)]
    services.hub._list = whole  # type: ignore[method-assign]
    assert sync()[:4] == (0, 0, 0, 0)
    assert rows("SELECT count(*) FROM change WHERE run_id = 3") == [(0,)]


def test_the_lower_half_is_really_gone(services: Services, sync: Callable[..., Counts], rows: Rows) -> None:
    sync()
    services.hub.remove(*list(services.hub.datasets)[CARDS // 2 :])
    # Enough are asked for to know that the listing did not break off; the rest is believed.
    assert sync()[:4] == (PROBES, 0, 0, 0)
    assert rows(STATUS) == [("deleted", 0, CARDS // 2), ("ok", 1, CARDS // 2)]


@pytest.mark.parametrize(("overshoot", "edited"), [(CARDS, False), (1000, True)], ids=["of many", "of all"])
def test_renamed_with_a_commit(
    services: Services, sync: Callable[..., Counts], rows: Rows, overshoot: int, edited: bool
) -> None:
    """Another commit hides whose new name it is; the Hub's redirect from the old one tells."""
    sync(overshoot=overshoot)
    old = list(services.hub.datasets)[7]
    new = f"{old}-renamed"
    services.hub.rename(old, new)
    services.hub.touch(new)
    if edited:
        services.hub.update(new, card=(services.hub.datasets[new].card or b"") + b"\nWhat is new since the move.\n")
    # The card under the new name, and a question about the old one.
    assert sync(overshoot=overshoot)[:4] == (2, *(3 * [int(edited)]))
    assert rows("SELECT a.repo_id, d.repo_id FROM alias a JOIN dataset d USING (dataset_id)") == [(old, new)]
    assert rows("SELECT card_reason FROM dataset WHERE repo_id = ?", old) == [(f"renamed to {new}",)]
    assert rows("SELECT count(*) FROM datasets WHERE on_map AND summary IS NOT NULL") == [(CARDS,)]
    assert sync(overshoot=overshoot)[:4] == (0, 0, 0, 0)


def test_renamed_to_a_name_that_another_had(services: Services, sync: Callable[..., Counts], rows: Rows) -> None:
    sync()
    old, taken = list(services.hub.datasets)[7:9]
    summary = rows("SELECT summary FROM datasets WHERE repo_id = ?", old)
    services.hub.remove(taken)
    services.hub.rename(old, taken)
    assert sync()[:4] == (2, 0, 0, 0)
    assert rows("SELECT summary FROM datasets WHERE repo_id = ?", taken) == summary
    assert rows("SELECT repo_id FROM alias") == [(old,)]
    assert rows(STATUS) == [("deleted", 0, 1), ("ok", 1, CARDS - 1)]


def test_deleted_and_back_again(services: Services, sync: Callable[..., Counts], rows: Rows) -> None:
    sync()
    state = services.hub.datasets[list(services.hub.datasets)[3]]
    services.hub.remove(state.id)
    assert sync()[:4] == (0, 0, 0, 0)
    assert rows(STATUS) == [("deleted", 0, 1), ("ok", 1, CARDS - 1)]
    services.hub.add(state)
    assert sync()[:4] == (1, 0, 0, 0)
    assert services.of("card")[0].status == 304
    assert rows(STATUS) == WHOLE


def test_opened_and_closed(services: Services, sync: Callable[..., Counts], rows: Rows) -> None:
    """Who may see a repository changes without a commit."""
    gated, private, disabled = list(services.hub.datasets)[2:5]
    services.hub.update(gated, gated="manual")
    services.hub.update(private, private=True)
    services.hub.update(disabled, disabled=True)
    sync()
    closed = [("disabled", 0, 1), ("gated", 0, 1), ("ok", 1, CARDS - 3), ("private", 0, 1)]
    assert rows(STATUS) == closed
    assert sync()[:4] == (0, 0, 0, 0)

    services.hub.update(gated, gated=False)
    services.hub.update(private, private=False)
    services.hub.update(disabled, disabled=False)
    assert sync()[:4] == (3, 3, 3, 3)
    assert rows(STATUS) == WHOLE

    services.hub.update(gated, gated="auto")
    services.hub.update(private, private=True)
    services.hub.update(disabled, disabled=True)
    # The listing says so of two of them; only the gated one must be asked for.
    assert sync()[:4] == (1, 0, 0, 0)
    assert rows(STATUS) == closed
    assert sync()[:4] == (0, 0, 0, 0)


def test_a_date_or_a_rank_alone_asks_for_nothing(services: Services, sync: Callable[..., Counts], rows: Rows) -> None:
    sync()
    for place, repo_id in enumerate(list(services.hub.datasets)):
        services.hub.update(repo_id, likes=place, last_modified="2026-11-01T00:00:00.000Z")
    assert sync()[:4] == (0, 0, 0, 0)
    assert rows(STATUS) == WHOLE
    assert rows("SELECT min(last_modified) FROM dataset") == [("2026-11-01T00:00:00Z",)]
