"""`engine.queries` from Python: what it offers, and that the command line prints these very answers."""

from __future__ import annotations

import inspect
import json
import pkgutil
import sqlite3
import threading
from contextlib import closing, suppress
from dataclasses import FrozenInstanceError, asdict, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from engine import queries
from engine.cli.app import hfmap as command
from engine.errors import HfmapError, StoreError
from engine.queries import sql as guarded_sql
from engine.queries.sql import GuardedConnection, TimeLimitError
from tests.cli.conftest import NOW

GSM8K = "openai/gsm8k"


def printed(*arguments: object) -> Any:
    result = CliRunner().invoke(command, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def as_printed(value: Any) -> Any:
    """As JSON: tuples are lists, and flags of rows are 0 or 1."""
    return json.loads(json.dumps(value))


@pytest.fixture
def changed(database: Path) -> Path:
    with closing(sqlite3.connect(database)) as conn, conn:
        conn.execute("INSERT INTO change (run_id, dataset_id, kind, after) VALUES (1, 1, 'entered', '1')")
        conn.execute(
            "INSERT INTO layout (layout_id, run_id, input_hash, parameters, points, created_at)"
            " VALUES (1, 1, 'x', '{}', 4, ?)",
            (NOW,),
        )
        conn.execute(
            "INSERT INTO topic_tree (tree_id, run_id, layout_id, input_hash, parameters, layers, created_at)"
            " VALUES (1, 1, 1, 'x', '{}', 1, ?)",
            (NOW,),
        )
        conn.execute(
            "INSERT INTO topic (topic_id, tree_id, layer, name, named_by, key_phrases, exemplars, size)"
            " VALUES (7, 1, 0, 'Sums', 'key-phrases', '[\"sums\"]', '[1, 5]', 4)"
        )
        conn.execute("INSERT INTO topic_member (tree_id, dataset_id, layer, topic_id) VALUES (1, 1, 0, 7)")
    return database


def test_every_name_is_there_and_says_what_it_is() -> None:
    assert queries.__all__ == sorted(queries.__all__)
    homes = [name for names in queries._HOMES.values() for name in names]
    assert sorted([*homes, "open_database"]) == queries.__all__ == dir(queries)
    for name in queries.__all__:
        assert inspect.getdoc(getattr(queries, name)), name
    # A module of a function's name would hide the function as soon as somebody imports the module.
    assert not {module.name for module in pkgutil.iter_modules(queries.__path__)} & set(queries.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = queries.nothing


@pytest.mark.parametrize("plain", [True, False], ids=["any connection", "open_database"])
def test_the_command_line_prints_the_answers(changed: Path, plain: bool) -> None:
    with closing(sqlite3.connect(changed)) if plain else queries.open_database(changed) as conn:
        status = queries.status(conn, changed)
        tree = queries.topics(conn)
        assert tree is not None
        answers = [
            (("status", "--db", changed), asdict(status)),
            (("show", "gsm8k"), queries.dataset(conn, "gsm8k").as_json()),
            (("diff", 1), queries.changes(conn, 1).as_json()),
            (("topics",), asdict(tree)),
            (("search", "film"), [asdict(match) for match in queries.search(conn, "film")]),
            (("related", GSM8K, "--limit", 2), [asdict(match) for match in queries.related(conn, GSM8K, 2)]),
        ]
        doubts = [asdict(doubt) for doubt in queries.review(conn)]
        for arguments, answer in answers:
            # True == 1, so a flag of a row equals what is printed for it.
            assert printed(*arguments) == as_printed(answer), arguments
        assert [{k: v for k, v in doubt.items() if k != "command"} for doubt in printed("review")] == as_printed(doubts)
        assert Path(queries.status(conn).database).samefile(changed)


def test_answers_are_frozen_and_typed(changed: Path) -> None:
    with queries.open_database(changed) as conn:
        found = queries.dataset(conn, f"https://huggingface.co/datasets/{GSM8K}/")
        tree = queries.topics(conn, layer=0)
    assert (found.repo_id, found.summary, found.columns["tags"]) == (GSM8K, "Word problems", ["language:en"])
    assert [(topic.layer, topic.name) for topic in found.topics] == [(0, "Sums")]
    assert {claim.field: (claim.value, claim.verified) for claim in found.fields}["geo_scope"] == (
        ["not_stated"],
        False,
    )
    assert tree is not None
    # What is not on the map is no example.
    assert [(node.id, node.exemplars, node.key_phrases) for node in tree.topics] == [(7, (GSM8K,), ("sums",))]
    for answer in (found, tree, tree.topics[0]):
        assert is_dataclass(answer)
        with pytest.raises((FrozenInstanceError, TypeError)):
            answer.name = "x"  # type: ignore[misc, union-attr]


def test_refusals_are_errors_of_hfmap(database: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database"), queries.open_database(tmp_path / "none.sqlite"):
        pass
    with queries.open_database(database) as conn:
        with pytest.raises(HfmapError, match="no dataset 'openai/gsm9k'"):
            queries.dataset(conn, "openai/gsm9k")
        with pytest.raises(HfmapError, match="no embedding"):
            queries.related(conn, "lost/gated")
        with pytest.raises(HfmapError, match="There is no run 9"):
            queries.changes(conn, 9)
        assert queries.topics(conn) is None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            conn.execute("DELETE FROM run")


def test_a_program_is_told_of_a_query_that_cannot_be_stopped_and_goes_on(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded_sql, "GRACE", 0.0)
    told: list[TimeLimitError] = []
    heard = threading.Event()

    def stuck(error: TimeLimitError) -> None:
        told.append(error)
        heard.set()

    # Each of a million places is compared with ten thousand characters, in one step of SQLite's.
    needle = "printf('%.*c', 10000, 'a') || 'b'"
    with queries.open_database(database) as conn:
        guarded = GuardedConnection(conn, seconds=0.001, stuck=stuck)
        with suppress(TimeLimitError):
            for _ in guarded.query(f"SELECT instr(printf('%.*c', 1000000, 'a'), {needle})")[1]:
                pass
    assert heard.is_set()
    assert "longer than 0.001 s" in str(told[0])
