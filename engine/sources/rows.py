"""Read rows of files, as they stand there: a folder of .md, JSON lines, Parquet. One bad row does not stop the others."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import SourceError
from engine.sources.base import Unreadable
from taxonomy.card import MAX_CARD_BYTES

if TYPE_CHECKING:
    import pyarrow as pa

FileRow = Mapping[str, Any]
Rows = Iterator[tuple[str, FileRow] | Unreadable]
"""Rows with their place in the file ("line 3"), or what stands there instead."""

_BATCH = 250
"""Rows of a Parquet file in memory at once: cards may be long."""

_JSON_LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
KINDS = (*_JSON_LINES, ".parquet", ".md")
"""Endings of the names of files that can be read, besides folders."""


def rows_of(path: Path) -> Rows:
    """Read what is at `path`, row by row.

    Raises:
        SourceError: nothing is there, it is of another kind, or it breaks off.
    """
    if not path.exists():
        raise SourceError(f"There is no file or folder {path}.", hint="--source takes hub, sample, or a path to cards.")
    name = path.name.lower()
    try:
        if path.is_dir():
            yield from _folder(path)
        elif name.endswith(_JSON_LINES):
            yield from json_lines(path)
        elif name.endswith(".parquet"):
            yield from _parquet(path)
        elif name.endswith(".md"):
            yield path.name, {"id": _id_of(path, path.absolute().parent), "card": _card(path)}
        else:
            raise SourceError(
                f"{path} is of a kind that hfmap does not read.",
                hint="Use a folder of .md files, a .jsonl, a .jsonl.gz or a .parquet.",
            )
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be read: {error}.", hint="Check the file and its permissions.") from error


def _folder(path: Path) -> Rows:
    root = path.absolute()
    known = _listing(path / "listing.json")
    for file in sorted(file for file in root.rglob("*") if file.suffix.lower() == ".md" and not file.is_dir()):
        place = str(file.relative_to(root))
        repo_id = _id_of(file, root)
        about = known.get(repo_id)
        try:
            card = _card(file)
        except OSError as error:
            yield Unreadable(place, f"it cannot be read: {error.strerror}")
            continue
        yield place, {**(about if isinstance(about, dict) else {}), "id": repo_id, "card": card}


def _listing(path: Path) -> Mapping[str, Any]:
    """What a folder's listing.json says of its cards, by id: likes, dates, tags."""
    if not path.is_file():
        return {}
    try:
        listing = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not JSON: {_why(error)}.", hint="Mend or remove the file.") from error
    if not isinstance(listing, dict):
        raise SourceError(f"{path} is not one JSON object, with an id as each key.", hint="Mend or remove the file.")
    return listing


def _card(file: Path) -> bytes:
    """Read a card, but no more of it than is kept and one byte, which tells that it was cut."""
    with file.open("rb") as stream:
        return stream.read(MAX_CARD_BYTES + 1)


def _id_of(file: Path, root: Path) -> str:
    """Read an id from a path: `org--name.md`, `org/name.md`, or a README.md in a folder named in either way."""
    parts = [*file.relative_to(root).parts[:-1], file.stem]
    if parts[-1].upper() == "README":
        parts = parts[:-1] or [root.name]
    if "--" in parts[-1]:
        return parts[-1].replace("--", "/", 1)
    return "/".join(parts[-2:])


def json_lines(path: Path) -> Rows:
    """Read JSON lines, gzipped where the name says so.

    Raises:
        OSError, EOFError, zlib.error: the file cannot be read, or breaks off.
    """
    with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            place = f"line {number}"
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig"))
            except UnicodeDecodeError:
                yield Unreadable(place, "it is not JSON (not UTF-8 text)")
                continue
            except (ValueError, RecursionError) as error:
                yield Unreadable(place, f"it is not JSON ({_why(error)})")
                continue
            yield (place, row) if isinstance(row, dict) else Unreadable(place, "it is not a JSON object")


def _why(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _parquet(path: Path) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(_BATCH):
                columns = [_values(column) for column in batch.columns]
                for values in zip(*columns, strict=True):
                    number += 1
                    yield f"row {number}", dict(zip(batch.schema.names, values, strict=True))
    except (pa.ArrowException, ValueError) as error:
        raise SourceError(f"{path} is not a readable Parquet file: {error}.", hint="Check the file.") from error


def _values(column: pa.Array) -> list[Any]:
    """A column as Python values; text as bytes, since Arrow does not check that it is UTF-8, and Python does."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, ArithmeticError):
        # One value that Python has no room for, such as a time after the year 9999, costs only itself.
        return [_value(scalar) for scalar in column]
    return values


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, ArithmeticError):
        return None
