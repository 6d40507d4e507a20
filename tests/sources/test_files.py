"""Cards from folders, JSON lines and Parquet, and what is said of files that cannot be read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import SourceError
from engine.sources.base import Entry
from engine.sources.files import FileSource

pytestmark = pytest.mark.anyio

ROWS: list[dict[str, Any]] = [
    {"id": "a/one", "card": "# One", "likes": 5, "downloads": 9, "tags": ["license:mit"], "created_year": 2022},
    {"id": "b/two", "card": "# Two é", "likes": 50, "last_modified": "2024-05-01T10:00:00+02:00"},
    {"id": "plain", "card": "# Three", "likes": True, "downloads": -4, "last_modified": "no date"},
]


async def read(path: Path, limit: int = 100) -> list[Entry]:
    source = FileSource(path, "https://hub.example", "likes")
    return [entry async for chunk in source.chunks(limit) for entry in chunk]


async def test_json_lines_plain_and_zipped(tmp_path: Path) -> None:
    text = "\n".join(json.dumps(row) for row in ROWS) + "\n\n"
    plain, zipped = tmp_path / "cards.jsonl", tmp_path / "cards.jsonl.gz"
    plain.write_text(text)
    zipped.write_bytes(gzip.compress(text.encode()))
    for path in (plain, zipped):
        two, one, three = await read(path)
        assert (two.repo_id, two.likes, two.last_modified) == ("b/two", 50, "2024-05-01T08:00:00Z")
        assert two.card == "# Two é".encode()
        assert (one.author, one.name, one.created_at, one.tags) == ("a", "one", "2022", ("license:mit",))
        assert one.url == "https://hub.example/datasets/a/one"
        assert (three.author, three.likes, three.downloads, three.last_modified) == (None, None, None, None)
    assert [e.repo_id for e in await read(plain, limit=1)] == ["b/two"]


async def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "cards.parquet"
    pq.write_table(pa.table({k: [row.get(k) for row in ROWS[:2]] for k in ("id", "card", "likes", "tags")}), path)
    assert [(e.repo_id, e.likes, e.card) for e in await read(path)] == [
        ("b/two", 50, "# Two é".encode()),
        ("a/one", 5, b"# One"),
    ]


async def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "org--name-with--dashes.md").write_bytes(b"# x\xff")
    (tmp_path / "deep" / "org--other").mkdir(parents=True)
    (tmp_path / "deep" / "org--other" / "README.md").write_text("# y")
    (tmp_path / "listing.json").write_text(json.dumps({"org/other": {"likes": 3}}))
    assert [(e.repo_id, e.likes) for e in await read(tmp_path)] == [("org/other", 3), ("org/name-with--dashes", None)]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b'{"id": "a/b", "card": ""}\n{broken\n', "line 2: not JSON"),
        ("a.jsonl", b'{"id": "a/b", "card": ""}\n[1]\n', "line 2: not a JSON object"),
        ("a.jsonl", b'{"card": "no id"}\n', "line 1: the row has no id"),
        ("a.jsonl", b"", "no cards"),
        ("a.jsonl", b"\xff\xfe\n", "line 1: not JSON"),
        ("a.jsonl.gz", b"not gzip", "cannot be read"),
        ("a.parquet", b"not parquet", "not a readable Parquet file"),
        ("a.csv", b"id,card\n", "does not read"),
    ],
)
async def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=words) as caught:
        await read(path)
    assert str(path) in str(caught.value)


async def test_a_truncated_archive(tmp_path: Path) -> None:
    path = tmp_path / "cards.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in ROWS * 200).encode())[:-40])
    with pytest.raises(SourceError, match="cannot be read"):
        await read(path)


async def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file or folder"):
        await read(tmp_path / "absent")
    with pytest.raises(SourceError, match="no cards"):
        await read(tmp_path)
