"""People's corrections as a CSV file: repo_id, field, value, and who said so, why and when."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from engine import queries
from engine.errors import HfmapError, UsageError
from engine.store.clock import iso_utc
from engine.store.overrides import SUMMARY, Correction
from taxonomy.corrections import CorrectionError, read_summary, read_value, written
from taxonomy.model import Taxonomy

COLUMNS = ("repo_id", "field", "value", "note", "author", "created_at")
NEEDED = ("repo_id", "field", "value")
MOST_SHOWN = 20
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
LARGEST_FILE = 64_000_000
"""Bytes; a correction of every field of 100,000 datasets takes less."""


def write_file(name: str, rows: Iterable[tuple[Any, ...]]) -> int:
    """Write rows of COLUMNS to a file, or to stdout for "-"; return how many. A file is replaced whole or not at all.

    A text that a spreadsheet would take for a formula stands behind an apostrophe, which `read_file` takes off.

    Raises:
        HfmapError: it cannot be written.
    """
    text = io.StringIO()
    # Python before 3.13 quotes a carriage return only where the terminator contains one.
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - the count is what is returned
        cells = [*row[:2], written(row[2]), *("" if cell is None else cell for cell in row[3:])]
        writer.writerow([f"'{cell}" if _FORMULA.match(cell) else cell for cell in cells])
    if name == "-":
        sys.stdout.write(text.getvalue())
        return count
    path = Path(name)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text.getvalue(), encoding="utf-8", newline="")
        part.replace(path)
    except OSError as error:
        raise HfmapError(f"{name} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def read_file(name: str, conn: sqlite3.Connection, taxonomy: Taxonomy) -> list[Correction]:
    """Read corrections and check every one of them.

    Raises:
        UsageError: anything in the file is wrong; the sentence lists the lines.
        HfmapError: it cannot be read.
    """
    found: list[Correction] = []
    seen: dict[tuple[int, str], int] = {}
    errors: list[str] = []
    for line, row in _rows(name):
        try:
            correction = _correction(conn, taxonomy, row, explain=len(errors) < MOST_SHOWN)
            key = (correction.dataset_id, correction.field)
            if key in seen:
                raise CorrectionError(f"the same field of the same dataset stands in line {seen[key]} already")
            seen[key] = line
            found.append(correction)
        except CorrectionError as error:
            errors.append(f"line {line}: {error}" + (f". {error.hint}" if error.hint else ""))
    if errors:
        more = [f"and {len(errors) - MOST_SHOWN:,} more"] if len(errors) > MOST_SHOWN else []
        raise UsageError(
            f"Nothing was taken from {name}:\n" + "\n".join([*errors[:MOST_SHOWN], *more]),
            hint="Correct these lines and run the same command again.",
        )
    return found


def _correction(conn: sqlite3.Connection, taxonomy: Taxonomy, row: dict[str, str], *, explain: bool) -> Correction:
    repo_id = row["repo_id"].strip()
    known = queries.known_dataset(conn, repo_id)
    if known is None:
        hint = _like(conn, repo_id) if explain else None
        raise CorrectionError(f'there is no dataset "{repo_id}" in the database', hint=hint)
    field = row["field"].strip()
    if not row["value"].strip():
        raise CorrectionError("the value is empty", hint="An empty list is written []; --clear takes a correction back")
    value = read_correction(taxonomy, field, row["value"])
    created = row.get("created_at", "").strip()
    try:
        when = iso_utc(datetime.fromisoformat(created)) if created else None
    except ValueError:
        raise CorrectionError(f'created_at is "{created}", not a time such as 2026-11-20T10:00:00Z') from None
    return Correction(known[0], field, value, row.get("note") or None, row.get("author") or None, when)


def _like(conn: sqlite3.Connection, repo_id: str) -> str | None:
    try:
        return f"Did you mean {queries.find_dataset(conn, repo_id)[1]}?"
    except HfmapError as error:
        return error.hint


def _rows(name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row as a dictionary, with the line it begins on."""
    text = _text(name)
    first = text.partition("\n")[0]
    # What spreadsheets of other countries write.
    delimiter = next((mark for mark in ",;\t" if mark in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        head = [cell.strip().lower() for cell in next(reader, [])]
        if not set(NEEDED) <= set(head) or set(head) - set(COLUMNS) or len(set(head)) < len(head):
            raise UsageError(
                f"{name}: the first line does not name the columns.",
                hint=f"It is {','.join(COLUMNS)}; the first three are needed.",
            )
        line = reader.line_num + 1
        for cells in reader:
            if cells and any(cell.strip() for cell in cells):
                if len(cells) > len(head):
                    raise UsageError(
                        f"{name}, line {line}: there are {len(cells)} values for {len(head)} columns.",
                        hint="A value with a comma in it stands in quotation marks.",
                    )
                texts = [cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell for cell in cells]
                yield line, dict(zip(head, texts + [""] * (len(head) - len(texts)), strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"{name}, line {line}: this is not CSV: {error}.") from error


def _text(name: str) -> str:
    try:
        if name == "-":
            raw = sys.stdin.buffer.read(LARGEST_FILE + 1)
        else:
            with Path(name).open("rb") as stream:
                raw = stream.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            raise UsageError(f"{name} is larger than {LARGEST_FILE // 1_000_000} MB.")
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 text.", hint="Save it again as “CSV UTF-8”.") from error
    except OSError as error:
        raise HfmapError(f"{name} cannot be read: {error.strerror}.") from error


def read_correction(taxonomy: Taxonomy, field: str, text: str) -> Any:
    """A correction's value, as a JSON value.

    Raises:
        CorrectionError: there is no such field, or it has no such value.
    """
    if field == SUMMARY:
        return read_summary(text)
    try:
        found = taxonomy.field(field)
    except KeyError:
        from difflib import get_close_matches

        names = [f.name for f in taxonomy] + [SUMMARY]
        near = get_close_matches(field, names, 1)
        asked = f"Did you mean {near[0]}? " if near else ""
        raise CorrectionError(f'there is no field "{field}"', hint=f"{asked}Fields: {', '.join(names)}.") from None
    value = read_value(found, text)
    return list(value) if isinstance(value, tuple) else value
