from __future__ import annotations

import re
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import PassError
from render.page import frame, page, picture, plot

from .fill import connect, fill


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    connection = connect()
    yield connection
    connection.close()


def shape(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.parametrize(("n", "hostile"), [(1, False), (2, False), (5, False), (120, True)])
def test_maps_of_all_kinds(conn: sqlite3.Connection, capfd: pytest.CaptureFixture[str], n: int, hostile: bool) -> None:
    fill(conn, n, hostile=hostile)
    data = frame.read(conn)
    png = picture.draw(data, plot.prepare(data), title="$\\frac{1}{0}$ <b>")
    assert shape(png) == (2400, 1600)
    assert capfd.readouterr() == ("", "")


def test_datasets_in_one_spot(conn: sqlite3.Connection) -> None:
    fill(conn, 40)
    conn.execute("UPDATE position SET x = 1, y = 1")
    data = frame.read(conn)
    picture.draw(data, plot.prepare(data), title="t", shape=picture.CARD)


def test_formulas_in_names_are_text(conn: sqlite3.Connection) -> None:
    fill(conn, 60)
    conn.execute("UPDATE topic SET name = '$\\undefined{$ \\$x_' || topic_id")
    data = frame.read(conn)
    picture.draw(data, plot.prepare(data), title="t", shape=picture.CARD)


def test_the_same_database_gives_the_same_bytes(conn: sqlite3.Connection) -> None:
    fill(conn, 60)
    data = frame.read(conn)
    drawing = plot.prepare(data)
    light, again, dark = (
        picture.draw(data, drawing, title="t", shape=picture.CARD, dark=d) for d in (False, False, True)
    )
    assert light == again != dark
    assert shape(light) == (1200, 630)


def test_a_page_with_a_picture_has_a_preview(conn: sqlite3.Connection, tmp_path: Path) -> None:
    run, out = fill(conn, 60), tmp_path / "site"
    file = tmp_path / "pictures" / "map.png"

    def draw(png: Path | None = None) -> page.PageResult:
        return page.ensure(conn, run_id=run, out=out, emit=lambda event: None, png=png)

    before = draw().path.read_text()
    assert "og:image" not in before
    assert draw().skipped
    text = draw(file).path.read_text()
    assert re.search(r'<meta property="og:image" content="preview.png" />', text)
    assert shape((out / "preview.png").read_bytes()) == (1200, 630)
    assert shape(file.read_bytes()) == shape((file.parent / "map-dark.png").read_bytes()) == (2400, 1600)
    assert draw().skipped, "a page keeps its preview"
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"')
    # But for the scripts' own hashes, the policy is the same: the picture is not loaded by the page.
    rules = [re.sub(r"&#x27;sha256-[^;]*;", "", policy.findall(html)[0]) for html in (text, before)]
    assert rules[0] == rules[1]


def test_a_file_that_cannot_be_written_is_a_sentence(conn: sqlite3.Connection, tmp_path: Path) -> None:
    fill(conn, 3)
    (tmp_path / "file").write_text("")
    with pytest.raises(PassError, match="cannot be written"):
        picture.write(frame.read(conn), tmp_path / "file" / "map.png", title="t")
