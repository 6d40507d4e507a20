"""`hfmap report`: what the database says about the taxonomy, the ranking signals and the layout."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from engine.cli._options import db_option, json_option, reading
from engine.cli._output import Output
from engine.cli._reports import deliver, html_option
from engine.errors import UsageError

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
        from engine.cli.trial import Trying, run_trial

        return run_trial(Trying(sample, {"db": db, **flags}, page), output)
    if any(flag is not None for flag in flags.values()):
        raise UsageError(
            "--taxonomy, --llm, --model, --budget and --yes are for --sample.",
            hint="hfmap report taxonomy --sample 50 --taxonomy FILE",
        )
    from engine.reports import taxonomy_report
    from engine.store.views import taxonomy_in_force

    with reading(db) as conn:
        facts = taxonomy_report.measure(conn, taxonomy_in_force(conn))
    deliver(output, taxonomy_report.present(facts), asdict(facts), page)
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
    from engine.reports import rank as ranks

    with reading(db) as conn:
        facts = ranks.measure(conn, top)
    values = asdict(facts)
    # The plots' points are in the database.
    del values["points"]
    deliver(Output("json" if as_json else "human"), ranks.present(facts), values, page)


@report.command()
@db_option
@json_option
@html_option
def layout(db: str | None, as_json: bool, page: Path | None) -> None:
    """Show the versions of the layout with their measures of quality."""
    from engine.reports import layouts

    with reading(db) as conn:
        versions = layouts.measure(conn)
    facts = {"layouts": [asdict(version) for version in versions]}
    deliver(Output("json" if as_json else "human"), layouts.present(versions), facts, page)
