from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.queries.map import map_facts
from render.page import drawer, frame, methodology, page

from .fill import HOSTILE, connect, fill


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    connection = connect()
    yield connection
    connection.close()


def rows_of(conn: sqlite3.Connection) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for number, text in enumerate(drawer.chunks(conn, drawer.read(conn, frame.read(conn)))):
        match = re.fullmatch(r"hfmap\.details\((\d+),(\[.*\])\);\n", text)
        assert match
        assert int(match[1]) == number
        found += json.loads(match[2])
    return found


def digest(conn: sqlite3.Connection) -> str:
    return drawer.read(conn, frame.read(conn)).digest


def test_every_dataset_has_its_row_in_the_order_of_the_frame(conn: sqlite3.Connection) -> None:
    fill(conn, 450)
    data, rows = frame.read(conn), rows_of(conn)
    assert len(rows) == 450
    for row, dataset_id in zip(rows, data.dataset_ids, strict=True):
        (text,) = conn.execute("SELECT text FROM card WHERE dataset_id = ?", (dataset_id,)).fetchone()
        assert str(row["card"])[:40] == text[:40]
        near = conn.execute("SELECT neighbor_id FROM neighbor WHERE dataset_id = ? ORDER BY place", (dataset_id,))
        assert [data.dataset_ids[i] for i, _ in row["near"]] == [j for (j,) in near]  # type: ignore[attr-defined]


def test_a_claim_says_what_proves_it(conn: sqlite3.Connection) -> None:
    fill(conn, 1)
    conn.execute("DELETE FROM field_value")
    result = conn.execute("SELECT result_id FROM in_force WHERE stage = 'extract'").fetchone()[0]
    conn.executemany(
        "INSERT INTO field_value (result_id, field, value, quote, verified) VALUES (?, ?, ?, ?, ?)",
        [
            (result, "subject_domain", '"code-and-software"', "code in ten languages", 1),
            (result, "training_stage", '["sft", "eval"]', "made up", 0),
            (result, "upstream_models", '["gpt-4", "not_stated"]', "not_stated", 0),
            (result, "is_benchmark", "true", None, 0),
            (result, "special_characteristics", "[]", "", 0),
        ],
    )
    by = "by Claude Haiku 4.5"
    assert rows_of(conn)[0]["fields"] == [
        ["Subject", "Code and software", "code in ten languages", "verified", by],
        ["Stage", "SFT, Eval", "made up", "unverified", by],
        ["Characteristics", "None", "", "none", by],
        ["Upstream models", "gpt-4, Not stated", "", "none", by],
        ["Benchmark", "Yes", "", "none", by],
    ]


def test_what_a_person_set_goes_before_what_was_read(conn: sqlite3.Connection) -> None:
    fill(conn, 1)
    before = digest(conn)
    conn.execute(
        "INSERT INTO override (dataset_id, field, value, author, created_at)"
        " VALUES (1, 'subject_domain', '\"geospatial\"', 'Ada', '2026-05-01T00:00:00Z')"
    )
    assert digest(conn) != before
    assert rows_of(conn)[0]["fields"][0] == ["Subject", "Geospatial", "", "person", "Ada"]  # type: ignore[index]
    assert frame.read(conn).vocabularies["subject"] == ["Geospatial"]


@pytest.mark.parametrize(
    ("provider", "model", "said"),
    [
        ("local", "hfmap-rules-1", "by rules"),
        ("anthropic", "claude-haiku-4-5-20251001", "by Claude Haiku 4.5"),
        ("anthropic", "claude-haiku-5-5", "by Claude Haiku 5.5"),
        ("anthropic", "claude-sonnet-4-20250514", "by Claude Sonnet 4"),
        ("openai", "qwen3:8b", "by qwen3:8b"),
    ],
)
def test_who_read_a_card_is_said_in_words(provider: str, model: str, said: str) -> None:
    assert drawer.made_by(provider, model) == said


def test_front_matter_is_not_shown_and_long_cards_are_cut(conn: sqlite3.Connection) -> None:
    fill(conn, 1)
    conn.execute("UPDATE card SET text = ?", ("---\nlicense: mit\n---\n# Title\n\n" + "word " * 5000,))
    card = str(rows_of(conn)[0]["card"])
    assert card.startswith("# Title\n\nword")
    assert len(card) <= drawer.CARD_CHARACTERS


