"""`hfmap report taxonomy --sample N`: the price first, then the trial, then what it would change."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from engine.cli._options import reading
from engine.cli._output import Output
from engine.cli._reports import deliver
from engine.cli._text import dollars
from engine.cli.dryrun import ASK_ABOVE
from engine.config import Secrets, Settings, load_secrets, load_settings
from engine.errors import EXIT_DONE, EXIT_FAILED, HfmapError, UsageError
from engine.run.clients import completer, extraction_model
from engine.store.views import taxonomy_in_force, usable_taxonomy
from taxonomy.fingerprint import RULES

if TYPE_CHECKING:
    from engine.reports.sample_report import SampleFacts


@dataclass(frozen=True, slots=True)
class Trying:
    """What the command was asked: how many cards, the flags that are settings, and where the page goes."""

    size: int
    flags: Mapping[str, object]
    page: Path | None


def run_trial(asked: Trying, output: Output) -> int:
    """Say the price, ask where it is over ASK_ABOVE, read the sample and show the difference; return the exit code.

    Raises:
        UsageError: the taxonomy cannot be used, or it would cost more and nobody is there to ask.
        HfmapError: nothing has been read yet, or the provider cannot be used.
    """
    settings, secrets = load_settings(asked.flags), load_secrets()
    output = Output(output.mode, redact=secrets.redact)
    with reading(str(settings.db)) as conn:
        found = anyio.run(_try, conn, settings, secrets, asked.size, output)
    if found is None:
        output.say("Nothing was done.")
        return EXIT_DONE
    from engine.reports.sample_report import present

    facts, error = found
    deliver(output, present(facts), asdict(facts), asked.page)
    if error is not None:
        output.error(str(error), "The figures are of the cards that were read until then.")
        return error.exit_code
    return EXIT_DONE if facts.sample else EXIT_FAILED


async def _try(
    conn: sqlite3.Connection, settings: Settings, secrets: Secrets, size: int, output: Output
) -> tuple[SampleFacts, HfmapError | None] | None:
    from engine.pipeline import trial as sample
    from engine.reports import sample_report

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
        reader = f"{client.provider} {client.model}" if client else f"local {RULES}"
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
    return sample_report.compare(conn, trial, new, old, reader=reader, full=full), trial.error


def _agreed(usd: float, settings: Settings, output: Output) -> bool:
    bounded = settings.budget is not None and settings.budget <= ASK_ABOVE
    if usd <= ASK_ABOVE or settings.yes or bounded:
        return True
    if not output.interactive:
        raise UsageError(
            f"The sample would cost about {dollars(usd)}, and nobody is there to be asked.",
            hint="Give --yes, a --budget, or a smaller --sample.",
        )
    return output.confirm(f"Reading the sample costs about {dollars(usd)}. Go on?")
