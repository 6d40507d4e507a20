"""What a sync imports ahead of the map, and when."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from engine.events import PassStarted, StageGrew
from engine.run.passes import FEW, Preload
from render import libraries
from render.layout import layout, projection
from render.page import datamapplot
from tests.render import database

STEPS = {
    "refresh": (datamapplot, "load"),
    "rebuild": (projection, "compile_ahead"),
    "model": (libraries, "heavy"),
}


class Asked(SimpleQueue[str]):
    """What was asked for, in order."""

    def next(self) -> str:
        return self.get(timeout=30)

    def done(self) -> bool:
        """Whether nothing more is asked for."""
        # One thread asks, in the order of the events.
        with pytest.raises(Empty):
            self.get(timeout=0.2)
        return True


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    queue = Asked()
    for step, (module, function) in STEPS.items():
        monkeypatch.setattr(module, function, lambda *_, step=step: queue.put(step))
    return queue


def grow(preload: Preload, cards: int) -> None:
    for _ in range(cards):
        preload(StageGrew("embed"))


def test_one_changed_card_needs_the_page_and_a_fifth_of_the_map_needs_all(tmp_path: Path, asked: Asked) -> None:
    path = tmp_path / "hfmap.sqlite"
    with closing(database.create(path)) as conn:
        database.put(conn, database.cards(15))
        layout.ensure(conn, run_id=1, emit=lambda _: None)
    preload = Preload(path)
    preload(StageGrew("summarize"))
    assert asked.done()
    grow(preload, 2)
    assert asked.next() == "refresh"
    assert asked.done()
    grow(preload, 1)
    assert asked.next() == "rebuild"
    grow(preload, 20)
    assert asked.done()


def test_a_first_map_needs_all(tmp_path: Path, asked: Asked) -> None:
    grow(Preload(tmp_path / "none.sqlite"), 1)
    assert [asked.next(), asked.next()] == ["refresh", "rebuild"]
    assert asked.done()


def test_a_map_of_unknown_size(asked: Asked) -> None:
    preload = Preload()
    preload(StageGrew("embed", FEW))
    assert [asked.next(), asked.next()] == ["refresh", "rebuild"]


def test_only_names_by_a_model_need_what_asks_it(tmp_path: Path, asked: Asked) -> None:
    grow(Preload(tmp_path / "none.sqlite", by_model=True), 1)
    assert [asked.next(), asked.next(), asked.next()] == ["refresh", "rebuild", "model"]


def test_the_first_pass_waits_for_the_step_in_progress_and_drops_the_rest(
    monkeypatch: pytest.MonkeyPatch, asked: Asked
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        go_on.wait(30)
        asked.put("done")

    monkeypatch.setattr(*STEPS["refresh"], slow)
    preload = Preload()
    grow(preload, FEW)
    assert begun.wait(30)
    first = threading.Thread(target=preload, args=(PassStarted("layout"),))
    first.start()
    first.join(0.1)
    assert first.is_alive()
    go_on.set()
    first.join(30)
    assert asked.next() == "done"
    assert asked.done()
    preload(PassStarted("topics"))


def test_a_failed_import_is_left_to_whoever_needs_it(monkeypatch: pytest.MonkeyPatch, asked: Asked) -> None:
    def fail() -> None:
        asked.put("failed")
        raise ImportError

    monkeypatch.setattr(*STEPS["refresh"], fail)
    preload = Preload()
    grow(preload, FEW)
    assert [asked.next(), asked.next()] == ["failed", "rebuild"]
