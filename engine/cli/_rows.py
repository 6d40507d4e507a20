"""Rows on their way out, as table, JSON, CSV or TSV: written as they come, but for a table's first rows."""

from __future__ import annotations

import base64
import csv
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Any

from engine.cli._output import Output
from engine.cli._text import cells, fit, json_text, plain

FORMATS = ("table", "json", "csv", "tsv")
LOOK_AHEAD = 200
"""Rows a table is measured by before it is drawn."""
WIDEST = 60
NARROWEST = 8

Cells = Sequence[Any]
Write = Callable[[str], None]


def write_rows(output: Output, columns: Sequence[str], rows: Iterable[Cells], form: str) -> int:
    """Write rows to stdout in one of FORMATS; return how many.

    json: one array of objects, each on its own line; equal column names get a number. csv and tsv: a header,
    then values as they are (a NULL is empty, bytes are base64). table: for people, long values cut.
    """
    writers = {"table": _table, "json": _json, "csv": _csv, "tsv": _tsv}
    return writers[form](output.data, columns, rows)


def _json(write: Write, columns: Sequence[str], rows: Iterable[Cells]) -> int:
    names = _distinct(columns)
    count = 0
    line = ""
    for row in rows:
        if count:
            write(line + ",")
        line = ("[" if count == 0 else " ") + json_text(dict(zip(names, row, strict=True)))
        count += 1
    write(line + "]" if count else "[]")
    return count


def _csv(write: Write, columns: Sequence[str], rows: Iterable[Cells]) -> int:
    return _separated(write, columns, rows, ",")


def _tsv(write: Write, columns: Sequence[str], rows: Iterable[Cells]) -> int:
    return _separated(write, columns, rows, "\t")


def _separated(write: Write, columns: Sequence[str], rows: Iterable[Cells], delimiter: str) -> int:
    buffer = io.StringIO()
    # Python before 3.13 quotes a line break only where the terminator contains it. Lines still end in \n.
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n")
    count = -1
    for row in chain([columns], rows):
        writer.writerow([_raw(value) for value in row])
        write(buffer.getvalue()[:-2])
        buffer.seek(0)
        buffer.truncate()
        count += 1
    return count


def _table(write: Write, columns: Sequence[str], rows: Iterable[Cells]) -> int:
    stream = iter(rows)
    first = list(islice(stream, LOOK_AHEAD))
    right = [_numeric(first, i) for i in range(len(columns))]
    heads = [plain(c) for c in columns]
    shown = [[_cell(v) for v in row] for row in first]
    widths = [max(cells(head), *(cells(row[i]) for row in shown), 1) for i, head in enumerate(heads)]
    widths = _shrink([min(w, max(WIDEST, cells(h))) for w, h in zip(widths, heads, strict=True)])
    write(_line(heads, widths, right))
    write("  ".join("─" * w for w in widths))
    count = 0
    for row in chain(shown, ([_cell(v) for v in row] for row in stream)):
        write(_line(row, widths, right))
        count += 1
    return count


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    parts = []
    for text, width, to_right in zip(row, widths, right, strict=True):
        length = cells(text)
        if length > width:
            parts.append(fit(text, width))
        else:
            gap = " " * (width - length)
            parts.append(gap + text if to_right else text + gap)
    return "  ".join(parts).rstrip()


def _shrink(widths: list[int]) -> list[int]:
    """Make a table fit the terminal, taking from its widest columns; in a pipe it may be wider."""
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return widths
    room = shutil.get_terminal_size().columns - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _numeric(rows: Sequence[Cells], index: int) -> bool:
    values = [row[index] for row in rows if row[index] is not None]
    return bool(values) and all(isinstance(v, int | float) for v in values)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, float):
        return f"{value:.6g}"
    # A cell is cut to WIDEST anyway: a whole card need not be looked through.
    return plain(value[:1000]) if isinstance(value, str) else str(value)


def _raw(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _distinct(columns: Sequence[str]) -> list[str]:
    names: list[str] = []
    for column in columns:
        name, number = column, 2
        while name in names:
            name, number = f"{column}_{number}", number + 1
        names.append(name)
    return names
