"""`hfmap sync` and `hfmap map`: their flags, the display, and the way they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from engine.cli._options import read_settings, setting_option, setting_options
from engine.cli._output import Mode, Output
from engine.cli._progress import Progress
from engine.config import Secrets, Settings
from engine.errors import EXIT_DONE
from engine.events import Bus
from engine.providers import load_secrets

if TYPE_CHECKING:
    from engine.run import RunResult


_shared = setting_options(
    "db", "out", "embedder", "embed_model", "llm", "model", "relayout", "max_topics", "budget", "yes", "json", "quiet"
)  # fmt: skip


@click.command()
@setting_options(
    "source", "target", "overshoot", "rank", "taxonomy", "refresh", "retry_failed", "batch", "no_map", "dry_run"
)  # fmt: skip
@_shared
def sync(**flags: object) -> int:
    """Bring the database and the map up to date.

    Only what is new or changed is done; run it again after an interruption and it goes on. Without any key:
    hfmap sync --source sample
    """
    settings = read_settings(flags)
    if settings.source not in {"hub", "sample"}:
        from engine.sources.files import check_source

        check_source(settings)
    secrets = load_secrets()
    output = _output(settings, secrets)
    # Both look before the display of a run begins.
    if settings.dry_run:
        from engine.cli.dryrun import run_dry

        return run_dry(settings, secrets, output, Bus())
    if output.interactive and not settings.yes:
        from engine.cli.dryrun import confirm_cost

        if not confirm_cost(settings, secrets, output):
            output.say("Nothing was done. See what is due: hfmap sync --dry-run")
            return EXIT_DONE
    from engine.run import sync as work

    return _run(work, settings, secrets, output)


@click.command("map")
@setting_option("png")
@_shared
def map_(**flags: object) -> int:
    """Draw the map again from the database alone."""
    settings = read_settings(flags)
    from engine.run import draw

    secrets = load_secrets()
    return _run(draw, settings, secrets, _output(settings, secrets))


def _output(settings: Settings, secrets: Secrets) -> Output:
    mode: Mode = "json" if settings.json else "quiet" if settings.quiet else "human"
    return Output(mode, redact=secrets.redact)


def _run(
    work: Callable[[Settings, Secrets, Bus], RunResult], settings: Settings, secrets: Secrets, output: Output
) -> int:
    progress = Progress(output)
    try:
        with progress:
            result = work(settings, secrets, Bus(progress))
        if result.page is not None:
            output.page(result.page)
    finally:
        # What failed is listed also where an error ended the run.
        progress.close_words()
    return result.exit_code
