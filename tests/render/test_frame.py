from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sized
from datetime import date

import pytest

from render.page import frame

from .fill import HOSTILE, connect, fill


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    connection = connect()
    yield connection
    connection.close()


def test_rows_are_those_on_the_map_in_the_order_of_their_ids(conn: sqlite3.Connection) -> None:
    fill(conn, 50)
    conn.execute("UPDATE dataset SET on_map = 0 WHERE dataset_id = 3")
    conn.execute("DELETE FROM position WHERE dataset_id = 5")
    data = frame.read(conn)
    expected = [row[0] for row in conn.execute("SELECT repo_id FROM dataset WHERE dataset_id NOT IN (3, 5) ORDER BY 1")]
    assert data.repo_ids == expected
    columns: list[Sized] = [data.x, data.likes, data.summary, *data.codes.values(), *data.bits.values()]
    assert {len(column) for column in columns} == {48}


def test_categories_are_codes_into_vocabularies(conn: sqlite3.Connection) -> None:
    fill(conn, 200)
    data = frame.read(conn)
    stored = Counter(row[0] for row in conn.execute("SELECT language FROM datasets WHERE on_map"))
    assert Counter(data.vocabularies["language"][code] for code in data.codes["language"]) == stored
    assert data.vocabularies["language"][-1] == "Unknown"
    counts = Counter(data.codes["task"])
    named = [counts[i] for i, label in enumerate(data.vocabularies["task"]) if label != "Other"]
    assert named == sorted(named, reverse=True)
    assert "Instruction and chat" in data.vocabularies["subject"]


def test_sizes_stand_in_their_own_order(conn: sqlite3.Connection) -> None:
    fill(conn, 200)
    sizes = frame.read(conn).vocabularies["size"]
    assert sizes == [size for size in frame.SIZES if size in sizes]


def test_lists_are_sets_of_bits(conn: sqlite3.Connection) -> None:
    fill(conn, 100)
    data = frame.read(conn)
    labels = data.vocabularies["stage"]
    for repo_id, bits in zip(data.repo_ids, data.bits["stage"], strict=True):
        (stored,) = conn.execute("SELECT training_stage FROM datasets WHERE repo_id = ?", (repo_id,)).fetchone()
        shown = {label.lower().replace(" ", "").replace("-", "") for i, label in enumerate(labels) if bits >> i & 1}
        wanted = {item.replace("_", "").replace("-", "") for item in json.loads(stored)} if stored else {"unknown"}
        assert shown == wanted


def test_what_is_unknown_is_marked(conn: sqlite3.Connection) -> None:
    fill(conn, 3)
    conn.execute("UPDATE dataset SET likes = NULL, downloads = NULL, created_at = NULL, last_modified = 'soon'")
    conn.execute("DELETE FROM field_value")
    data = frame.read(conn)
    assert (data.likes, data.downloads, data.created, data.modified) == ([-1] * 3, [-1] * 3, [-1] * 3, [-1] * 3)
    assert data.vocabularies["subject"] == ["Unknown"]
    assert data.sizes() == [10.5] * 3


def test_markers_grow_with_the_logarithm_of_likes(conn: sqlite3.Connection) -> None:
    fill(conn, 3)
    for i, likes in enumerate((1, 10, 100)):
        conn.execute("UPDATE dataset SET likes = ? WHERE dataset_id = ?", (likes, i + 1))
    data = frame.read(conn)
    assert sorted(data.sizes()) == pytest.approx([3, 10.5, 18])


def test_topics_of_the_newest_tree_with_parents_and_unique_names(conn: sqlite3.Connection) -> None:
    fill(conn, 400)
    conn.execute("UPDATE topic SET name = 'Same' WHERE layer = 1")
    data = frame.read(conn)
    assert len(data.topic_of) == 3
    for layer in range(3):
        names = [topic.name for topic in data.topics if topic.layer == layer]
        assert len(names) == len(set(names)) > 0
    for i, topic in enumerate(data.topics):
        assert data.topic_of[topic.layer].count(i) == topic.size
        if topic.parent >= 0:
            assert data.topics[topic.parent].layer == topic.layer - 1


def test_novelty_tells_new_from_changed(conn: sqlite3.Connection) -> None:
    fill(conn, 4)
    conn.execute("INSERT INTO run (run_id, command, started_at) VALUES (2, 'sync', '2026-05-01T00:00:00Z')")
    conn.execute("UPDATE dataset SET last_seen_run = 2")
    conn.execute("UPDATE dataset SET first_seen_run = 2 WHERE dataset_id = 1")
    conn.execute("UPDATE card SET stored_run = 2 WHERE dataset_id IN (1, 2)")
    data = frame.read(conn)
    assert dict(zip(data.dataset_ids, data.novelty, strict=True)) == {1: 2, 2: 1, 3: 0, 4: 0}


def test_the_digest_is_of_everything_shown(conn: sqlite3.Connection) -> None:
    fill(conn, 30)
    before = frame.read(conn).digest()
    assert frame.read(conn).digest() == before
    for change in (
        "UPDATE dataset SET likes = likes + 1 WHERE dataset_id = 9",
        "UPDATE position SET x = x + 0.25 WHERE dataset_id = 9",
        "UPDATE summary SET text = 'other' WHERE rowid = 27",
        "UPDATE topic SET name = name || '!'",
        "UPDATE card SET stored_at = '2026-12-24T00:00:00Z'",
    ):
        conn.execute(change)
        after = frame.read(conn).digest()
        assert after != before, change
        before = after


def test_hostile_text_is_plain_and_bounded(conn: sqlite3.Connection) -> None:
    fill(conn, 120, hostile=True)
    data = frame.read(conn)
    texts = [*data.summary, *data.pretty, *data.licence, *(t.name for t in data.topics)]
    texts += [label for labels in data.vocabularies.values() for label in labels]
    assert max(map(len, texts)) <= 600
    assert any("<script>" in text for text in texts)
    assert not any("\u202e" in text or "\x00" in text for text in texts)
    assert len(HOSTILE) > 5
    assert data.day == date(2026, 4, 2)
