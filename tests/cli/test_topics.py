"""`hfmap topics`: the tree for people and programs, and names that people give."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine.cli.app import hfmap as command
from engine.store.connection import writing
from engine.store.topics import read_newest_tree
from render.layout import layout
from render.topics import topics
from tests.conftest import clean_environment
from tests.render import database

Hfmap = Callable[..., Result]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("topics") / "hfmap.sqlite"
    with closing(database.create(path)) as conn:
        database.put(conn, database.cards(90))
        find(conn)
    return path


def find(conn: sqlite3.Connection, **how: Any) -> None:
    placed = layout.ensure(conn, run_id=1, emit=lambda _: None, **how)
    topics.ensure(conn, run_id=1, layout_id=placed.layout_id, namer=None, emit=lambda _: None)


@pytest.fixture
def db(made: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "hfmap.sqlite"
    copy.write_bytes(made.read_bytes())
    return copy


@pytest.fixture
def hfmap(db: Path) -> Hfmap:
    return lambda *arguments: CliRunner().invoke(command, ["topics", "--db", str(db), *map(str, arguments)])


def listed(hfmap: Hfmap, *arguments: object) -> dict[str, Any]:
    result = hfmap("--json", *arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_tree_as_json(hfmap: Hfmap, db: Path) -> None:
    found = listed(hfmap)
    with closing(sqlite3.connect(db)) as conn:
        stored = read_newest_tree(conn)
        repo_ids = {repo_id for (repo_id,) in conn.execute("SELECT repo_id FROM dataset")}
    assert stored is not None
    assert found["layers"] == stored.layers
    assert sorted((t["id"], t["layer"], t["name"], t["size"]) for t in found["topics"]) == sorted(
        (t.lasting_id, t.place[0], t.name, len(t.members)) for t in stored.topics
    )
    ids = {t["id"] for t in found["topics"]}
    for topic in found["topics"]:
        assert topic["parent"] is None or topic["parent"] in ids
        assert topic["key_phrases"]
        assert set(topic["exemplars"]) <= repo_ids
        assert topic["exemplars"]
        assert topic["named_by"] == "key-phrases"
    coarsest = listed(hfmap, "--layer", 0)["topics"]
    assert coarsest == [t for t in found["topics"] if t["layer"] == 0]


def test_the_tree_for_people(hfmap: Hfmap, db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("UPDATE topic SET key_phrases = ?", (json.dumps(["a\x1b[31mred"]),))
    found = listed(hfmap)
    text = hfmap().stdout
    assert "\x1b" not in text
    for topic in found["topics"]:
        assert f"{topic['name']} ({topic['size']})" in text
        assert f"like {topic['exemplars'][0]}" in text


def test_listing_needs_no_lock_and_no_heavy_library(db: Path) -> None:
    script = (
        "import sys\nfrom engine.cli import main\ntry:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    with writing(db):
        done = subprocess.run(
            [sys.executable, "-c", script, "topics", "--db", str(db)],
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert not {"numpy", "scipy", "umap", "toponymy", "anthropic", "rich"} & set(done.stderr.split())


def test_a_persons_name_survives_a_new_layout(hfmap: Hfmap, db: Path) -> None:
    chosen = listed(hfmap)["topics"][0]
    result = hfmap("--rename", chosen["id"], "  What I\tcall it ")
    assert result.exit_code == 0, result.output
    with closing(sqlite3.connect(db)) as conn:
        find(conn, relayout=True)
    after = {t["id"]: t for t in listed(hfmap)["topics"]}
    assert (after[chosen["id"]]["name"], after[chosen["id"]]["named_by"]) == ("What I call it", "person")
    assert "What I call it" in hfmap().stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--rename", "x", "Name"), "no topic's id"),
        (("--rename", "99999", "Name"), "There is no topic 99999"),
        (("--rename", "1", " \x1b "), "cannot be empty"),
        (("--rename", "1", "x" * 81), "at most 80"),
        (("--rename", "1", "Name", "--layer", "0"), "leave out --layer"),
        (("--layer", "9"), "no layer 9"),
    ],
)
def test_refusals(hfmap: Hfmap, arguments: tuple[str, ...], sentence: str) -> None:
    result = hfmap(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_renaming_waits_for_nobody(hfmap: Hfmap, db: Path) -> None:
    with writing(db):
        result = hfmap("--rename", "1", "Name")
    assert result.exit_code == 1
    assert "is being written" in result.stderr


def test_before_there_are_topics(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    database.create(path).close()
    result = CliRunner().invoke(command, ["topics", "--db", str(path)])
    assert result.exit_code == 0
    assert "no topics yet" in result.stderr
    assert json.loads(CliRunner().invoke(command, ["topics", "--db", str(path), "--json"]).stdout) is None
