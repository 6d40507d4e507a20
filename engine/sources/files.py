"""Read datasets and cards from files: a folder of .md, a .jsonl or .jsonl.gz, or a .parquet."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from datetime import date, datetime
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

import anyio.to_thread

from engine.config import Settings
from engine.errors import SourceError, UsageError
from engine.hub.address import dataset_url
from engine.hub.entries import Entry
from engine.sources.base import CHUNK, Unreadable
from engine.sources.rows import KINDS, FileRow, rows_of
from engine.store.clock import iso_utc
from taxonomy.card import METADATA_KEYS

SAMPLE = Path(__file__).parent / "sample" / "cards"
"""Short cards of well-known public datasets that come with hfmap; see `engine.sources.sample`."""

LONGEST_ID = 250
"""Characters. The Hub's own ids have at most 96 in each half."""

# Besides the names that hfmap gives things: those of the Hub's API, and of dumps of it.
_ID_KEYS = ("id", "repo_id", "datasetId", "dataset_id", "name")
_CARD_KEYS = ("card", "text", "readme", "content")


def check_source(settings: Settings) -> None:
    """Refuse a path that is not there as a folder, or as a file of a kind that can be read.

    Raises:
        UsageError: with the nearest known name.
    """
    source = settings.source
    path = Path(source).expanduser()
    if path.exists():
        if not path.is_dir() and not path.name.lower().endswith(KINDS):
            raise UsageError(
                f"source is '{source}' (from {settings.origin('source')}): a file of a kind that hfmap does not read.",
                hint="take a folder of .md, a .jsonl[.gz] or a .parquet.",
            )
        return
    near = get_close_matches(source.lower(), ("hub", "sample"), 1)
    raise UsageError(
        f"source is '{source}' (from {settings.origin('source')}): no such file or folder.",
        hint=f"did you mean '{near[0]}'?"
        if near
        else "take hub, sample, or a folder of .md, a .jsonl[.gz] or a .parquet.",
    )


class FileSource:
    """Reads cards from `path`. Entries are ranked by `rank` where the rows have it, else stay in file order.

    Links on the map point to `endpoint`. `unreadable` tells what of the file is no dataset, once it has been read.
    """

    def __init__(self, path: Path, endpoint: str, rank: str, *, name: str | None = None) -> None:
        self.name = name or str(path)
        self.unreadable: list[Unreadable] = []
        self._path = path
        self._endpoint = endpoint
        self._rank = rank

    async def chunks(self, limit: int) -> AsyncGenerator[Sequence[Entry]]:
        """Yield the entries in rank order.

        Raises:
            SourceError: the file cannot be read, or no row of it can.
        """
        entries = await anyio.to_thread.run_sync(self._entries)
        ranked = iter(sorted(entries, key=self._signal)[:limit])
        while chunk := list(islice(ranked, CHUNK)):
            yield chunk

    def _signal(self, entry: Entry) -> float:
        # A stable sort: without the signal all keys are equal and the file's own order stays.
        return -float(getattr(entry, self._rank) or 0)

    def _entries(self) -> list[Entry]:
        self.unreadable = []
        entries = list(self._read())
        if entries:
            return entries
        if not self.unreadable:
            raise SourceError(f"There are no cards in {self._path}.", hint="Name a folder of .md files, or a .jsonl.")
        first = self.unreadable[0]
        of = f"; so it is with all {len(self.unreadable):,}" if len(self.unreadable) > 1 else ""
        raise SourceError(
            f"{self._path}, {first.place}: {first.reason}{of}.",
            hint='Each row must be one object with "id": "org/name" and "card": the text.',
        )

    def _read(self) -> Iterator[Entry]:
        for row in rows_of(self._path):
            if isinstance(row, Unreadable):
                self.unreadable.append(row)
                continue
            place, values = row
            repo_id = _repo_id(values)
            problem = _problem(repo_id)
            if problem is None:
                yield self._entry(values, repo_id)
            else:
                self.unreadable.append(Unreadable(place, problem))

    def _entry(self, row: FileRow, repo_id: str) -> Entry:
        card = next((row[k] for k in _CARD_KEYS if row.get(k) is not None), None)
        raw = card.encode("utf-8", "replace") if isinstance(card, str) else card
        return Entry(
            repo_id=repo_id,
            author=repo_id.partition("/")[0] if "/" in repo_id else None,
            likes=_integer(row.get("likes")),
            downloads=_integer(row.get("downloads")),
            downloads_all_time=_integer(_first(row, "downloads_all_time", "downloadsAllTime")),
            trending_score=_float(_first(row, "trending_score", "trendingScore")),
            created_at=_time(_first(row, "created_at", "createdAt", "created_year")),
            last_modified=_time(_first(row, "last_modified", "lastModified")),
            gated=_gated(row.get("gated")),
            private=row.get("private") is True,
            disabled=row.get("disabled") is True,
            tags=_tags(row.get("tags")),
            card_data={k: _plain(row[k]) for k in METADATA_KEYS if row.get(k) is not None}
            | dict(_mapping(_first(row, "card_data", "cardData"))),
            url=dataset_url(self._endpoint, repo_id),
            card=raw if isinstance(raw, bytes) else b"",
        )


def _first(row: FileRow, *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _plain(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _repo_id(row: FileRow) -> str:
    for name in _ID_KEYS:
        value = _plain(row.get(name))
        if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


def _problem(repo_id: str) -> str | None:
    if not repo_id:
        return "the row has no id"
    if len(repo_id) > LONGEST_ID:
        return f"its id is longer than {LONGEST_ID} characters"
    if not repo_id.isprintable() or not repo_id.rpartition("/")[2]:
        return f"its id is {repo_id!a}, which no dataset can have"
    return None


def _gated(value: object) -> str | None:
    if isinstance(value, bool):
        return "auto" if value else None
    text = _plain(value)
    return text if isinstance(text, str) and text and text.lower() != "false" else None


def _tags(value: object) -> tuple[str, ...]:
    """Read tags from a list, or from text that is one in JSON."""
    found = _json(value, list)
    return tuple(t for t in map(_plain, found) if isinstance(t, str)) if found is not None else ()


def _mapping(value: object) -> Mapping[str, Any]:
    """Read an object, or text that is one in JSON."""
    found = _json(value, dict)
    return found if found is not None else {}


def _json(value: object, kind: type[Any]) -> Any:
    """Return `value` if it is of a kind, or what it says in JSON if that is; else None."""
    if isinstance(value, (str, bytes)):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, kind) else None


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str, bytes)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < 2**62 else None


def _float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _time(value: object) -> str | None:
    """Read a time from ISO text, a date, or a bare year (as "2022", which is ISO-8601 of lower precision)."""
    value = _plain(value)
    if isinstance(value, datetime):
        return iso_utc(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 1900 < value < 3000:
        return str(int(value))
    if isinstance(value, str):
        try:
            return iso_utc(datetime.fromisoformat(value.strip()))
        except ValueError:
            return value.strip() if value.strip().isdigit() and len(value.strip()) == 4 else None
    return None
