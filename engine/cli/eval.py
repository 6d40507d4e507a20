"""`hfmap eval`: how good the fields and summaries of a database are."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli._options import db_option, json_option, reading
from engine.cli._output import Output
from engine.cli._reports import deliver, html_option
from engine.errors import HfmapError, UsageError

if TYPE_CHECKING:
    import sqlite3

    from engine.reports.reference import Reference


@click.command("eval")
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A .jsonl or .jsonl.gz of labels: objects with id and reference.",
)
@click.option("--against", metavar="local|anthropic|MODEL", help="Another reader, whose results are in the database.")
@db_option
@json_option
@html_option
def eval_(reference: Path | None, against: str | None, db: str | None, as_json: bool, page: Path | None) -> None:
    """Compare fields and summaries with a labelled file, or with another reader's.

    A label is a slug or its display name ("Instruction And Chat"); lists are lists, or joined by commas. With
    both options, both readers are scored on the cards that both have read.
    """
    if reference is None and against is None:
        raise UsageError(
            "hfmap eval needs something to compare with.",
            hint="Give --reference FILE, or --against local, anthropic or a model.",
        )
    from engine.reports import answers, evaluation, presentation
    from engine.reports.document import Report, Section
    from engine.reports.reference import read_reference
    from engine.store.views import taxonomy_in_force

    output = Output("json" if as_json else "human")
    facts: dict[str, Any] = {}
    sections: list[Section] = []
    words: list[str] = []
    with reading(db) as conn:
        taxonomy = taxonomy_in_force(conn)
        mine, theirs = answers.in_force(conn, taxonomy), None
        if against is not None:
            ours, theirs = answers.beside(conn, taxonomy, against)
            if not theirs.readers:
                raise _nobody(conn, against)
            agreement = evaluation.agree(ours, theirs, taxonomy)
            facts["against"] = {"name": against, **asdict(agreement)}
            sections += presentation.agreement_sections(against, agreement)
            mine = mine.only(set(theirs.fields), set(theirs.summaries))
        if reference is not None:
            wanted = read_reference(reference, taxonomy)
            ids = evaluation.ids_of(conn, wanted.ids)
            words += _words(wanted, len(ids), mine.corrected)
            found = evaluation.evaluate(mine, wanted, ids, taxonomy)
            if not found.fields and found.summaries is None and ids and (wanted.unknown or wanted.unused):
                raise HfmapError(f"Nothing can be compared. {' '.join(words)}")
            if not found.fields and found.summaries is None:
                raise HfmapError(
                    f"None of the {len(wanted.ids):,} labelled datasets has been read in this database.",
                    hint="Read them first: hfmap sync --source FILE",
                )
            facts["reference"] = {
                "labelled": len(wanted.ids),
                "in_database": len(ids),
                "corrected": mine.corrected,
                "unknown_labels": [
                    {"field": name, "label": label, "cards": count}
                    for (name, label), count in wanted.unknown.most_common()
                ],
                **asdict(found),
            }
            scored = list(presentation.score_sections("Fields", found))
            if theirs is not None:
                other = evaluation.evaluate(theirs, wanted, ids, taxonomy)
                facts["reference"]["against"] = asdict(other)
                scored += presentation.score_sections(f"Fields by {against}", other)
            sections = scored + sections
    deliver(output, Report("Evaluation of fields and summaries", " ".join(words), tuple(sections)), facts, page)


def _words(wanted: Reference, in_database: int, corrected: int) -> list[str]:
    words = [f"{len(wanted.ids):,} labelled datasets, {in_database:,} of them in the database."]
    if corrected:
        words.append(f"{corrected:,} values of the database are people's corrections.")
    if wanted.unknown:
        shown = ", ".join(f"{name}: {label} ({count})" for (name, label), count in wanted.unknown.most_common(5))
        words.append(f"Not scored, because they are no slugs of the taxonomy: {shown}.")
    if wanted.unused:
        words.append(f"Not fields of the taxonomy: {', '.join(sorted(wanted.unused)[:8])}.")
    return words


def _nobody(conn: sqlite3.Connection, against: str) -> HfmapError:
    from engine.queries.measures import readers

    known = ", ".join(f"{provider} ({model})" for provider, model in readers(conn)) or "nobody"
    return HfmapError(
        f"No card was read a second time by '{against}'.",
        hint=f"Cards were read by: {known}. A sync with another --llm reads them again and keeps both results.",
    )
