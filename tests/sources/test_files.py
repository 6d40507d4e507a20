"""Cards from folders, JSON lines and Parquet, and what is said of files that cannot be read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import SourceError
from engine.hub.entries import Entry
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
        ("a.jsonl", b"{broken\n", "line 1: it is not JSON"),
        ("a.jsonl", b"[1]\n[2]\n", "line 1: it is not a JSON object; so it is with all 2"),
        ("a.jsonl", b'{"id": "a/b"}'.replace(b"b", b"\\u0000"), r"its id is 'a/\\x00'"),
        ("a.jsonl", b'{"card": "no id"}\n', "line 1: the row has no id"),
        ("a.jsonl", b"", "no cards"),
        ("a.jsonl", b"\xff\xfe\n", "line 1: it is not JSON"),
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


BAD_LINES = [
    (b"{broken", "it is not JSON"),
    (b"[1]", "it is not a JSON object"),
    (b'{"card": "no id"}', "the row has no id"),
    (b'{"id": true, "name": ["x"]}', "the row has no id"),
    (b'{"id": "a/\\ud800"}', r"its id is 'a/\ud800'"),
    (b'{"id": "a/"}', "its id is 'a/'"),
    (b'{"id": "' + b"a" * 300 + b'"}', "its id is longer than 250 characters"),
    (b'{"id": "a/b", "likes": ' + b"9" * 5000 + b"}", "it is not JSON"),
    (b'{"id": "a/b", "card": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    (b"\xff\xfe", "it is not JSON"),
]


async def test_bad_lines_stop_no_other(tmp_path: Path) -> None:
    path = tmp_path / "cards.jsonl"
    good = b'{"id": "a/good", "card": "x"}'
    path.write_bytes(b"\n".join([*(line for line, _ in BAD_LINES), good]))
    source = FileSource(path, "https://hub.example", "likes")
    assert [entry.repo_id async for chunk in source.chunks(100) for entry in chunk] == ["a/good"]
    assert [row.place for row in source.unreadable] == [f"line {n}" for n in range(1, 1 + len(BAD_LINES))]
    for row, (_, words) in zip(source.unreadable, BAD_LINES, strict=True):
        assert words in row.reason


async def test_values_that_are_no_numbers_dates_or_tags(tmp_path: Path) -> None:
    path = tmp_path / "cards.jsonl"
    odd: dict[str, list[Any]] = {
        "trending_score": [10**400, float("nan"), float("inf"), "9", None],
        "likes": [float("nan"), 10**30, -1, "many", True],
        "created_at": ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 1e9, {}, ""],
        "tags": ["license:mit", {"a": 1}, [1, None], 7, '["license:mit"]'],
        "card_data": [[1], "{", "7", '{"license": "mit"}', None],
        "card": [7, ["x"], {}, "\ud800", None],
    }
    lines = [{"id": f"a/{n}", **{name: values[n] for name, values in odd.items()}} for n in range(5)]
    path.write_text("\n".join(map(json.dumps, lines)))
    found = [e async for chunk in FileSource(path, "https://h", "trending_score").chunks(9) for e in chunk]
    assert [(e.likes, e.trending_score) for e in found] == [(None, None)] * 5
    assert [e.created_at for e in found] == ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", None, None, None]
    assert [e.tags for e in found] == [(), (), (), (), ("license:mit",)]
    assert [e.card_data for e in found] == [{}, {}, {}, {"license": "mit"}, {}]
    assert [e.card for e in found] == [b"", b"", b"", b"?", b""]


async def test_metadata_in_columns_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "cards.jsonl"
    row = {
        "datasetId": "a/b", "card": "x", "createdAt": "2022-03-02T23:29:22.000Z", "lastModified": "2023-01-01",
        "language": ["en", False], "license": "mit", "pretty_name": "B", "gated": True, "downloadsAllTime": 7,
    }  # fmt: skip
    path.write_text(json.dumps(row))
    (entry,) = await read(path)
    assert (entry.repo_id, entry.created_at, entry.last_modified) == (
        "a/b", "2022-03-02T23:29:22Z", "2023-01-01T00:00:00Z",
    )  # fmt: skip
    assert (entry.gated, entry.downloads_all_time) == ("auto", 7)
    assert entry.card_data == {"pretty_name": "B", "license": "mit", "language": ["en", False]}


async def test_parquet_of_every_type(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    not_utf8 = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\3\0\0\0"), pa.py_buffer(b"\xff\xfe!")]
    )
    far_off = pa.array([1 << 62], pa.timestamp("us"))  # in the year 148,107
    path = tmp_path / "cards.parquet"
    table = {
        "id": pa.array(["a/b"]).dictionary_encode(), "card": not_utf8, "created_at": far_off, "likes": ["12"],
        "license": ["mit"], "tags": ['["x"]'], "card_data": [{"language": ["en", None]}],
    }  # fmt: skip
    pq.write_table(pa.table(table), path)
    (entry,) = await read(path)
    assert (entry.repo_id, entry.card, entry.created_at, entry.likes) == ("a/b", b"\xff\xfe!", None, 12)
    assert (entry.tags, entry.card_data) == (("x",), {"license": "mit", "language": ["en", None]})
    for table in ({"card": ["x"] * 3}, {"id": pa.array([None] * 3, pa.string()), "card": ["x"] * 3}):
        pq.write_table(pa.table(table), path)
        with pytest.raises(SourceError, match="row 1: the row has no id; so it is with all 3"):
            await read(path)


async def test_a_folder_with_more_than_cards(tmp_path: Path) -> None:
    for name in ("org/one.md", "org/two/README.md", "org--three.MD", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 3_000_000)
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    source = FileSource(tmp_path, "https://hub.example", "likes")
    found = {e.repo_id: e async for chunk in source.chunks(100) for e in chunk}
    assert set(found) == {"org/one", "org/two", "org/three", tmp_path.name}
    assert all(e.card is not None and len(e.card) == 2_000_001 for e in found.values())
    assert [(row.place, row.reason) for row in source.unreadable] == [
        ("gone.md", "it cannot be read: No such file or directory")
    ]


@pytest.mark.parametrize("listing", [b"\xff", b"[1]", b"[" * 100_000])
async def test_a_listing_that_is_none(tmp_path: Path, listing: bytes) -> None:
    (tmp_path / "a--b.md").write_text("x")
    (tmp_path / "listing.json").write_bytes(listing)
    with pytest.raises(SourceError, match=r"listing\.json is not"):
        await read(tmp_path)


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
