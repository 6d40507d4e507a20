"""`hfmap map` in processes of its own: what is unchanged is left alone, and equal databases give equal pages."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.config import load_settings
from engine.errors import UsageError
from tests.conftest import Run, clean_environment
from tests.render import database
from tests.zygote import Zygote

HEAVY = (
    "umap", "toponymy", "datamapplot", "pandas", "sklearn", "scipy", "numba", "matplotlib", "datashader",
    "anthropic", "cohere", "openai", "huggingface_hub", "transformers",
)  # fmt: skip
SCRIPT = f"""
import sys
from engine.cli import main
try:
    main()
finally:
    print("loaded:", *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


class Map:
    """A database, its page's folder, and `hfmap map` on them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.db, self.site = folder, folder / "hfmap.sqlite", folder / "site"

    def draw(self, *arguments: str, seed: str = "0") -> tuple[dict[str, dict[str, Any]], list[str]]:
        """Draw; return how each pass ended, and which heavy libraries were loaded."""
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, "map", "--json", *arguments],
            cwd=self.folder,
            env=clean_environment(PYTHONHASHSEED=seed),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines()]
        passes = {event["stage"]: event for event in events if event["event"] == "pass_finished"}
        loaded = next(line for line in reversed(done.stderr.splitlines()) if line.startswith("loaded:"))
        return passes, loaded.split()[1:]

    def draw_warm(self, draw_hfmap: Run, *arguments: str) -> dict[str, dict[str, Any]]:
        """Draw in a forked process, where the libraries are compiled already; return how each pass ended."""
        done = draw_hfmap("map", "--json", *arguments, cwd=self.folder)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return {event["stage"]: event for event in events if event["event"] == "pass_finished"}

    def page(self) -> dict[str, bytes]:
        files = [self.site / "index.html", *sorted((self.site / "data").iterdir())]
        return {str(path.relative_to(self.site)): path.read_bytes() for path in files}

    def execute(self, sql: str, values: Sequence[object] = ()) -> None:
        with closing(sqlite3.connect(self.db)) as conn, conn:
            conn.execute(sql, values)


@pytest.fixture(scope="module")
def drawn(drawing_zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Map:
    """A map that a process drew whose order of hashes differs from that of every other."""
    made = Map(tmp_path_factory.mktemp("drawn"))
    with closing(database.create(made.db)) as conn:
        database.put(conn, database.cards(90))
    made.draw_warm(drawing_zygote.runner(made.folder))
    return made


@pytest.fixture
def map_(drawn: Map, tmp_path: Path) -> Map:
    """A copy of a map that is up to date. The page's path is part of what is stored: it is drawn once more."""
    shutil.copytree(drawn.folder, tmp_path, dirs_exist_ok=True)
    copy = Map(tmp_path)
    copy.execute("UPDATE artifact SET path = ?", (str((tmp_path / "site" / "index.html").resolve()),))
    return copy


def test_an_unchanged_map_is_left_alone_and_loads_nothing_heavy(map_: Map) -> None:
    before = map_.page()
    passes, loaded = map_.draw()
    assert {stage: event["skipped"] for stage, event in passes.items()} == dict.fromkeys(
        ("layout", "topics", "page"), True
    )
    assert loaded == []
    assert map_.page() == before


def test_likes_alone_redraw_the_page_and_nothing_else(map_: Map) -> None:
    before = map_.page()
    map_.execute("UPDATE dataset SET likes = 1000 WHERE dataset_id % 2")
    passes, loaded = map_.draw()
    assert [passes[stage]["skipped"] for stage in ("layout", "topics", "page")] == [True, True, False]
    assert not {"umap", "toponymy"} & set(loaded)
    assert map_.page()["index.html"] != before["index.html"]


def test_equal_databases_give_equal_pages(drawn: Map, tmp_path: Path) -> None:
    again = Map(tmp_path)
    with closing(database.create(again.db)) as conn:
        database.put(conn, database.cards(90))
    again.draw(seed="2")
    assert again.page() == drawn.page()


def test_a_new_layout_is_forced_and_forbidden(map_: Map, draw_hfmap: Run) -> None:
    passes = map_.draw_warm(draw_hfmap, "--relayout", "--max-topics", "3")
    assert passes["layout"]["detail"].endswith("refit")
    with closing(sqlite3.connect(map_.db)) as conn:
        tree = "(SELECT max(tree_id) FROM topic_tree)"
        assert conn.execute(f"SELECT count(*) FROM topic WHERE tree_id = {tree}").fetchone()[0] <= 3
        vectors = database.blobs(45, seed=9)
        changed = [
            database.Card(card.repo_id, card.text + "Changed.", vectors[i], card.pretty_name, columns=card.columns)
            for i, card in enumerate(database.cards(45))
        ]
        database.put(conn, changed)
    passes, loaded = map_.draw("--no-relayout")
    assert passes["layout"]["detail"].endswith("placed")
    assert "umap" not in loaded


def test_settings_of_the_layout(tmp_path: Path) -> None:
    assert load_settings({}, environ={}, cwd=tmp_path).relayout is None
    forbidden = load_settings({"relayout": False, "max_topics": "40"}, environ={"HFMAP_RELAYOUT": "1"}, cwd=tmp_path)
    assert (forbidden.relayout, forbidden.max_topics) == (False, 40)
    assert (forbidden.origin("relayout"), forbidden.origin("max_topics")) == ("--no-relayout", "--max-topics")
    (tmp_path / "hfmap.toml").write_text("relayout = true\nmax_topics = 12\n")
    written = load_settings({}, environ={}, cwd=tmp_path)
    assert (written.relayout, written.max_topics) == (True, 12)
    with pytest.raises(UsageError, match="max_topics"):
        load_settings({"max_topics": "0"}, environ={}, cwd=tmp_path)
