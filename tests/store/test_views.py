"""The view `datasets`: its columns follow the taxonomy in force, and people's corrections win in it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import StoreError, UsageError
from engine.queries import known_dataset
from engine.store.connection import open_passes, prepare, transaction
from engine.store.datasets import CardRow, insert_card
from engine.store.migrations import schema_sql
from engine.store.overrides import Correction, clear_corrections, put_corrections, read_corrections
from engine.store.results import Spec, put_in_force
from engine.store.views import datasets_view, ensure_views, load_taxonomy, taxonomy_in_force, update_model_names
from taxonomy.model import Taxonomy, dumps, load, loads
from tests.database import Database

NOW = "2026-11-20T10:00:00Z"
PROMISED = [
    "repo_id",
    "author",
    "name",
    "pretty_name",
    "url",
    "rank",
    "on_map",
    "likes",
    "downloads",
    "created_at",
    "last_modified",
    "sha",
    "gated",
    "license",
    "license_family",
    "size_category",
    "language",
    "task_category",
    "modality",
    "tags",
    "card_chars",
    "card_status",
    "summary",
    "subject_domain",
    "provenance_method",
    "training_stage",
    "primary_stage",
    "format_convention",
    "special_characteristics",
    "geo_scope",
    "upstream_models",
    "is_benchmark",
    "role",
    "topic_0",
    "topic_1",
    "topic_2",
    "topic_3",
    "topic_4",
    "topic_5",
    "x",
    "y",
]


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = tmp_path / "hfmap.sqlite"
    prepare(path)
    with open_passes(path) as conn:
        Database(conn, NOW).run()
        for stage in ("extract", "summarize"):
            put_in_force(conn, Spec(stage, "local", "rules", {}))
        yield conn


def add(conn: sqlite3.Connection, repo_id: str, summary: str = "A thing.", **fields: object) -> int:
    """A dataset with a card, a summary and these fields."""
    db = Database(conn, NOW)
    number = db.dataset(repo_id, name="n", card_status="ok")
    store_card(conn, number, repo_id)
    spec = dict(conn.execute("SELECT stage, spec_id FROM current_spec"))
    db.fields(db.result(spec["extract"], f"hash{number}"), fields, "a quote")
    db.summary(db.result(spec["summarize"], f"hash{number}"), summary)
    return number


def store_card(conn: sqlite3.Connection, number: int, repo_id: str, version: str = "") -> None:
    card = CardRow(number, repo_id, None, "A card.", 7, "none", "{}", "[]", f"hash{number}{version}", 1)
    for one in insert_card(card):
        conn.executemany(one.sql, one.rows)


def row(conn: sqlite3.Connection, repo_id: str) -> dict[str, object]:
    cursor = conn.execute("SELECT * FROM datasets WHERE repo_id = ?", (repo_id,))
    return dict(zip([c[0] for c in cursor.description], cursor.fetchone(), strict=True))


def columns(conn: sqlite3.Connection) -> list[str]:
    return [c[0] for c in conn.execute("SELECT * FROM datasets LIMIT 0").description]


def found_by_search(conn: sqlite3.Connection, word: str) -> list[str]:
    return [r[0] for r in conn.execute("SELECT repo_id FROM card_fts WHERE card_fts MATCH ?", (f"summary:{word}",))]


def own_taxonomy(*fields: dict[str, object]) -> Taxonomy:
    return loads(json.dumps({"name": "mine", "fields": list(fields)}))


def slugs(name: str, kind: str, *values: str) -> dict[str, object]:
    return {"name": name, "kind": kind, "description": "What it is.", "slugs": dict.fromkeys(values, "Meant so.")}


def test_the_schema_holds_the_view_of_the_packaged_taxonomy() -> None:
    statement = datasets_view(load().fields)
    assert " ".join(statement.split()) in " ".join(schema_sql().split())


def test_the_promised_columns_in_their_order(conn: sqlite3.Connection) -> None:
    assert columns(conn) == PROMISED
    assert ensure_views(conn, load()) is False
    assert columns(conn) == PROMISED


def test_nothing_is_written_where_nothing_differs(conn: sqlite3.Connection) -> None:
    ensure_views(conn, load())
    before = conn.execute("PRAGMA schema_version").fetchone(), conn.total_changes
    ensure_views(conn, load())
    assert (conn.execute("PRAGMA schema_version").fetchone(), conn.total_changes) == before


def test_the_columns_follow_an_own_taxonomy(conn: sqlite3.Connection) -> None:
    ensure_views(conn, load())
    own = own_taxonomy(slugs("order", "one", "first", "last"), slugs("training_stage", "one", "tuning", "sft", "other"))
    add(conn, "a/b", order="first", training_stage="tuning", subject_domain="other")
    assert ensure_views(conn, own) is True
    assert columns(conn) == [
        *PROMISED[: PROMISED.index("subject_domain")],
        *("training_stage", "primary_stage", "role", "order"),
        *PROMISED[PROMISED.index("topic_0") :],
    ]
    shown = row(conn, "a/b")
    assert (shown["order"], shown["primary_stage"], shown["role"]) == ("first", "tuning", None)
    assert taxonomy_in_force(conn) == own
    assert ensure_views(conn, load()) is True
    assert columns(conn) == PROMISED


@pytest.mark.parametrize("name", ["name", "summary", "rank", "role", "x", "topic_3", "dataset_id"])
def test_a_field_cannot_have_the_name_of_a_column(conn: sqlite3.Connection, name: str) -> None:
    with pytest.raises(UsageError, match=f'a field "{name}"'):
        ensure_views(conn, own_taxonomy(slugs(name, "one", "a")))
    assert columns(conn) == PROMISED
    assert conn.execute("SELECT count(*) FROM taxonomy").fetchone() == (0,)


def test_as_many_topic_columns_as_layers(conn: sqlite3.Connection) -> None:
    conn.execute(
        "INSERT INTO layout (layout_id, run_id, input_hash, parameters, points, created_at)"
        " VALUES (1, 1, 'h', '{}', 1, ?)",
        (NOW,),
    )
    conn.execute(
        "INSERT INTO topic_tree (tree_id, run_id, layout_id, input_hash, parameters, layers, created_at)"
        " VALUES (1, 1, 1, 'h', '{}', 8, ?)",
        (NOW,),
    )
    number = add(conn, "a/b")
    conn.execute("INSERT INTO topic (topic_id, tree_id, layer, name, named_by, size) VALUES (1, 1, 7, 'T', 'x', 1)")
    conn.execute("INSERT INTO topic_member (tree_id, dataset_id, layer, topic_id) VALUES (1, ?, 7, 1)", (number,))
    ensure_views(conn, load())
    assert [c for c in columns(conn) if c.startswith("topic_")] == [f"topic_{layer}" for layer in range(8)]
    assert row(conn, "a/b")["topic_7"] == "T"


@pytest.mark.parametrize(
    ("stages", "primary"),
    [
        (["sft", "preference"], "preference"),
        (["eval", "sft"], "sft"),
        (["pretraining", "domain-finetune"], "domain-finetune"),
        (["other", "raw-corpus"], "raw-corpus"),
        (["not_applicable"], "not_applicable"),
        ([], "not_stated"),
        (None, None),
    ],
)
def test_the_primary_stage(conn: sqlite3.Connection, stages: list[str] | None, primary: str | None) -> None:
    add(conn, "a/b", training_stage=stages)
    assert row(conn, "a/b")["primary_stage"] == primary


def test_values_are_those_in_force_else_the_newest(conn: sqlite3.Connection) -> None:
    add(conn, "a/b", subject_domain="old", is_benchmark=True)
    with transaction(conn):
        pass
    put_in_force(conn, Spec("extract", "anthropic", "m", {}))
    assert (row(conn, "a/b")["subject_domain"], row(conn, "a/b")["role"]) == ("old", "Benchmark")


def test_a_correction_wins_in_every_view(conn: sqlite3.Connection) -> None:
    number = add(conn, "a/b", subject_domain="law", training_stage=["sft"], is_benchmark=False)
    put_corrections(
        conn,
        [
            Correction(number, "subject_domain", "medicine", "I looked", "me"),
            Correction(number, "training_stage", ["eval"]),
            Correction(number, "is_benchmark", False),
            Correction(number, "geo_scope", ["Norway"]),
            Correction(number, "summary", "Corrected words."),
        ],
    )
    shown = row(conn, "a/b")
    assert shown["subject_domain"] == "medicine"
    assert (shown["training_stage"], shown["primary_stage"]) == ('["eval"]', "eval")
    assert (shown["geo_scope"], shown["summary"]) == ('["Norway"]', "Corrected words.")
    quotes = {r[0]: r[1:] for r in conn.execute("SELECT field, value, quote, verified, origin FROM quotes")}
    assert quotes == {
        "subject_domain": ("medicine", None, 0, "person"),
        "training_stage": ('["eval"]', None, 0, "person"),
        "is_benchmark": (0, "a quote", 1, "person"),  # confirmed: the quote still proves it
        "geo_scope": ('["Norway"]', None, 0, "person"),
    }
    assert (found_by_search(conn, "corrected"), found_by_search(conn, "thing")) == (["a/b"], [])
    assert clear_corrections(conn, number, "subject_domain") == ["subject_domain"]
    assert row(conn, "a/b")["subject_domain"] == "law"
    assert len(clear_corrections(conn, number)) == 4
    assert row(conn, "a/b")["summary"] == "A thing."
    assert found_by_search(conn, "thing") == ["a/b"]
    conn.execute("INSERT INTO card_fts (card_fts, rank) VALUES ('integrity-check', 1)")


def test_a_corrected_summary_survives_a_new_card_and_a_new_summary(conn: sqlite3.Connection) -> None:
    number = add(conn, "a/b")
    put_corrections(conn, [Correction(number, "summary", "Corrected words.")])
    store_card(conn, number, "a/b", version="new")
    assert found_by_search(conn, "corrected") == ["a/b"]
    spec_id = put_in_force(conn, Spec("summarize", "anthropic", "m", {}))
    assert found_by_search(conn, "corrected") == ["a/b"]
    result = conn.execute(
        "INSERT INTO result (spec_id, input_hash, run_id, created_at) VALUES (?, ?, 1, ?)",
        (spec_id, f"hash{number}new", NOW),
    ).lastrowid
    conn.execute("INSERT INTO summary (result_id, text) VALUES (?, 'A newer thing.')", (result,))
    assert found_by_search(conn, "corrected") == ["a/b"]
    assert row(conn, "a/b")["summary"] == "Corrected words."
    clear_corrections(conn, number)
    assert row(conn, "a/b")["summary"] == "A newer thing."
    assert found_by_search(conn, "newer") == ["a/b"]
    conn.execute("INSERT INTO card_fts (card_fts, rank) VALUES ('integrity-check', 1)")


def test_corrections_go_with_a_renamed_repository(conn: sqlite3.Connection) -> None:
    old, new = add(conn, "old/name"), add(conn, "new/name")
    put_corrections(conn, [Correction(old, "summary", "Corrected words."), Correction(old, "geo_scope", ["Norway"])])
    put_corrections(conn, [Correction(new, "geo_scope", ["Chile"])])
    conn.execute("UPDATE dataset SET card_status = 'deleted', on_map = 0 WHERE dataset_id = ?", (old,))
    conn.execute("INSERT OR REPLACE INTO alias (repo_id, dataset_id, run_id) VALUES ('old/name', ?, 1)", (new,))
    assert known_dataset(conn, "old/name") == (new, "new/name")
    kept = {c.field: c.value for _, c in read_corrections(conn)}
    assert kept == {"summary": "Corrected words.", "geo_scope": ["Chile"]}
    assert (row(conn, "new/name")["summary"], row(conn, "old/name")["summary"]) == ("Corrected words.", "A thing.")
    assert found_by_search(conn, "corrected") == ["new/name"]


def test_names_of_models_are_shown_in_their_usual_spelling(conn: sqlite3.Connection) -> None:
    add(conn, "a/1", upstream_models=["GPT-4", "Llama 2 7b"])
    add(conn, "a/2", upstream_models=["GPT-4"])
    add(conn, "a/3", upstream_models=["gpt4", "GPT-4o", "GPT 4"])
    add(conn, "a/4", upstream_models=["not_stated"])
    add(conn, "a/5", upstream_models=None)
    assert update_model_names(conn) == 2
    shown = [row(conn, f"a/{n}")["upstream_models"] for n in range(1, 6)]
    assert shown == ['["GPT-4","Llama 2 7b"]', '["GPT-4"]', '["GPT-4","GPT-4o"]', '["not_stated"]', None]
    raw = conn.execute("SELECT value FROM field_value WHERE value LIKE '%gpt4%'").fetchone()
    assert json.loads(raw[0]) == ["gpt4", "GPT-4o", "GPT 4"]
    put_corrections(conn, [Correction(5, "upstream_models", ["GPT 4"])])
    assert row(conn, "a/3")["upstream_models"] == '["GPT 4","GPT-4o"]'
    clear_corrections(conn, 5)
    assert row(conn, "a/3")["upstream_models"] == '["GPT-4","GPT-4o"]'
    before = conn.total_changes
    assert update_model_names(conn) == 2
    assert conn.total_changes == before


def test_a_taxonomy_is_written_and_read_back() -> None:
    assert loads(dumps(load())) == load()
    assert loads(dumps(load())).digest == load().digest


def test_errors_of_taxonomies_are_sentences(conn: sqlite3.Connection, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"name": "x",\n "fields": [{"name": "Bad Name"}]}')
    with pytest.raises(UsageError, match=r"mine\.json:2"):
        load_taxonomy(file)
    assert load_taxonomy(None) is load()
    conn.execute("INSERT INTO taxonomy VALUES ('d', 'n', '{}', 1, ?)", (NOW,))
    with pytest.raises(StoreError, match="in the database"):
        taxonomy_in_force(conn)


def test_a_reader_sees_one_view_or_the_other(conn: sqlite3.Connection, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "hfmap.sqlite")) as reader:
        reader.execute("BEGIN")
        assert len(columns(reader)) == len(PROMISED)
        ensure_views(conn, own_taxonomy(slugs("order", "one", "a")))
        assert columns(reader) == PROMISED
        reader.execute("ROLLBACK")
        assert "order" in columns(reader)


def test_search_finds_the_summary_that_the_view_shows(conn: sqlite3.Connection) -> None:
    number = add(conn, "a/b", summary="An old thing.")
    store_card(conn, number, "a/b", version="new")
    assert (row(conn, "a/b")["summary"], found_by_search(conn, "thing")) == (None, [])
    put_in_force(conn, Spec("summarize", "anthropic", "m", {}))
    store_card(conn, number, "a/b")  # a text that was summarized before, under another specification
    assert (row(conn, "a/b")["summary"], found_by_search(conn, "thing")) == ("An old thing.", ["a/b"])
    put_corrections(conn, [Correction(number, "summary", "Corrected words.")])
    put_corrections(conn, [Correction(number, "summary", "Other words.")])
    assert (found_by_search(conn, "thing"), found_by_search(conn, "other")) == ([], ["a/b"])
    conn.execute("INSERT INTO card_fts (card_fts, rank) VALUES ('integrity-check', 1)")


@pytest.mark.parametrize(
    ("stage", "kind", "runs", "given_up"),
    [
        ("extract", "permanent", 1, True),
        ("extract", "transient", 2, False),
        ("extract", "transient", 3, True),
        ("card", "transient", 9, False),
    ],
)
def test_what_is_given_up_is_not_due(
    conn: sqlite3.Connection, stage: str, kind: str, runs: int, given_up: bool
) -> None:
    number = add(conn, "a/b")
    store_card(conn, number, "a/b", version="new")
    spec = dict(conn.execute("SELECT stage, spec_id FROM current_spec")).get(stage)
    conn.execute(
        "INSERT INTO failure (dataset_id, stage, spec_id, input_hash, kind, reason, attempts, runs, run_id, failed_at)"
        " VALUES (?, ?, ?, ?, ?, 'HTTP 503', 8, ?, 1, ?)",
        (number, stage, spec, spec and f"hash{number}new", kind, runs, NOW),
    )
    assert conn.execute("SELECT kind, after_runs FROM given_up").fetchall() == [(kind, 3)] * given_up
    due = {stage for (stage,) in conn.execute("SELECT stage FROM todo")}
    assert due == {"extract", "summarize"} - ({stage} if given_up else set())
    put_in_force(conn, Spec("extract", "anthropic", "m", {}))
    assert "extract" in {stage for (stage,) in conn.execute("SELECT stage FROM todo")}


def test_what_a_correction_is_worth_and_what_is_given_up_stand_in_one_place_each() -> None:
    root = Path(__file__).parents[2]
    files = [root / "hfmap.sqlite.schema.sql", *(root / "engine").rglob("*.py"), *(root / "render").rglob("*.py")]
    texts = {file.relative_to(root).as_posix(): file.read_text() for file in files}
    # In the schema: the view `correction`, and the trigger that moves what belongs to a renamed dataset.
    reads = re.compile(r"(?<!DELETE )(?<!count\(\*\) )(?:FROM|JOIN) override\b")
    found = {name: len(reads.findall(text)) for name, text in texts.items() if reads.search(text)}
    assert found == {"hfmap.sqlite.schema.sql": 3, "engine/store/overrides.py": 1}
    assert re.findall(r"\bruns >= \w+", "".join(texts.values())) == ["runs >= after_runs"]
