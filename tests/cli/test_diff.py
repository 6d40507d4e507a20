"""`hfmap diff` over rows as runs leave them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine.cli.app import hfmap as command
from engine.store.connection import prepare
from tests.cli.conftest import NOW

CHANGES = [
    # run, dataset, kind, field, before, after
    (2, 1, "entered", "", None, "1"),
    (2, 2, "entered", "", None, "40"),
    (2, 3, "rank", "", "100", "20"),
    (3, 2, "left", "", "40", "ok"),
    (3, 2, "rank", "", "40", "90"),
    (3, 3, "rank", "", "20", "100"),
    (3, 4, "field", "subject_domain", '"math-and-reasoning"', '"code-and-software"'),
    (3, 4, "field", "training_stage", '["sft"]', '["sft", "eval"]'),
    (3, 4, "summary", "", "Old words.", "New words."),
    (3, 4, "card", "", "hash-a", "hash-b"),
    (3, 5, "renamed", "", "org/first", "org/second"),
    (3, 6, "deleted", "", None, "the repository is gone"),
    (3, 6, "left", "", "7", "deleted"),
    (5, 4, "field", "subject_domain", '"code-and-software"', '"multi-domain"'),
    (5, 4, "field", "training_stage", '["sft", "eval"]', '["sft"]'),
    (5, 4, "card", "", "hash-b", "hash-a"),
    (5, 5, "renamed", "", "org/second", "org/five"),
    (5, 6, "entered", "", None, "9"),
    (5, 7, "rank", "", "10", "20"),
    (5, 8, "rank", "", "1000", "1200"),
]
NAMES = {n: f"org/{word}" for n, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight"), 1)}


@pytest.fixture
def changed(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = tmp_path / "hfmap.sqlite"
    prepare(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for run_id, name in ((1, "sync"), (2, "sync"), (3, "sync"), (4, "map"), (5, "sync"), (6, "map"), (7, "sync")):
            conn.execute(
                "INSERT INTO run (run_id, command, started_at, finished_at, outcome) VALUES (?, ?, ?, ?, ?)",
                (run_id, name, NOW, None if run_id == 7 else NOW, "running" if run_id == 7 else "done"),
            )
        for dataset_id, name in NAMES.items():
            conn.execute(
                "INSERT INTO dataset (dataset_id, repo_id, name, rank) VALUES (?, ?, ?, ?)",
                (dataset_id, name, name.partition("/")[2], dataset_id),
            )
        conn.executemany(
            "INSERT INTO change (run_id, dataset_id, kind, field, before, after) VALUES (?, ?, ?, ?, ?, ?)", CHANGES
        )
        yield conn


def call(*arguments: object) -> Result:
    return CliRunner().invoke(command, ["diff", *map(str, arguments)])


def facts(*arguments: object) -> dict[str, list[dict[str, Any]]]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, list[dict[str, Any]]] = json.loads(result.stdout)
    return found


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["repo_id"].removeprefix("org/") for item in items]


def test_one_run(changed: sqlite3.Connection) -> None:
    found = facts(3)
    assert [run["run_id"] for run in found["runs"]] == [3]
    assert (found["entered"], names(found["left"]), names(found["deleted"])) == ([], ["six", "two"], ["six"])
    assert found["left"][0] == {"repo_id": "org/six", "before": 7, "after": "deleted"}
    assert found["renamed"] == [{"repo_id": "org/five", "before": "org/first", "after": "org/second"}]
    assert found["rank"] == [
        {"repo_id": "org/three", "before": 20, "after": 100},
        {"repo_id": "org/two", "before": 40, "after": 90},
    ]
    assert [(f["field"], f["before"], f["after"]) for f in found["field"]] == [
        ("subject_domain", "math-and-reasoning", "code-and-software"),
        ("training_stage", ["sft"], ["sft", "eval"]),
    ]
    assert found["summary"] == [{"repo_id": "org/four", "before": "Old words.", "after": "New words."}]
    assert names(found["card"]) == ["four"]


def test_without_a_run_it_is_the_last_sync_that_ended(changed: sqlite3.Connection) -> None:
    assert facts() == facts(5)
    # The farthest move, in proportion, comes first.
    assert names(facts()["rank"]) == ["seven", "eight"]


def test_two_runs_are_folded(changed: sqlite3.Connection) -> None:
    found = facts(1, 5)
    assert [run["run_id"] for run in found["runs"]] == [2, 3, 4, 5]
    # two came and went; six was deleted and came back.
    assert (names(found["entered"]), found["left"], found["deleted"]) == (["one"], [], [])
    assert names(found["rank"]) == ["seven", "eight"]
    assert found["field"] == [
        {"repo_id": "org/four", "field": "subject_domain", "before": "math-and-reasoning", "after": "multi-domain"}
    ]
    assert found["card"] == []
    assert found["renamed"] == [{"repo_id": "org/five", "before": "org/first", "after": "org/five"}]
    assert names(found["summary"]) == ["four"]
    # The first run itself is not part of it.
    assert names(facts(2, 5)["left"]) == ["two"]
    assert facts(5, 6)["entered"] == facts(3, 3)["entered"] == []


def test_in_words(changed: sqlite3.Connection) -> None:
    shown = call(3).stdout
    for words in ("run 3: sync", "left the map: 2", "deleted on the Hub: 1", "org/first → org/second", "+ New words."):
        assert words in shown
    assert "training_stage: sft → sft, eval" in shown
    assert "20 → 100" in shown
    assert "nothing changed" in call(1).stdout
    assert "runs 2 to 5" in call(1, 5).stdout


def test_hostile_text_and_long_lists(changed: sqlite3.Connection) -> None:
    changed.execute("UPDATE dataset SET repo_id = ? WHERE dataset_id = 4", ("evil/\x1b[31mred",))
    changed.execute("UPDATE change SET after = ? WHERE kind = 'summary'", ("\x1b]0;title\x07" + "long " * 100,))
    for number in range(100, 130):
        changed.execute("INSERT INTO dataset (dataset_id, repo_id, name) VALUES (?, ?, 'x')", (number, f"a/{number}"))
        changed.execute(
            "INSERT INTO change (run_id, dataset_id, kind, after) VALUES (3, ?, 'entered', ?)", (number, str(number))
        )
    shown = call(3).stdout
    assert not {char for char in shown if ord(char) < 32 and char != "\n"}
    assert max(map(len, shown.splitlines())) < 120
    assert "… and 10 more" in shown
    assert len(facts(3)["entered"]) == 30


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((99,), 1, "no run 99"),
        ((2, 99), 1, "no run 99"),
        ((5, 2), 2, "hfmap diff 2 5"),
        ((0,), 2, "0"),
        (("x",), 2, "x"),
    ],
)
def test_runs_that_are_not_there(changed: sqlite3.Connection, arguments: Any, code: int, words: str) -> None:
    result = call(*arguments)
    assert result.exit_code == code
    assert words in result.stderr


def test_before_the_first_sync(tmp_path: Path) -> None:
    assert call().exit_code == 1
    prepare(tmp_path / "hfmap.sqlite")
    result = call()
    assert result.exit_code == 1
    assert "hfmap sync" in result.stderr
