"""Refreshing many datasets: exactly the requests that the changes need, counted at the services."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run
from tests.services import DatasetState, Services, generated_cards
from tests.zygote import Zygote

Rows = Callable[..., list[tuple[Any, ...]]]

CARDS, PAGES = 1500, 5
LIMITS = {"HFMAP_TARGET": str(CARDS), "HFMAP_OVERSHOOT": str(CARDS + 300)}


OWN_TEXTS, SHARED_TEXTS = 165, 100


def many_cards() -> list[DatasetState]:
    """Datasets; those that no test changes share texts, so that a first sync need not read them all."""
    states = generated_cards(CARDS, seed=11)
    rest = sorted(states, key=lambda state: state.id)[OWN_TEXTS:]
    for place, state in enumerate(rest):
        state.card = rest[place % SHARED_TEXTS].card
    return states


@pytest.fixture(scope="module")
def synced(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Services, Path]]:
    """Services with many datasets, and the database of a first sync with them."""
    folder = tmp_path_factory.mktemp("first")
    with Services(many_cards(), page_size=CARDS // PAGES) as services:
        zygote.runner(folder)("sync", "--no-map", "--quiet", env=services.env | LIMITS)
        assert services.count("card") == CARDS
        assert services.count("extract") == services.count("summarize") == OWN_TEXTS + SHARED_TEXTS
        with sqlite3.connect(folder / "hfmap.sqlite") as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield services, folder / "hfmap.sqlite"


def test_nothing_changed(synced: tuple[Services, Path], tmp_path: Path, run_hfmap: Run, rows: Rows) -> None:
    services, db = synced
    shutil.copy(db, tmp_path / "hfmap.sqlite")
    services.reset_log()
    run_hfmap("sync", "--no-map", env=services.env | LIMITS)
    assert services.count("list") <= PAGES + 1
    assert len(services.requests) - services.count("other") <= PAGES + 1
    assert services.count("card", "redirect", "embed", "extract", "summarize") == 0
    assert rows("SELECT count(*) FROM change WHERE run_id = 2") == [(0,)]
    assert rows("SELECT count(*) FROM datasets WHERE on_map") == [(CARDS,)]


def test_everything_asked_again_on_refresh(
    synced: tuple[Services, Path], tmp_path: Path, run_hfmap: Run, rows: Rows
) -> None:
    services, db = synced
    shutil.copy(db, tmp_path / "hfmap.sqlite")
    services.reset_log()
    run_hfmap("sync", "--no-map", "--refresh", "--target", 300, "--overshoot", 300, env=services.env)
    assert services.count("card") == 300
    assert not any(record.conditional for record in services.of("card"))
    assert services.count("embed", "extract", "summarize") == 0
    assert rows("SELECT count(*) FROM datasets WHERE on_map") == [(300,)]


def test_a_night_with_changes_of_every_kind(
    synced: tuple[Services, Path], tmp_path: Path, run_hfmap: Run, rows: Rows
) -> None:
    services, db = synced
    shutil.copy(db, tmp_path / "hfmap.sqlite")
    hub = services.hub
    ids = sorted(hub.datasets)
    changed, touched = ids[:50], ids[50:150]
    deleted, renamed = ids[150:160], ids[160:165]
    before: dict[str, str] = dict(rows("SELECT repo_id, summary FROM datasets"))
    for repo_id in changed:
        text = hub.datasets[repo_id].card
        assert isinstance(text, bytes)
        hub.update(repo_id, card=text + b"\n\nSince this week the records also carry the name of the ferry.\n")
    hub.touch(*touched)
    hub.remove(*deleted)
    for repo_id in renamed:
        hub.rename(repo_id, f"{repo_id}-renamed")
    new = [state for state in generated_cards(CARDS + 20, seed=12)[-20:] if state.id not in hub.datasets]
    hub.add(*new)
    for repo_id in ids[200:260]:
        hub.update(repo_id, likes=hub.datasets[repo_id].likes + 100_000)
    services.reset_log()

    run_hfmap("sync", "--no-map", env=services.env | LIMITS)

    # Ten deleted ones leave ten places; which of the twenty new ones are in is a matter of their rank.
    entered = rows(
        "SELECT d.repo_id FROM change JOIN dataset d USING (dataset_id) WHERE kind = 'entered' AND run_id = 2"
    )
    asked = set(services.keys("card"))
    assert {row[0] for row in entered} <= {state.id for state in new}
    assert asked == set(changed) | set(touched) | {row[0] for row in entered}
    assert services.count("card") == len(asked)
    assert sum(record.status == 304 for record in services.of("card")) == len(touched)
    enriched = set(changed) | {row[0] for row in entered}
    assert services.count("extract") == services.count("summarize") == len(enriched)
    assert sum(services.keys("embed").values()) == len(enriched)
    assert set(services.keys("extract")) == enriched

    kinds: dict[str, int] = dict(rows("SELECT kind, count(*) FROM change WHERE run_id = 2 GROUP BY kind"))
    assert kinds["card"] == 50
    assert kinds["renamed"] == 5
    assert kinds["deleted"] == 10
    assert {row[0] for row in rows("SELECT repo_id FROM datasets WHERE card_status = 'deleted'")} == set(deleted)
    for repo_id in renamed:
        ((new_name, summary, on_map),) = rows(
            "SELECT v.repo_id, v.summary, v.on_map FROM alias a JOIN dataset d USING (dataset_id) "
            "JOIN datasets v ON v.repo_id = d.repo_id WHERE a.repo_id = ?",
            repo_id,
        )
        assert (new_name, summary, on_map) == (f"{repo_id}-renamed", before[repo_id], 1)
    likes: dict[str, int] = dict(rows("SELECT repo_id, likes FROM datasets"))
    assert all(likes[repo_id] == hub.datasets[repo_id].likes for repo_id in ids[200:260])
    assert rows("SELECT count(*) FROM datasets WHERE on_map") == [(CARDS,)]
    assert rows("SELECT count(*) FROM todo") == [(0,)]
    for field, old, new_value in rows("SELECT field, before, after FROM change WHERE run_id = 2 AND kind = 'field'"):
        assert field
        assert old != new_value

    services.reset_log()
    run_hfmap("sync", "--no-map", env=services.env | LIMITS)
    assert services.count("card", "redirect", "embed", "extract", "summarize") == 0
    assert rows("SELECT count(*) FROM change WHERE run_id = 3") == [(0,)]
