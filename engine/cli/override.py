"""`hfmap override`: people's corrections, which win over what was read from the cards."""

from __future__ import annotations

import sqlite3
from typing import Any

import click

from engine import queries
from engine.cli._corrections import COLUMNS, read_correction, read_file, write_file
from engine.cli._options import correcting, db_option, json_option, reading
from engine.cli._output import Output
from engine.cli._rows import write_rows
from engine.errors import UsageError
from engine.store.overrides import SUMMARY, Correction, clear_corrections, put_corrections, read_corrections
from engine.store.views import taxonomy_in_force
from taxonomy.corrections import CorrectionError, written

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
