"""A page under another taxonomy than hfmap's own."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.queries.map import map_facts
from engine.store.views import ensure_views
from render.page import drawer, frame, methodology, page
from taxonomy.model import loads

from .own import OWN, fill_own


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    fill_own(connection, 60)
    yield connection
    connection.close()


def test_the_axes_are_those_of_the_taxonomy(conn: sqlite3.Connection) -> None:
    data = frame.read(conn)
    keys = [axis.key for axis in data.axes]
    assert keys == ["task", "modality", "licence", "size", "language", "subject", "own_mood", "own_size", "own_uses",
                    "own_noisy"]  # fmt: skip
    assert {axis.key: axis.heading for axis in data.axes}["subject"] == "What about"
    moods = Counter(data.vocabularies["own_mood"][code] for code in data.codes["own_mood"])
    assert moods == {"Very calm": 30, "Angry": 30}
    assert set(data.vocabularies["own_noisy"]) == {"Yes", "No"}
    assert set(data.vocabularies["own_uses"]) == {"Play", "Work", "None"}
    assert "primary" not in data.codes


def test_the_drawer_tells_every_field_by_its_label(conn: sqlite3.Connection) -> None:
    (chunk,) = drawer.chunks(conn, drawer.read(conn, frame.read(conn)))
    row = json.loads(re.fullmatch(r"hfmap\.details\(0,(.*)\);\n", chunk)[1])[0]  # type: ignore[index]
    assert [name for name, *_ in row["fields"]] == ["What about", "Mood", "Extent", "Uses", "Places", "Noisy"]
    assert {name: value for name, value, *_ in row["fields"]}["Places"] == "the far-north"


def test_the_methodology_explains_its_fields(conn: sqlite3.Connection) -> None:
    text = methodology.render(map_facts(conn), frame.read(conn), title="t", libraries=None)
    assert "How the records feel." in text
    assert "provenance_method" not in text


def test_another_taxonomy_draws_another_page(conn: sqlite3.Connection, tmp_path: Path) -> None:
    def draw() -> page.PageResult:
        return page.ensure(conn, run_id=1, out=tmp_path, emit=lambda event: None)

    assert not draw().skipped
    assert draw().skipped
    ensure_views(conn, loads(json.dumps(OWN).replace('"Mood"', '"Temper"')))
    assert not draw().skipped
    with contextlib.closing((tmp_path / "index.html").open(encoding="utf-8")) as text:
        assert '"Temper"' in text.read()


def test_more_words_than_a_set_holds_share_one(conn: sqlite3.Connection) -> None:
    words = [f"use-{i}" for i in range(50)]
    many = json.loads(json.dumps(OWN))
    many["fields"][3]["slugs"] = dict.fromkeys(words, "x")
    ensure_views(conn, loads(json.dumps(many)))
    for (result,) in conn.execute("SELECT DISTINCT result_id FROM field_value").fetchall():
        value = json.dumps([words[result % 50], words[(result + 1) % 50]])
        conn.execute("UPDATE field_value SET value = ? WHERE result_id = ? AND field = 'uses'", (value, result))
    data = frame.read(conn)
    assert len(data.vocabularies["own_uses"]) == frame.MOST_WORDS
    assert data.vocabularies["own_uses"][-1] == frame.RARER
    assert all(0 < bits < 2**31 for bits in data.bits["own_uses"])
