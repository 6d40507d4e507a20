"""`hfmap override`: people's corrections, set one by one or read from a CSV file; they win over what cards say."""

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

import click

from engine import queries
from engine.cli._options import correcting, db_option, json_option, reading
from engine.cli._output import Output
from engine.cli._rows import write_rows
from engine.errors import HfmapError, UsageError
from engine.store.clock import iso_utc
from engine.store.overrides import SUMMARY, Correction, clear_corrections, put_corrections, read_corrections
from engine.store.views import taxonomy_in_force
from taxonomy.corrections import CorrectionError, read_summary, read_value, written
from taxonomy.model import Taxonomy

_AGAIN = "It counts at once in the database and in search; the page shows it after: hfmap map"


@click.command()
@click.argument("dataset_id", metavar="[ID]", required=False)
@click.argument("field", metavar="[FIELD]", required=False)
@click.argument("value", metavar="[VALUE]", required=False)
@click.option("--summary", metavar="TEXT", help="Set the summary.")
@click.option("--note", metavar="TEXT", help="Why; kept with the correction.")
@click.option("--author", metavar="NAME", help="Who says so; kept with the correction.")
@click.option("--clear", is_flag=True, help="Take back the correction of FIELD, or all of the dataset's.")
@click.option("--list", "as_list", is_flag=True, help="List the corrections, of ID or all.")
@click.option("--export", "export_to", metavar="FILE.csv", help="Write all corrections to a file, or to - (stdout).")
@click.option("--import", "import_from", metavar="FILE.csv", help="Take corrections from a file, all or none.")
@db_option
@json_option
def override(
    *,
    dataset_id: str | None,
    field: str | None,
    value: str | None,
    summary: str | None,
    note: str | None,
    author: str | None,
    clear: bool,
    as_list: bool,
    export_to: str | None,
    import_from: str | None,
    db: str | None,
    as_json: bool,
) -> None:
    """Correct a value; your word wins over the model's.

    It survives every later run. A list is written "a, b" or as JSON.

    \b
    hfmap override openai/gsm8k subject_domain math-and-reasoning
    hfmap override openai/gsm8k --summary "Word problems of grade-school arithmetic."
    """
    output = Output("json" if as_json else "human")
    modes = (clear, as_list, export_to is not None, import_from is not None)
    setting = value is not None or summary is not None
    if sum(modes) + setting != 1 or (dataset_id is None and not any(modes[1:])):
        raise UsageError(
            "hfmap override takes one thing to do.",
            hint="ID FIELD VALUE, ID --summary TEXT, ID [FIELD] --clear, --list, --export FILE or --import FILE.",
        )
    if (export_to or import_from) and dataset_id is not None:
        raise UsageError(f"A whole file is read or written: leave out '{dataset_id}'.")
    if as_list:
        _list(output, db, dataset_id)
    elif export_to is not None:
        with reading(db) as conn:
            count = write_file(export_to, _rows(conn))
        output.say(f"{_corrections(count)} written to {'stdout' if export_to == '-' else export_to}.")
    elif import_from is not None:
        with correcting(db) as conn:
            corrections = read_file(import_from, conn, taxonomy_in_force(conn))
            put_corrections(conn, corrections)
        output.say(f"{_corrections(len(corrections))} taken from {import_from}. {_AGAIN}")
    elif clear:
        _clear(output, db, dataset_id or "", field)
    else:
        wanted = {**({} if value is None else {field or "": value}), **({} if summary is None else {SUMMARY: summary})}
        _set(output, db, dataset_id or "", wanted, note, author)


def _set(
    output: Output, db: str | None, wanted_id: str, wanted: dict[str, str], note: str | None, author: str | None
) -> None:
    from taxonomy.answers.summaries import summary_problem

    with correcting(db) as conn:
        dataset_id, repo_id = queries.find_dataset(conn, wanted_id)
        taxonomy = taxonomy_in_force(conn)
        try:
            corrections = [
                Correction(dataset_id, name, read_correction(taxonomy, name, text), note, author)
                for name, text in wanted.items()
            ]
        except CorrectionError as error:
            raise UsageError(f"{repo_id}: {error}.", hint=error.hint) from error
        put_corrections(conn, corrections)
    for correction in corrections:
        output.say(f"{repo_id}: {correction.field} is now {written(correction.value)}")
        if correction.field == SUMMARY and (problem := summary_problem(str(correction.value))):
            output.warn(f"the summary is kept as it is, but {problem}.")
    output.say(_AGAIN)


def _clear(output: Output, db: str | None, wanted_id: str, field: str | None) -> None:
    with correcting(db) as conn:
        dataset_id, repo_id = queries.find_dataset(conn, wanted_id)
        fields = clear_corrections(conn, dataset_id, field)
    if not fields:
        output.say(f"{repo_id}: there is no correction{f' of {field}' if field else ''} to take back.")
    else:
        output.say(f"{repo_id}: taken back: {', '.join(fields)}. {_AGAIN}")


def _rows(conn: sqlite3.Connection, dataset_id: int | None = None) -> list[tuple[Any, ...]]:
    return [
        (repo_id, c.field, c.value, c.note, c.author, c.created_at) for repo_id, c in read_corrections(conn, dataset_id)
    ]


def _corrections(count: int) -> str:
    return "1 correction" if count == 1 else f"{count:,} corrections"


def _list(output: Output, db: str | None, wanted_id: str | None) -> None:
    with reading(db) as conn:
        rows = _rows(conn, None if wanted_id is None else queries.find_dataset(conn, wanted_id)[0])
        taxonomy = taxonomy_in_force(conn)
    if output.mode == "json":
        write_rows(output, COLUMNS, rows, "json")
        return
    write_rows(output, COLUMNS, [(row[0], row[1], written(row[2]), *row[3:]) for row in rows], "table")
    if not rows:
        output.say("Nothing has been corrected.")
    for repo_id, field, value, *_ in rows:
        try:
            read_correction(taxonomy, field, written(value))
        except CorrectionError as error:
            output.warn(f"{repo_id}: {error} in the taxonomy in force.")


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
    for line, row in _lines(name):
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


def _lines(name: str) -> Iterator[tuple[int, dict[str, str]]]:
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
