"""What a sync imports ahead of the map, and when."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from engine.cli.passes import FEW, Preload
from engine.events import StageGrew
from render import heavy, layout
from tests.render import database

Asked = SimpleQueue[tuple[str, ...]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    queue: Asked = SimpleQueue()
    monkeypatch.setattr(heavy, "preload", lambda *names: queue.put(names))
    return queue


def grow(preload: Preload, cards: int) -> None:
    for _ in range(cards):
        preload(StageGrew("embed"))


def no_more(asked: Asked) -> bool:
    # What is asked for after this has been asked for in order, by one thread.
    with pytest.raises(Empty):
        asked.get(timeout=0.2)
    return True


def test_one_changed_card_needs_the_page_and_a_fifth_of_the_map_needs_all(tmp_path: Path, asked: Asked) -> None:
    path = tmp_path / "hfmap.sqlite"
    with closing(database.create(path)) as conn:
        database.put(conn, database.cards(15))
        layout.ensure(conn, run_id=1, emit=lambda _: None)
    preload = Preload(path)
    preload(StageGrew("summarize"))
    assert no_more(asked)
    grow(preload, 3)
    assert asked.get(timeout=30) == heavy.REFRESH
    assert no_more(asked)
    grow(preload, 1)
    assert asked.get(timeout=30) == heavy.REBUILD
    grow(preload, 20)
    assert no_more(asked)


def test_a_first_map_needs_all(tmp_path: Path, asked: Asked) -> None:
    grow(Preload(tmp_path / "none.sqlite"), 1)
    assert {asked.get(timeout=30), asked.get(timeout=30)} == {heavy.REFRESH, heavy.REBUILD}


def test_a_map_of_unknown_size(asked: Asked) -> None:
    preload = Preload()
    preload(StageGrew("embed", FEW))
    assert [asked.get(timeout=30), asked.get(timeout=30)] == [heavy.REFRESH, heavy.REBUILD]


def test_a_failed_import_is_left_to_whoever_needs_it(monkeypatch: pytest.MonkeyPatch, asked: Asked) -> None:
    def fail(*names: str) -> None:
        asked.put(names)
        raise ImportError(names)

    monkeypatch.setattr(heavy, "preload", fail)
    preload = Preload()
    grow(preload, FEW)
    assert [asked.get(timeout=30), asked.get(timeout=30)] == [heavy.REFRESH, heavy.REBUILD]
