from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import PassError
from engine.events import Event, Notice, PassFinished
from render import vendor
from render.page import page

from .fill import connect, fill


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect(tmp_path / "hfmap.sqlite")
    yield connection
    connection.close()


def draw(conn: sqlite3.Connection, out: Path, run: int) -> tuple[page.PageResult, list[Event]]:
    events: list[Event] = []
    return page.ensure(conn, run_id=run, out=out, emit=events.append), events


def test_the_page_is_drawn_once_and_again_only_for_a_reason(conn: sqlite3.Connection, tmp_path: Path) -> None:
    run, out = fill(conn, 40), tmp_path / "site"
    result, events = draw(conn, out, run)
    assert not result.skipped
    assert isinstance(events[-1], PassFinished)
    first = result.path.read_bytes()
    assert not list(out.glob(".*"))

    assert draw(conn, out, run)[0].skipped
    assert result.path.read_bytes() == first

    result.path.write_bytes(first[:-10])
    assert not draw(conn, out, run)[0].skipped
    assert result.path.read_bytes() == first, "the same database gives the same bytes"

    (out / "methodology.html").unlink()
    assert not draw(conn, out, run)[0].skipped

    conn.execute("UPDATE dataset SET likes = likes + 1")
    assert not draw(conn, out, run)[0].skipped
    assert result.path.read_bytes() != first


@pytest.mark.parametrize("name", ["escape.py", "drawer.py", "map.js"])
def test_other_code_draws_another_page(
    conn: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run, out = fill(conn, 3), tmp_path / "site"
    draw(conn, out, run)
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b" " * (path.name == name))
    assert not draw(conn, out, run)[0].skipped


@pytest.mark.parametrize("n", [1, 2, 7])
def test_small_maps(conn: sqlite3.Connection, tmp_path: Path, n: int) -> None:
    result, _ = draw(conn, tmp_path / "site", fill(conn, n))
    assert "inf" not in re.findall(r"bounds: \[(.*?)\]", result.path.read_text())[0]


def test_datasets_in_one_spot_make_a_map(conn: sqlite3.Connection, tmp_path: Path) -> None:
    run = fill(conn, 5)
    conn.execute("UPDATE position SET x = 1, y = 1")
    draw(conn, tmp_path / "site", run)


def test_nothing_to_draw_is_a_sentence(conn: sqlite3.Connection, tmp_path: Path) -> None:
    with pytest.raises(PassError, match="nothing to draw"):
        draw(conn, tmp_path / "site", 1)


def test_a_folder_that_cannot_be_written_is_a_sentence(conn: sqlite3.Connection, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("a file")
    with pytest.raises(PassError, match="cannot be written"):
        draw(conn, tmp_path / "site", fill(conn, 3))


@pytest.mark.skipif(vendor.load() is None, reason="the browser libraries were not fetched at build time")
def test_the_page_links_to_no_other_host(conn: sqlite3.Connection, tmp_path: Path) -> None:
    result, events = draw(conn, tmp_path / "site", fill(conn, 5))
    text = result.path.read_text()
    assert not re.search(r"<(link|script|img|iframe)[^>]*(href|src)=[\"']?(https?:)?//", text)
    assert "unsafe-eval" not in text
    assert re.search(r"script-src (&#x27;sha256-|'sha256-)", text)
    assert not any(isinstance(event, Notice) for event in events)


def test_without_the_libraries_the_page_links_to_a_cdn_and_says_so(
    conn: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vendor, "FOLDER", tmp_path / "none")
    result, events = draw(conn, tmp_path / "site", fill(conn, 5))
    assert any(isinstance(event, Notice) and event.level == "warning" for event in events)
    text = result.path.read_text()
    assert len(re.findall(r"<script src=\"https://[^\"]+/(?:dist|Arrow\.es2015)\.min\.js\">", text)) == 2


def test_another_process_draws_the_same_bytes_and_leaves_the_users_home_alone(
    conn: sqlite3.Connection, tmp_path: Path
) -> None:
    run, home = fill(conn, 25), tmp_path / "home"
    home.mkdir()
    result, _ = draw(conn, tmp_path / "a", run)
    script = (
        "import sqlite3; from pathlib import Path; from render.page import page;"
        f"page.ensure(sqlite3.connect({str(tmp_path / 'hfmap.sqlite')!r}), run_id={run},"
        f" out=Path({str(tmp_path / 'b')!r}), emit=lambda event: None)"
    )
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "MPLCONFIGDIR": str(tmp_path / "matplotlib")}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2], env=environment)
    assert (tmp_path / "b" / "index.html").read_bytes() == result.path.read_bytes()
    assert not [path for path in home.rglob("*") if "datamapplot" in path.name]


def test_an_unchanged_page_imports_nothing_heavy(conn: sqlite3.Connection, tmp_path: Path) -> None:
    run = fill(conn, 25)
    draw(conn, tmp_path / "site", run)
    script = (
        "import sqlite3, sys; from pathlib import Path; from render.page import page;"
        f"result = page.ensure(sqlite3.connect({str(tmp_path / 'hfmap.sqlite')!r}), run_id={run},"
        f" out=Path({str(tmp_path / 'site')!r}), emit=lambda event: None);"
        "assert result.skipped;"
        "assert not {'datamapplot', 'pandas', 'matplotlib', 'sklearn', 'jinja2'} & set(sys.modules), 'too much'"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])
