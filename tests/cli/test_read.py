"""status, show, search, related: what they say about a small database."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.cli.app import hfmap as command
from engine.errors import UsageError
from engine.queries.matches import full_text_query
from engine.store.connection import prepare


def call(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def control_characters(text: str) -> set[str]:
    return {char for char in text if ord(char) < 32 and char != "\n"}


def test_status_counts_fresh_stale_and_failed(database: Path) -> None:
    facts = json.loads(call("status", "--json").stdout)
    assert (facts["datasets"], facts["on_map"], facts["usd"]) == (6, 4, 0.0015)
    assert facts["cards"] == {"ok": 4, "gated": 1, "pending": 1}
    counts = {s["stage"]: (s["fresh"], s["stale"], s["failed"]) for s in facts["stages"]}
    assert counts == {"embed": (4, 0, 0), "extract": (3, 0, 1), "summarize": (3, 1, 0)}
    assert facts["runs"][0]["seconds"] == 90
    assert {f["reason"] for f in facts["failures"]} == {"The model declined.", "503 Service Unavailable"}
    assert facts["bytes"] >= database.stat().st_size


def test_a_transient_failure_counts_as_failed_and_not_as_stale_too(database: Path) -> None:
    with sqlite3.connect(database) as conn:
        conn.execute("UPDATE failure SET kind = 'transient' WHERE stage = 'extract'")
    conn.close()
    extract = json.loads(call("status", "--json").stdout)["stages"][1]
    assert (extract["fresh"], extract["stale"], extract["failed"]) == (3, 0, 1)
    assert extract["failed_for_good"] == 0


def test_status_in_words(database: Path) -> None:
    shown = call("status").stdout
    for words in ("4 on the map", "summarize", "The model declined.", "claude-haiku", "partial, 1:30"):
        assert words in shown


def test_status_of_an_empty_database(tmp_path: Path) -> None:
    prepare(tmp_path / "hfmap.sqlite")
    result = call("status")
    assert result.exit_code == 0
    assert "nothing enriched yet" in result.stdout
    assert json.loads(call("status", "--json").stdout)["runs"] == []


@pytest.mark.parametrize("arguments", [["status"], ["show", "a/b"], ["search", "x"], ["related", "a/b"]])
def test_without_a_database_there_is_a_next_step(tmp_path: Path, arguments: list[str]) -> None:
    result = call(*arguments)
    assert result.exit_code == 1
    assert "hfmap sync --source sample" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "wanted", ["openai/gsm8k", "OpenAI/GSM8K", "gsm8k", "https://huggingface.co/datasets/openai/gsm8k/"]
)
def test_show_finds_a_dataset(database: Path, wanted: str) -> None:
    facts = json.loads(call("show", wanted, "--json").stdout)
    assert facts["repo_id"] == "openai/gsm8k"
    assert facts["tags"] == ["language:en"]
    fields = {field["field"]: field for field in facts["fields"]}
    assert fields["subject_domain"]["value"] == "math-and-reasoning"
    assert fields["subject_domain"]["verified"] is True
    assert fields["geo_scope"]["verified"] is False
    assert {origin["stage"] for origin in facts["origins"]} == {"embed", "extract", "summarize"}
    assert facts["card"]["text"].startswith("Arithmetic")


def test_show_marks_what_the_card_proves(database: Path) -> None:
    shown = call("show", "openai/gsm8k").stdout
    assert "subject_domain: math-and-reasoning\n    “Arithmetic” ✓ in the card" in shown
    assert "“made up” ✗ not in the card" in shown


def test_show_of_hostile_and_of_missing_cards(database: Path) -> None:
    shown = call("show", "evil/\x1b[31mred").stdout
    assert control_characters(shown) == set()
    assert "The model declined." in shown
    gated = call("show", "lost/gated").stdout
    assert "said no" in gated


def test_show_suggests_ids_like_an_unknown_one(database: Path) -> None:
    result = call("show", "openai/gsmk8")
    assert result.exit_code == 1
    assert "Did you mean openai/gsm8k?" in result.stderr
    assert call("show", "\x1b[2J").stderr.count("\x1b") == 0


def test_search_finds_words_phrases_and_beginnings(database: Path) -> None:
    def found(*words: str) -> list[str]:
        return [row["repo_id"] for row in json.loads(call("search", *words, "--json").stdout)]

    assert found("film") == ["stanfordnlp/imdb"]
    assert found("speech", "volunteers") == ["mozilla/voices"]
    assert found('"read aloud"') == ["mozilla/voices"]
    assert found("arith*") == ["openai/gsm8k"]
    assert found("gsm8k") == ["openai/gsm8k"]
    assert found("nothinglikeit") == []


@pytest.mark.parametrize(
    "text", ['a" OR text:b', "NEAR(", "x AND NOT", "-x", "^a", "co-lon:", "it's", "a*b**", "{a b}"]
)
def test_search_never_breaks_on_its_text(database: Path, text: str) -> None:
    assert call("search", "--", text).exit_code == 0


def test_search_needs_a_word() -> None:
    with pytest.raises(UsageError):
        full_text_query("-- ** '")


def test_related_orders_by_cosine(database: Path) -> None:
    rows = json.loads(call("related", "openai/gsm8k", "--json").stdout)
    similar = [row["similarity"] for row in rows]
    assert rows[0]["repo_id"] == "evil/\x1b[31mred"
    assert similar == sorted(similar, reverse=True)
    assert len(json.loads(call("related", "openai/gsm8k", "--limit", "1", "--json").stdout)) == 1


def test_related_needs_an_embedding(database: Path) -> None:
    result = call("related", "lost/gated")
    assert result.exit_code == 1
    assert "hfmap show lost/gated" in result.stderr


def test_a_wrong_hfmap_toml_is_told_by_every_command(database: Path) -> None:
    (database.parent / "hfmap.toml").write_text("targt = 5\n")
    result = call("status")
    assert result.exit_code == 2
    assert "'targt'" in result.stderr
    assert "'target'" in result.stderr
