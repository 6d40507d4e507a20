"""`hfmap report`: what the database says about the taxonomy, the ranking signals and the layout."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli._options import db_option, json_option, read_settings, reading
from engine.cli._output import Output
from engine.cli._reports import deliver, html_option
from engine.cli._text import dollars
from engine.config import Secrets, Settings
from engine.errors import EXIT_DONE, EXIT_FAILED, HfmapError, UsageError
from engine.providers import extraction_model, load_secrets

if TYPE_CHECKING:
    from engine.reports.trial import TrialFacts

DEFAULT_TOP = 1_000


@click.group()
def report() -> None:
    """Report on the taxonomy, the ranking signals or the layout."""


@report.command("taxonomy")
@click.option("--sample", type=click.IntRange(1, 100_000), metavar="N", help="Read so many cards again, and compare.")
@click.option("--taxonomy", metavar="FILE", help="The changed taxonomy for --sample.")
@click.option("--llm", metavar="NAME", help="Who reads the sample. [default: auto]")
@click.option("--model", metavar="ID", help="Another model of the language model's provider.")
@click.option("--budget", metavar="USD", help="Stop reading the sample before more than this is spent.")
@click.option("--yes", is_flag=True, default=None, help="Do not ask before a sample that costs over $1.")
@db_option
@json_option
@html_option
def taxonomy_(sample: int | None, db: str | None, as_json: bool, page: Path | None, **flags: object) -> int:
    """Show what to change in the taxonomy next.

    With --sample, read some cards again under a changed taxonomy, show the difference, and what reading all of
    them would cost. Nothing is stored.
    """
    output = Output("json" if as_json else "human")
    if sample is not None:
        return _run_trial(sample, {"db": db, **flags}, page, output)
    if any(flag is not None for flag in flags.values()):
        raise UsageError(
            "--taxonomy, --llm, --model, --budget and --yes are for --sample.",
            hint="hfmap report taxonomy --sample 50 --taxonomy FILE",
        )
    from engine.reports import presentation, taxonomy
    from engine.store.views import taxonomy_in_force

    with reading(db) as conn:
        facts = taxonomy.measure(conn, taxonomy_in_force(conn))
    deliver(output, presentation.taxonomy_report(facts), asdict(facts), page)
    return 0


@report.command()
@click.option(
    "--top",
    type=click.IntRange(1, 1_000_000),
    default=DEFAULT_TOP,
    show_default=True,
    metavar="N",
    help="Where the tops are cut to see what each signal brings.",
)
@db_option
@json_option
@html_option
def rank(top: int, db: str | None, as_json: bool, page: Path | None) -> None:
    """Compare likes, downloads and trending as ranking signals over what was listed."""
    from engine.reports import presentation
    from engine.reports.rank import measure

    with reading(db) as conn:
        facts = measure(conn, top)
    values = asdict(facts)
    # The plots' points are in the database.
    del values["points"]
    deliver(Output("json" if as_json else "human"), presentation.rank_report(facts), values, page)


@report.command()
@db_option
@json_option
@html_option
def layout(db: str | None, as_json: bool, page: Path | None) -> None:
    """Show the versions of the layout with their measures of quality."""
    from engine.queries.measures import layout_versions
    from engine.reports import presentation

    with reading(db) as conn:
        versions = layout_versions(conn)
    facts = {"layouts": [asdict(version) for version in versions]}
    deliver(Output("json" if as_json else "human"), presentation.layout_report(versions), facts, page)


def _run_trial(size: int, flags: Mapping[str, object], page: Path | None, output: Output) -> int:
    """Say the price, ask where it is over ASK_ABOVE, read the sample and show the difference; return the exit code.

    Raises:
        UsageError: the taxonomy cannot be used, or it would cost more and nobody is there to ask.
        HfmapError: nothing has been read yet, or the provider cannot be used.
    """
    import anyio

    from engine.reports.presentation import trial_report

    settings, secrets = read_settings(flags), load_secrets()
    output = Output(output.mode, redact=secrets.redact)
    with reading(str(settings.db)) as conn:
        found = anyio.run(_try, conn, settings, secrets, size, output)
    if found is None:
        output.say("Nothing was done.")
        return EXIT_DONE
    facts, error = found
    deliver(output, trial_report(facts), asdict(facts), page)
    if error is not None:
        output.error(str(error), "The figures are of the cards that were read until then.")
        return error.exit_code
    return EXIT_DONE if facts.sample else EXIT_FAILED


async def _try(
    conn: sqlite3.Connection, settings: Settings, secrets: Secrets, size: int, output: Output
) -> tuple[TrialFacts, HfmapError | None] | None:
    from engine.pipeline import trial as sample
    from engine.reports.trial import compare
    from engine.run.clients import completer
    from engine.store.views import taxonomy_in_force, usable_taxonomy
    from taxonomy.keyless import rules

    old = taxonomy_in_force(conn)
    new = usable_taxonomy(settings.taxonomy) if settings.taxonomy else old
    field = next((each.name for each in old if each.kind == "one"), old.fields[0].name)
    works = sample.choose(conn, size, field)
    if not works:
        raise HfmapError("No card on the map has been read yet.", hint="Read them first: hfmap sync")
    model = extraction_model(settings, secrets)
    client = completer(settings, secrets, model) if model is not None else None
    try:
        cost = sample.price(client, new, [work.card.text for work in works])
        full = sample.price(client, new, sample.all_bodies(conn))
        reader = f"{client.provider} {client.model}" if client else f"local {rules.MODEL}"
        output.say(
            f"{cost.cards:,} cards are read again by {reader}, for about {dollars(cost.usd)}; "
            f"all {full.cards:,} would cost about {dollars(full.usd)}."
        )
        if not _agreed(cost.usd, settings, output):
            return None
        trial = await sample.read_again(works, client, new, settings.budget)
    finally:
        if client is not None:
            await client.aclose()
    return compare(conn, trial, new, old, reader=reader, full=full), trial.error


def _agreed(usd: float, settings: Settings, output: Output) -> bool:
    from engine.cli.dryrun import ASK_ABOVE

    bounded = settings.budget is not None and settings.budget <= ASK_ABOVE
    if usd <= ASK_ABOVE or settings.yes or bounded:
        return True
    if not output.interactive:
        raise UsageError(
            f"The sample would cost about {dollars(usd)}, and nobody is there to be asked.",
            hint="Give --yes, a --budget, or a smaller --sample.",
        )
    return output.confirm(f"Reading the sample costs about {dollars(usd)}. Go on?")
