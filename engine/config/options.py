"""Load the settings of a run: flag > environment `HFMAP_<NAME>` > ./hfmap.toml > default.

Every setting is declared once, as an option of Click, which finds out where its value comes from. Its default is that of
`Settings`.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from engine.config.settings import RANKS, SETTING_NAMES, Settings
from engine.errors import UsageError

T = TypeVar("T")

FILE_NAME = "hfmap.toml"
PREFIX = "HFMAP"
MOST_TARGET = 1_000_000
_NOT_SETTINGS = frozenset({"HFMAP_DEBUG"})


class _Setting(click.ParamType[T]):
    """A kind of value; refuses others with a sentence that names the setting and where the value stands."""

    wanted: str

    def refuse(self, raw: object, param: click.Parameter | None, ctx: click.Context | None) -> UsageError:
        """The error that says what the value must be."""
        return UsageError(f"{_place(raw, param, ctx)}, but must be {self.wanted}.")


def _place(raw: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
    return f"{_name(param)} is {raw!r} (from {_origin(param, ctx)})"


def _name(param: click.Parameter | None) -> str:
    return str(param.name) if param is not None else "value"


def _origin(param: click.Parameter | None, ctx: click.Context | None, *, off: bool = False) -> str:
    """Name what a setting's value comes from: "--target", "HFMAP_TARGET", the file, or "default"."""
    if param is None or ctx is None or param.name is None:
        return "default"
    names = {
        ParameterSource.COMMANDLINE: (param.secondary_opts if off and param.secondary_opts else param.opts)[0],
        ParameterSource.ENVIRONMENT: f"{PREFIX}_{param.name.upper()}",
        ParameterSource.DEFAULT_MAP: FILE_NAME,
    }
    return names.get(ctx.get_parameter_source(param.name) or ParameterSource.DEFAULT, "default")


def _typed(param: click.Parameter | None, ctx: click.Context | None) -> bool:
    """Whether the value comes from the file, where a number is a number and not a text of digits."""
    return _origin(param, ctx) == FILE_NAME


class _Text(_Setting[str]):
    name, wanted = "text", "a text that is not empty"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value) if isinstance(value, str | os.PathLike) else ""
        if not text.strip() or "\0" in text:
            raise self.refuse(value, param, ctx)
        return text


class _Path(_Setting[Path]):
    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return Path(_TEXT.convert(value, param, ctx)).expanduser()


class _Picture(_Path):
    name, wanted = "picture", "the name of a .png file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = super().convert(value, param, ctx)
        if path.suffix.lower() != ".png":
            raise self.refuse(value, param, ctx)
        return path


class _Count(_Setting[int]):
    name, wanted = "count", f"a whole number from 1 to {MOST_TARGET}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        typed = _typed(param, ctx)
        if isinstance(value, bool) or (typed and not isinstance(value, int)):
            raise self.refuse(value, param, ctx)
        try:
            number = int(str(value) if typed else str(value).replace(",", ""))
        except ValueError:
            raise self.refuse(value, param, ctx) from None
        if not 1 <= number <= MOST_TARGET:
            raise self.refuse(value, param, ctx)
        return number


class _Number(_Setting[float]):
    """A number that is not below `least`, nor equal to it where `above`."""

    name = "number"

    def __init__(self, wanted: str, *, above: bool) -> None:
        self.wanted = wanted
        self._above = above

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, bool) or (_typed(param, ctx) and not isinstance(value, int | float)):
            raise self.refuse(value, param, ctx)
        try:
            number = float(str(value).removeprefix("$"))
        except ValueError:
            raise self.refuse(value, param, ctx) from None
        if not math.isfinite(number) or number < 0 or (self._above and number == 0):
            raise self.refuse(value, param, ctx)
        return number


class _Truth(click.types.BoolParamType):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        known = None if _typed(param, ctx) and not isinstance(value, bool) else self.str_to_bool(value)
        if known is None:
            raise UsageError(f"{_place(value, param, ctx)}, but must be true or false.")
        return known


class _OneOf(_Setting[str]):
    name = "choice"

    def __init__(self, choices: Sequence[str]) -> None:
        self._choices = choices
        self.wanted = f"one of: {', '.join(choices)}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if isinstance(value, str) and value in self._choices:
            return value
        near = get_close_matches(str(value).lower(), self._choices, 1)
        error = self.refuse(value, param, ctx)
        error.hint = f"did you mean '{near[0]}'?" if near else None
        raise error


_TEXT = _Text()
_DEFAULTS = {field.name: field.default for field in fields(Settings)}


class _Option(click.Option):
    """An option whose variable counts only where it says something; `ctx.obj` is the environment."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The variable's text without white space at its ends; None where nothing is left."""
        if ctx.auto_envvar_prefix is None or self.name is None:
            return None
        return ctx.obj.get(f"{ctx.auto_envvar_prefix}_{self.name.upper()}", "").strip() or None


def _value(flag: str, kind: click.ParamType[Any], metavar: str, text: str, shown: bool | str = True) -> _Option:
    default = _DEFAULTS[flag.removeprefix("--").replace("-", "_")]
    shown = shown if default is not None else False
    return _Option([flag], type=kind, metavar=metavar, default=default, show_default=shown, help=text)


def _flag(flag: str, text: str) -> _Option:
    return _Option([flag], type=_Truth(), is_flag=True, default=False, help=text)


