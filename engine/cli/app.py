"""The `hfmap` command: its sub-commands, loaded when they are called, and the way every one of them ends."""

from __future__ import annotations

import contextlib
import os
from difflib import get_close_matches
from importlib import import_module

import click

from engine.cli._output import Output, quiet_pipe, silence_stdout

# Where each command lives. The order is that of --help.
COMMANDS = {
    "sync": "engine.cli.sync:sync",
    "map": "engine.cli.sync:map_",
    "publish": "engine.cli.publish:publish",
    "status": "engine.cli.status:status",
    "diff": "engine.cli.diff:diff",
    "sql": "engine.cli.sql:sql",
    "show": "engine.cli.show:show",
    "search": "engine.cli.search:search",
    "related": "engine.cli.search:related",
    "topics": "engine.cli.topics:topics",
    "override": "engine.cli.override:override",
    "review": "engine.cli.review:review",
    "eval": "engine.cli.eval:eval_",
    "report": "engine.cli.report:report",
    "doctor": "engine.cli.doctor:doctor",
}


class Hfmap(click.Group):
    """A group that imports a command when it is asked for, and turns exceptions into sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands, in the order of --help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command. Each gets --debug, so that it may stand before or after the command's name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        if not any(p.name == "debug" for p in command.params):
            command.params.append(_debug_option())
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the nearest command named where there is none."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, 1)
            ask = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"There is no command '{args[0]}'.{ask}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; end with its exit code, and with a sentence where it failed."""
        code: object = None
        try:
            with quiet_pipe():
                code = super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BaseException as error:
            if isinstance(error, SystemExit | GeneratorExit):
                raise
            code = Output().fail(error, debug=ctx.meta.get(_DEBUG, False) or bool(os.environ.get("HFMAP_DEBUG")))
            with contextlib.suppress(OSError):
                with quiet_pipe():
                    pass
                ctx.exit(code)
            # stdout cannot be flushed (a full disk): nothing more is to be tried at exit.
            silence_stdout()
        ctx.exit(code if isinstance(code, int) else 0)


_DEBUG = "engine.cli.debug"


def _note_debug(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_DEBUG] = True


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"], is_flag=True, expose_value=False, callback=_note_debug, help="Show tracebacks of errors."
    )


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("hfmap")
    except PackageNotFoundError:
        number = "(not installed: running from its source)"
    click.echo(f"hfmap {number}")
    ctx.exit()


@click.group(
    cls=Hfmap,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 done but some items failed, 4 budget reached, "
    "5 key or login missing, 130 interrupted. Settings: flag > environment HFMAP_* > ./hfmap.toml > default.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and exit.",
)
@click.option("--debug", is_flag=True, expose_value=False, callback=_note_debug, help="Show tracebacks of errors.")
def hfmap() -> None:
    """A map of the Hugging Face Hub's datasets: streamed, enriched, kept in SQLite, drawn as one page."""
