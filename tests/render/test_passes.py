"""All passes, one after the other, on maps of every size."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from engine.config import Secrets, Settings
from engine.events import Bus, PassFinished
from engine.run.passes import run_passes
from tests.render.database import Card, blobs, cards, create, put


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(db=tmp_path / "hfmap.sqlite", out=tmp_path / "site", llm="local", embedder="local")


def draw(settings: Settings, given: list[Card]) -> list[PassFinished]:
    with closing(create(settings.db)) as conn:
        put(conn, given)
    events: list[PassFinished] = []
    bus = Bus(lambda event: events.append(event) if isinstance(event, PassFinished) else None)
    drawn = run_passes(settings, Secrets(), 1, bus, 0.0)
    assert (drawn.usd, drawn.unanswered, drawn.error) == (0.0, 0, None)
    assert drawn.page is not None
    assert drawn.page.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    # And again, with nothing changed.
    run_passes(settings, Secrets(), 1, bus, 0.0)
    assert [event.skipped for event in events] == [False] * 3 + [True] * 3
    return events


@pytest.mark.parametrize("n", [1, 2, 3, 10, 40, 80, 150])
def test_every_size(settings: Settings, n: int) -> None:
    draw(settings, cards(n))


def test_five_hundred_equal_cards(settings: Settings) -> None:
    text = "---\nlicense: mit\n---\n# The same\n\nRecorded speech, read aloud.\n"
    draw(settings, [Card(f"org/copy-{i:03d}", text, np.ones(32, np.float32)) for i in range(500)])


@pytest.mark.parametrize("n", [3, 120])
def test_zero_vectors(settings: Settings, n: int) -> None:
    draw(settings, cards(n, vectors=np.zeros((n, 32), np.float32)))


def test_zero_vectors_among_others(settings: Settings) -> None:
    vectors = blobs(120, groups=8)
    vectors[::10] = 0
    draw(settings, cards(120, vectors=vectors))