def test_chunks_are_inert_whatever_a_card_says(conn: sqlite3.Connection) -> None:
    fill(conn, 60, hostile=True)
    text = "".join(drawer.chunks(conn, drawer.read(conn, frame.read(conn))))
    assert text.isascii()
    assert "<" not in text
    assert any("\\u003cscript" in text for _ in HOSTILE)


def test_the_digest_is_of_everything_in_the_chunks(conn: sqlite3.Connection) -> None:
    fill(conn, 30)
    before = digest(conn)
    for change in (
        "UPDATE card SET input_hash = 'new' WHERE dataset_id = 3",
        "UPDATE field_value SET verified = 1 - verified",
        "UPDATE field_value SET value = '\"remix\"' WHERE field = 'provenance_method'",
        "UPDATE neighbor SET distance = distance / 2",
    ):
        conn.execute(change)
        assert digest(conn) != before, change
        before = digest(conn)


def test_the_digest_does_not_tell_in_which_order_cards_were_read(conn: sqlite3.Connection) -> None:
    fill(conn, 30)
    before = digest(conn)
    conn.execute("PRAGMA foreign_keys = OFF")
    for table in ("result", "embedding", "field_value", "summary"):
        conn.execute(f"UPDATE {table} SET result_id = -result_id")
    assert digest(conn) == before


def test_a_page_reads_the_tables_of_its_drawer_once(conn: sqlite3.Connection, tmp_path: Path) -> None:
    run = fill(conn, 30)
    statements: list[str] = []
    conn.set_trace_callback(statements.append)
    page.ensure(conn, run_id=run, out=tmp_path, emit=lambda event: None)
    for table in ("claim c", "neighbor", "substr(text"):
        assert len([sql for sql in statements if table in sql and "quotes" not in sql]) == 1, table
    statements.clear()
    assert page.ensure(conn, run_id=run, out=tmp_path, emit=lambda event: None).skipped
    assert not [sql for sql in statements if "substr(text" in sql], "cards are read for a new page alone"


def test_old_chunks_go_when_new_ones_come(conn: sqlite3.Connection, tmp_path: Path) -> None:
    run = fill(conn, 30)
    for _ in range(2):
        page.ensure(conn, run_id=run, out=tmp_path, emit=lambda event: None)
        conn.execute("UPDATE dataset SET likes = likes + 1")
    (chunk,) = (tmp_path / "data").iterdir()
    assert f'"prefix":"data/{chunk.name.removesuffix("0.js")}"' in (tmp_path / "index.html").read_text()
    chunk.write_text("altered")
    assert not page.ensure(conn, run_id=run, out=tmp_path, emit=lambda event: None).skipped


def test_the_methodology_says_what_the_run_did(conn: sqlite3.Connection) -> None:
    run = fill(conn, 80)
    conn.execute('UPDATE run SET settings = \'{"rank": "likes", "target": 5000}\'')
    conn.execute(
        "INSERT INTO call (run_id, stage, provider, model, items, input_tokens, output_tokens, usd, seconds, outcome,"
        " finished_at) VALUES (?, 'extract', 'anthropic', 'claude-haiku-4-5-20251001', 1, 1200, 80, 1.25, 1, 'ok', '')",
        (run,),
    )
    data = frame.read(conn)
    facts = map_facts(conn)
    text = methodology.render(facts, data, title="A <b>map</b>", libraries=None)
    assert "A &lt;b&gt;map&lt;/b&gt;" in text
    for wanted in (
        "80 datasets",
        "ranked by likes",
        "up to 5,000",
        "n_neighbors",
        "claude-haiku-4-5-20251001 (anthropic, 80",
    ):
        assert wanted in text, wanted
    assert "1.25" in text
    quoted, verified = conn.execute(
        "SELECT count(*), sum(verified) FROM quotes WHERE field = 'geo_scope' AND coalesce(quote, '') <> ''"
    ).fetchone()
    row = re.search(r"<code>geo_scope</code></td>(.*?)</tr>", text)
    assert row
    assert f">{100 * verified / quoted:.0f} %<" in row[1]
    assert "https://" not in text
    conn.execute("UPDATE field_value SET verified = 0")
    assert methodology.digest(map_facts(conn)) != methodology.digest(facts)


def test_the_methodology_of_a_map_of_one(conn: sqlite3.Connection) -> None:
    fill(conn, 1, hostile=True)
    conn.execute("UPDATE spec SET model = '<script>alert(1)</script>'")
    text = methodology.render(map_facts(conn), frame.read(conn), title="t", libraries=None)
    assert "<script>alert" not in text
    assert "too small for topics" in text
    assert "1 dataset," in text
