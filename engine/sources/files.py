"""Cards from files: a folder of .md, a .jsonl or .jsonl.gz, or a .parquet."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import anyio.to_thread

from engine.errors import SourceError
from engine.sources.base import Entry
from engine.sources.hub import dataset_url
from engine.store.clock import iso_utc

CHUNK = 250

_ID_KEYS = ("id", "repo_id", "name")
_CARD_KEYS = ("card", "text", "readme", "content")

Row = Mapping[str, Any]


class FileSource:
    """Reads cards from `path`. Entries are ranked by `rank` where the rows have it, else stay in file order.

    Links on the map point to `endpoint`.
    """

    def __init__(self, path: Path, endpoint: str, rank: str, *, name: str | None = None) -> None:
        self.name = name or str(path)
        self._path = path
        self._endpoint = endpoint
        self._rank = rank

    async def chunks(self, limit: int) -> AsyncGenerator[Sequence[Entry]]:
        """Yield the entries in rank order."""
        entries = await anyio.to_thread.run_sync(self._entries)
        ranked = iter(sorted(entries, key=self._signal)[:limit])
        while chunk := list(islice(ranked, CHUNK)):
            yield chunk

    def _signal(self, entry: Entry) -> float:
        # A stable sort: without the signal all keys are equal and the file's own order stays.
        return -float(getattr(entry, self._rank) or 0)

    def _entries(self) -> list[Entry]:
        entries = [self._entry(row, place) for place, row in self._rows()]
        if not entries:
            raise SourceError(f"There are no cards in {self._path}.", hint="Name a folder of .md files, or a .jsonl.")
        return entries

    def _rows(self) -> Iterator[tuple[str, Row]]:
        path = self._path
        if not path.exists():
            raise SourceError(
                f"There is no file or folder {path}.", hint="--source takes hub, sample, or a path to cards."
            )
        try:
            if path.is_dir():
                yield from _folder(path)
            elif path.name.endswith((".jsonl", ".jsonl.gz", ".ndjson")):
                yield from _json_lines(path)
            elif path.suffix == ".parquet":
                yield from _parquet(path)
            elif path.suffix == ".md":
                yield path.name, {"id": _id_of(path), "card": path.read_bytes()}
            else:
                raise SourceError(
                    f"{path} is of a kind that hfmap does not read.",
                    hint="Use a folder of .md files, a .jsonl, a .jsonl.gz or a .parquet.",
                )
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path} cannot be read: {error}.", hint="Check the file and its permissions.") from error

    def _entry(self, row: Row, place: str) -> Entry:
        repo_id = next((str(row[k]).strip() for k in _ID_KEYS if row.get(k) not in (None, "")), "")
        if not repo_id:
            raise SourceError(f"{self._path}, {place}: the row has no id.", hint='Give each row an "id": "org/name".')
        card = next((row[k] for k in _CARD_KEYS if row.get(k) is not None), None)
        raw = card.encode("utf-8", "replace") if isinstance(card, str) else card
        tags = row.get("tags")
        return Entry(
            repo_id=repo_id,
            author=repo_id.partition("/")[0] if "/" in repo_id else None,
            likes=_integer(row.get("likes")),
            downloads=_integer(row.get("downloads")),
            downloads_all_time=_integer(row.get("downloads_all_time")),
            trending_score=_float(row.get("trending_score")),
            created_at=_time(row.get("created_at", row.get("created_year"))),
            last_modified=_time(row.get("last_modified")),
            gated=str(row["gated"]) if row.get("gated") not in (None, False, "") else None,
            private=row.get("private") is True,
            disabled=row.get("disabled") is True,
            tags=tuple(t for t in tags if isinstance(t, str)) if isinstance(tags, (list, tuple)) else (),
            card_data=_mapping(row.get("card_data", row.get("cardData"))),
            url=dataset_url(self._endpoint, repo_id),
            card=raw if isinstance(raw, bytes) else b"",
        )


def _folder(path: Path) -> Iterator[tuple[str, Row]]:
    listing = path / "listing.json"
    known: Mapping[str, Any] = {}
    if listing.is_file():
        try:
            known = _mapping(json.loads(listing.read_text(encoding="utf-8")))
        except ValueError as error:
            raise SourceError(f"{listing} is not JSON: {error}.", hint="Mend or remove the file.") from error
    for file in sorted(path.rglob("*.md")):
        repo_id = _id_of(file)
        yield (
            str(file.relative_to(path)),
            {**_mapping(known.get(repo_id)), "id": repo_id, "card": file.read_bytes()},
        )


def _id_of(file: Path) -> str:
    """Read an id from a file's name: `org--name.md`, or a README.md in a folder `org--name`."""
    stem = file.parent.name if file.stem.upper() == "README" else file.stem
    return stem.replace("--", "/", 1)


def _json_lines(path: Path) -> Iterator[tuple[str, Row]]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SourceError(
                    f"{path}, line {number}: not JSON ({error}).", hint="Each line must be one JSON object."
                ) from error
            if not isinstance(row, dict):
                raise SourceError(f"{path}, line {number}: not a JSON object.", hint="Each line must be one.")
            yield f"line {number}", row


def _parquet(path: Path) -> Iterator[tuple[str, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(CHUNK):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except pa.ArrowException as error:
        raise SourceError(f"{path} is not a readable Parquet file: {error}.", hint="Check the file.") from error


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < 2**62 else None


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _time(value: object) -> str | None:
    """Read a time from ISO text, a date, or a bare year (as "2022", which is ISO-8601 of lower precision)."""
    if isinstance(value, datetime):
        return iso_utc(value)
    if isinstance(value, int) and not isinstance(value, bool) and 1900 < value < 3000:
        return str(value)
    if isinstance(value, str):
        try:
            return iso_utc(datetime.fromisoformat(value.strip()))
        except ValueError:
            return value.strip() if value.strip().isdigit() and len(value.strip()) == 4 else None
    return None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
