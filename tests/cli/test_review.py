"""`hfmap review`: which values it lists, in which order, and the command it offers."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from engine.cli.app import hfmap as command

GSM8K = "openai/gsm8k"
NOW = "2026-11-20T10:00:00Z"


def review(*arguments: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(command, ["review", "--json", *arguments])
    assert done.exit_code == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def change(database: Path, *statements: str) -> None:
    with sqlite3.connect(database) as conn:
        for statement in statements:
            conn.execute(statement)
    conn.close()


def field(dataset: int, name: str, value: str | None, rest: str = "'a quote', 1, 0.9, NULL") -> str:
    shown = "NULL" if value is None else f"'{value}'"
    return (
        "INSERT INTO field_value (result_id, field, value, quote, verified, confidence, problem) SELECT result_id,"
        f" '{name}', {shown}, {rest} FROM in_force WHERE dataset_id = {dataset} AND stage = 'extract'"
    )


@pytest.fixture
def second_opinion(database: Path) -> Path:
    """Another provider read the card of gsm8k."""
    change(
        database,
        f"INSERT INTO spec VALUES (9, 'extract', 'h9', 'anthropic', 'claude-haiku', '{{}}', '{NOW}')",
        f"INSERT INTO result VALUES (900, 9, 'hash1', 1, NULL, '{NOW}')",
        "INSERT INTO field_value (result_id, field, value, verified) VALUES (900, 'subject_domain', '\"code-and-software\"', 1)",
    )
    return database


def test_nothing_to_review(database: Path) -> None:
    assert review() == []
    done = CliRunner().invoke(command, ["review"])
    assert (done.stdout, done.exit_code) == ("", 0)
    assert "Nothing to review" in done.stderr


def test_every_reason_is_told_and_the_worst_comes_first(second_opinion: Path) -> None:
    change(
        second_opinion,
        field(1, "provenance_method", None, "NULL, 0, NULL, '\"scraping\" is no slug'"),
        field(1, "format_convention", '"tabular"', "'made up', 0, 0.9, NULL"),
        field(2, "format_convention", '"tabular"', "'in the card', 1, 0.2, NULL"),
        field(2, "training_stage", '["sft"]', "'in the card', 1, 0.9, 'read from \"sft\"'"),
        field(2, "is_benchmark", "true", "'not_stated', 0, 0.9, NULL"),
        field(3, "is_benchmark", "false", "NULL, 0, 0.9, NULL"),
        field(3, "training_stage", '["not_stated"]', "NULL, 0, NULL, NULL"),
    )
    found = review()
    assert [(d["repo_id"], d["field"], d["reasons"]) for d in found] == [
        (GSM8K, "provenance_method", ['no valid value: "scraping" is no slug']),
        (GSM8K, "subject_domain", ["anthropic (claude-haiku) reads code-and-software"]),
        ("stanfordnlp/imdb", "format_convention", ["confidence 0.20"]),
        (GSM8K, "format_convention", ["its quote is not in the card"]),
        ("stanfordnlp/imdb", "is_benchmark", ["it has no quote"]),
        ("stanfordnlp/imdb", "training_stage", ['repaired: read from "sft"']),
    ]
    assert [d["score"] for d in found] == sorted((d["score"] for d in found), reverse=True)
    assert found[1]["command"] == "hfmap override openai/gsm8k subject_domain code-and-software"
    assert found[0]["command"] == "hfmap override openai/gsm8k provenance_method VALUE"
    assert [d["field"] for d in review("--limit", "2")] == ["provenance_method", "subject_domain"]
    done = CliRunner().invoke(command, ["review", "--limit", "2"])
    assert "hfmap override openai/gsm8k subject_domain code-and-software" in done.stdout
    assert "4 more: hfmap review --limit 6" in done.stderr


def test_what_was_corrected_is_not_listed(second_opinion: Path) -> None:
    (doubt,) = review()
    arguments = doubt["command"].split()[1:]
    assert CliRunner().invoke(command, arguments).exit_code == 0
    assert review() == []


def test_agreement_and_spelling_are_no_doubt(second_opinion: Path) -> None:
    change(
        second_opinion,
        "UPDATE field_value SET value = '\"math-and-reasoning\"' WHERE result_id = 900",
        field(1, "upstream_models", '["GPT-4", "Llama 2 7b"]'),
        "INSERT INTO field_value (result_id, field, value) VALUES (900, 'upstream_models', '[\"llama-2-7b\", \"gpt4\"]')",
    )
    assert review() == []


def test_a_silent_reader_weighs_less(second_opinion: Path) -> None:
    (loud,) = review()
    change(second_opinion, "UPDATE field_value SET value = '\"not_stated\"' WHERE result_id = 900")
    (silent,) = review()
    assert silent["score"] < loud["score"]


def test_hostile_text_is_shown_harmless(database: Path) -> None:
    change(
        database,
        f"INSERT INTO result VALUES (901, 2, 'hash4', 1, NULL, '{NOW}')",
        "INSERT INTO field_value (result_id, field, value, quote) VALUES (901, 'geo_scope', '[\"a\\u001b[31m\"]', 'x\x1b[2J')",
    )
    done = CliRunner().invoke(command, ["review"])
    assert "geo_scope" in done.stdout
    assert "\x1b" not in done.stdout
