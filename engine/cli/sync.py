"""`hfmap sync` and `hfmap map`: their flags, the display, and the way they end."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engine.cli._output import Mode, Output
from engine.cli._progress import Progress
from engine.config import Secrets, Settings, load_secrets, load_settings
from engine.config.values import EMBEDDERS, LLMS, OPEN_EMBEDDERS, OPEN_LLMS, RANKS
from engine.errors import EXIT_DONE, UsageError
from engine.events import Bus

if TYPE_CHECKING:
    from engine.run import RunResult

F = TypeVar("F", bound=Callable[..., Any])


def _flag(name: str, text: str) -> Callable[[F], F]:
    # None where it is not given, so that the environment and hfmap.toml can speak.
    return click.option(name, is_flag=True, default=None, help=text)


_SHARED = (
    click.option("--db", metavar="PATH", help="The database. [default: hfmap.sqlite]"),
    click.option("--out", metavar="DIR", help="Where the page goes. [default: site]"),
    click.option(
        "--embedder", metavar="NAME", help=f"{', '.join((*EMBEDDERS, *OPEN_EMBEDDERS.values()))}. [default: auto]"
    ),
    click.option("--embed-model", metavar="ID", help="The embedding model of an openai:URL."),
    click.option("--llm", metavar="NAME", help=f"{', '.join((*LLMS, *OPEN_LLMS.values()))}. [default: auto]"),
    click.option("--model", metavar="ID", help="Another model of the language model's provider."),
    click.option(
        "--relayout/--no-relayout",
        default=None,
        help="Lay the whole map out again, or never. [default: once a fifth of it has changed]",
    ),
    click.option("--max-topics", metavar="N", help="The most topics, and so the most naming calls. [default: 400]"),
    click.option("--budget", metavar="USD", help="Stop before more than this is spent."),
    _flag("--yes", "Do not ask before a run that costs over $1."),
    _flag("--json", "Write each event as a line of JSON to stdout."),
    _flag("--quiet", "Say nothing but errors."),
)


def _shared(function: F) -> F:
    for option in reversed(_SHARED):
        function = option(function)
    return function


@click.command()
@click.option("--source", metavar="hub|sample|PATH", help="Where datasets come from. [default: hub]")
@click.option("--target", metavar="N", help="How many datasets the map holds. [default: 5000]")
@click.option("--overshoot", metavar="N", help="How many to list. [default: a fifth more, at least 1000 more]")
@click.option("--rank", metavar="SIGNAL", help=f"{', '.join(RANKS)}. [default: likes]")
@click.option("--taxonomy", metavar="FILE", help="Other fields and values than hfmap's own.")
@_flag("--refresh", "Ask for every card again.")
@_flag("--retry-failed", "Try again what was given up after failing in several runs.")
@_flag("--batch", "Ask Anthropic in batches: half the price, an answer within hours.")
@_flag("--no-map", "Enrich only; draw no map.")
@_flag("--dry-run", "Show what is due and what it would cost, and do nothing.")
@_shared
def sync(**flags: object) -> int:
    """Bring the database and the map up to date.

    Only what is new or changed is done; run it again after an interruption and it goes on. Without any key:
    hfmap sync --source sample
    """
    settings = load_settings(flags)
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
@click.option(
    "--png",
    metavar="FILE",
    help="Draw a picture too: FILE, FILE-dark beside it, and the preview for links to the page.",
)
@_shared
def map_(**flags: object) -> int:
    """Draw the map again from the database alone."""
    settings = load_settings(flags)
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


def check_source(settings: Settings) -> None:
    """Refuse a source that is neither known by name nor there as a folder, or as a file of a kind that can be read.

    Raises:
        UsageError: with the nearest known name.
    """
    source = settings.source
    if source in {"hub", "sample"}:
        return
    path = Path(source).expanduser()
    if path.exists():
        from engine.sources.rows import KINDS

        if not path.is_dir() and not path.name.lower().endswith(KINDS):
            raise UsageError(
                f"source is '{source}' (from {settings.origin('source')}): a file of a kind that hfmap does not read.",
                hint="take a folder of .md, a .jsonl[.gz] or a .parquet.",
            )
        return
    near = get_close_matches(source.lower(), ("hub", "sample"), 1)
    raise UsageError(
        f"source is '{source}' (from {settings.origin('source')}): no such file or folder.",
        hint=f"did you mean '{near[0]}'?"
        if near
        else "take hub, sample, or a folder of .md, a .jsonl[.gz] or a .parquet.",
    )