OPTIONS: Mapping[str, click.Option] = {
    str(option.name): option
    for option in (
        _value("--db", _Path(), "PATH", "The database."),
        _value("--out", _Path(), "DIR", "Where the page goes."),
        _value("--source", _TEXT, "hub|sample|PATH", "Where datasets come from."),
        _value("--target", _Count(), "N", "How many datasets the map holds."),
        _value("--overshoot", _Count(), "N", "How many to list.", "a fifth more, at least 1000 more"),
        _value("--rank", _OneOf(RANKS), "SIGNAL", f"{', '.join(RANKS)}."),
        _value("--embedder", _TEXT, "NAME", "Who makes the vectors."),
        _value("--embed-model", _TEXT, "ID", "The embedding model of an openai:URL."),
        _value("--llm", _TEXT, "NAME", "Whose model answers."),
        _value("--model", _TEXT, "ID", "Another model of the language model's provider."),
        _value("--taxonomy", _Path(), "FILE", "Other fields and values than hfmap's own."),
        _Option(
            ["--relayout/--no-relayout"],
            type=_Truth(),
            default=None,
            show_default="once a fifth of it has changed",
            help="Lay the whole map out again, or never.",
        ),
        _value("--max-topics", _Count(), "N", "The most topics, and so the most naming calls."),
        _value(
            "--png",
            _Picture(),
            "FILE",
            "Draw a picture too: FILE, FILE-dark beside it, and the preview for links to the page.",
        ),
        _value("--budget", _Number("an amount of US dollars, such as 2.50", above=False), "USD",
               "Stop before more than this is spent."),
        _value("--timeout", _Number("a number of seconds above 0", above=True), "SECONDS",
               "How long one request to any service may take."),
        _flag("--refresh", "Ask for every card again."),
        _flag("--retry-failed", "Try again what was given up after failing in several runs."),
        _flag("--batch", "Ask Anthropic in batches: half the price, an answer within hours."),
        _flag("--no-map", "Enrich only; draw no map."),
        _flag("--dry-run", "Show what is due and what it would cost, and do nothing."),
        _flag("--yes", "Do not ask before a run that costs over $1."),
        _flag("--json", "Write each event as a line of JSON to stdout."),
        _flag("--quiet", "Say nothing but errors."),
    )
}  # fmt: skip
"""The option of each setting, by name. A command takes those that it offers as flags."""

_COMMAND = click.Command("settings", params=list(OPTIONS.values()), add_help_option=False)


def load_settings(
    flags: Mapping[str, object] = MappingProxyType({}),
    *,
    environ: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
) -> Settings:
    """Settings from flags (None: not given), the environment, `cwd`/hfmap.toml and the defaults.

    The providers that they name are not checked here; see `engine.providers.check_providers`. An `overshoot` nobody sets follows the target: a fifth more, and at least 1,000 more (5,000 → 6,000).

    Raises:
        UsageError: a value makes no sense, or a key is unknown; the sentence names its origin.
    """
    written = _read_file((cwd or Path.cwd()) / FILE_NAME)
    arguments = [word for name, value in flags.items() if value is not None for word in _words(OPTIONS[name], value)]
    with _COMMAND.make_context(
        "hfmap", arguments, auto_envvar_prefix=PREFIX, default_map=written, obj=environ
    ) as ctx:  # fmt: skip
        values = dict(ctx.params)
        origins = {name: _origin(OPTIONS[name], ctx, off=values[name] is False) for name in SETTING_NAMES}
    if origins["overshoot"] == "default":
        values["overshoot"] = values["target"] + max(1000, values["target"] // 5)
    settings = Settings(**values, origins=MappingProxyType(origins))
    _check_together(settings)
    return settings


def _words(option: click.Option, value: object) -> list[str]:
    """A flag as it stands on a command line."""
    if option.is_flag:
        return option.opts[:1] if value else option.secondary_opts[:1]
    return [f"{option.opts[0]}={value}"]


def unknown_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """Variables that begin like a setting but are none, each with the nearest real one."""
    known = [f"{PREFIX}_{name.upper()}" for name in SETTING_NAMES]
    strange = (v for v in environ if v.startswith(f"{PREFIX}_") and v not in known and v not in _NOT_SETTINGS)
    return {v: next(iter(get_close_matches(v, known, 1)), None) for v in sorted(strange)}


def _check_together(settings: Settings) -> None:
    if settings.overshoot < settings.target:
        raise UsageError(
            f"overshoot ({settings.overshoot}, from {settings.origin('overshoot')}) is below "
            f"target ({settings.target}, from {settings.origin('target')}).",
            hint="list at least as many datasets as the map is to hold.",
        )
    if settings.json and settings.quiet:
        raise UsageError(
            f"json (from {settings.origin('json')}) and quiet (from {settings.origin('quiet')}) exclude each other."
        )


def _read_file(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as stream:
            table = tomllib.load(stream)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not valid TOML: {error}.", hint=f"mend or remove {FILE_NAME}.") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    written = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in SETTING_NAMES:
            raise UsageError(f"{file} has an unknown key '{key}'.", hint=_near_key(name))
        written[name] = value
    return written


def _near_key(name: str) -> str:
    if any(part in name.lower() for part in ("key", "token", "secret")):
        return "keys are read from the environment alone: CO_API_KEY, ANTHROPIC_API_KEY, HF_TOKEN."
    near = get_close_matches(name.lower(), SETTING_NAMES, 1)
    return f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(SETTING_NAMES)}."
