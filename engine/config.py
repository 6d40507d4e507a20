"""The settings of a run and where each came from: flag > environment `HFMAP_<NAME>` > ./hfmap.toml > default.

Keys and base URLs are not settings: they come from the environment alone, so that no file holds a secret.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit

from engine.errors import KeyRefusedError, UsageError

FILE_NAME = "hfmap.toml"
PREFIX = "HFMAP_"
RANKS = ("likes", "downloads", "trending_score")
EMBEDDERS = ("auto", "cohere", "local")
LLMS = ("auto", "anthropic", "local")
OPEN_EMBEDDERS = {"openai": "openai:URL", "model2vec": "model2vec:REPO"}
OPEN_LLMS = {"openai": "openai:URL"}
MOST_TARGET = 1_000_000
_NOT_SETTINGS = frozenset({"HFMAP_DEBUG"})
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything `sync` and `map` take. Defaults of `target`, `overshoot`, `rank`: the published map's.

    `origins` names, for each setting, what it came from: "--target", "HFMAP_TARGET", a file, or "default".
    """

    db: Path = Path("hfmap.sqlite")
    out: Path = Path("site")
    source: str = "hub"
    target: int = 5000
    overshoot: int = 6000
    rank: Literal["likes", "downloads", "trending_score"] = "likes"
    embedder: str = "auto"
    llm: str = "auto"
    model: str | None = None
    taxonomy: Path | None = None
    relayout: bool | None = None
    """Lay the whole map out again: always, never, or (None) once a fifth of it has changed."""
    max_topics: int = 400
    """The most topics, and so the most naming calls: what a map of 20,000 datasets has by itself."""
    embed_model: str | None = None
    png: Path | None = None
    """Where the map also goes as a picture; its dark variant goes beside it."""
    batch: bool = False
    refresh: bool = False
    retry_failed: bool = False
    no_map: bool = False
    dry_run: bool = False
    budget: float | None = None
    timeout: float | None = None
    """Seconds for one request to any service, to its last byte; None: each service has its own."""
    yes: bool = False
    json: bool = False
    quiet: bool = False
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), compare=False, repr=False)

    def origin(self, name: str) -> str:
        """Where the setting `name` came from."""
        return self.origins.get(name, "default")

    def embedder_in_use(self, secrets: Secrets) -> str:
        """The embedder that `auto` stands for, or the one asked for.

        Raises:
            KeyRefusedError: Cohere is asked for by name and `CO_API_KEY` is not set.
        """
        return _in_use(self.embedder, self.origin("embedder"), "cohere", secrets.cohere, "CO_API_KEY")

    def llm_in_use(self, secrets: Secrets) -> str:
        """The language model's provider that `auto` stands for, or the one asked for.

        Raises:
            KeyRefusedError: Anthropic is asked for by name and `ANTHROPIC_API_KEY` is not set.
        """
        return _in_use(self.llm, self.origin("llm"), "anthropic", secrets.anthropic, "ANTHROPIC_API_KEY")

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON values, for the run ledger and `doctor`."""
        values = {name: getattr(self, name) for name in SETTING_NAMES}
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


SETTING_NAMES = tuple(f.name for f in fields(Settings) if f.name != "origins")


def _in_use(choice: str, origin: str, cloud: str, key: str | None, variable: str) -> str:
    if choice == "auto":
        return cloud if key else "local"
    if choice == cloud and not key:
        raise KeyRefusedError(
            f"{cloud} is asked for ({origin}), but {variable} is not set.",
            hint=f"export {variable}=…, or take the local provider, which needs no key.",
        )
    return choice


def split_provider(choice: str) -> tuple[str, str]:
    """What stands before and after the colon of "openai:URL" or "model2vec:REPO"; the rest is empty for other names."""
    kind, _, rest = choice.partition(":")
    return kind, rest


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base URLs of the three services, without a trailing slash."""

    hub: str = "https://huggingface.co"
    cohere: str = "https://api.cohere.com"
    anthropic: str = "https://api.anthropic.com"


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """The keys that are set, and the services they are for. Neither `repr` nor `str` shows a key."""

    cohere: str | None = None
    anthropic: str | None = None
    hub: str | None = None
    openai: str | None = None
    endpoints: Endpoints = Endpoints()

    def __repr__(self) -> str:
        names = ("cohere", "anthropic", "hub", "openai")
        marks = (f"{name}={'set' if getattr(self, name) else 'not set'}" for name in names)
        return f"Secrets({', '.join(marks)}, endpoints={self.endpoints!r})"

    def redact(self, text: str) -> str:
        """`text` with every key in it replaced by "***"."""
        for key in (self.cohere, self.anthropic, self.hub, self.openai):
            # A "key" of a few letters would blank out ordinary words.
            if key and len(key) >= 6 and key in text:
                text = text.replace(key, "***")
        return text


_KEYS = {"cohere": "CO_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "hub": "HF_TOKEN", "openai": "OPENAI_API_KEY"}


def load_secrets(environ: Mapping[str, str] = os.environ) -> Secrets:
    """Keys and base URLs from the environment.

    Raises:
        KeyRefusedError: a key holds characters that cannot stand in an HTTP header.
        UsageError: a base URL is not an http(s) address.
    """
    keys = {}
    for name, variable in _KEYS.items():
        key = environ.get(variable, "").strip()
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise KeyRefusedError(
                f"{variable} holds characters that no key has.",
                hint=f"set {variable} anew, without quotes or line breaks.",
            )
        keys[name] = key or None
    standard = Endpoints()
    endpoints = Endpoints(
        hub=_base_url(environ, "HF_ENDPOINT", standard.hub),
        cohere=_base_url(environ, "CO_API_URL", standard.cohere),
        anthropic=_base_url(environ, "ANTHROPIC_BASE_URL", standard.anthropic),
    )
    return Secrets(**keys, endpoints=endpoints)


def _base_url(environ: Mapping[str, str], variable: str, default: str) -> str:
    text = environ.get(variable, "").strip() or default
    if not _is_address(text):
        # The value is not repeated: an address may carry a password.
        raise UsageError(
            f"{variable} is not an address that starts with http:// or https://.", hint=f"unset {variable}"
        )
    return text.rstrip("/")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def load_settings(
    flags: Mapping[str, object], *, environ: Mapping[str, str] = os.environ, cwd: Path | None = None
) -> Settings:
    """Settings from flags (None: not given), the environment, `cwd`/hfmap.toml and the defaults.

    An `overshoot` nobody sets follows the target: a fifth more, and at least 1,000 more (5,000 → 6,000).

    Raises:
        UsageError: a value makes no sense, or a key is unknown; the sentence names its origin.
    """
    file = (cwd or Path.cwd()) / FILE_NAME
    written = _read_file(file)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name in SETTING_NAMES:
        variable = PREFIX + name.upper()
        if flags.get(name) is not None:
            flag = "--" + ("" if flags[name] is not False else "no-") + name.replace("_", "-")
            origin, raw = flag, flags[name]
        elif environ.get(variable, "").strip():
            origin, raw = variable, environ[variable].strip()
        elif name in written:
            origin, raw = FILE_NAME, written[name]
        else:
            continue
        values[name] = _READERS[name](raw, _Place(name, origin, strict=origin == FILE_NAME))
        origins[name] = origin
    target = values.get("target", Settings().target)
    values.setdefault("overshoot", target + max(1000, target // 5))
    settings = Settings(**values, origins=MappingProxyType({n: origins.get(n, "default") for n in SETTING_NAMES}))
    _check_together(settings)
    return settings


def unknown_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """Variables that begin like a setting but are none, each with the nearest real one."""
    known = [PREFIX + name.upper() for name in SETTING_NAMES]
    strange = (v for v in environ if v.startswith(PREFIX) and v not in known and v not in _NOT_SETTINGS)
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

    for name, model in (("llm", "model"), ("embedder", "embed_model")):
        if split_provider(getattr(settings, name))[0] == "openai" and getattr(settings, model) is None:
            flag = "--" + model.replace("_", "-")
            raise UsageError(
                f"{name} is {getattr(settings, name)} (from {settings.origin(name)}), but no model is named.",
                hint=f"name one that the server has: {flag} NAME",
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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a raw value stands. In a file (`strict`) a number is a number and not a text of digits."""

    name: str
    origin: str
    strict: bool

    def wrong(self, raw: object, wanted: str) -> UsageError:
        return UsageError(f"{self.name} is {raw!r} (from {self.origin}), but must be {wanted}.")


def _text(raw: object, place: _Place) -> str:
    text = str(raw) if isinstance(raw, str | os.PathLike) else ""
    if not text.strip() or "\0" in text:
        raise place.wrong(raw, "a text that is not empty")
    return text


def _path(raw: object, place: _Place) -> Path:
    return Path(_text(raw, place)).expanduser()


def _picture(raw: object, place: _Place) -> Path:
    path = _path(raw, place)
    if path.suffix.lower() != ".png":
        raise place.wrong(raw, "the name of a .png file")
    return path


def _whole(raw: object, place: _Place) -> int:
    wanted = f"a whole number from 1 to {MOST_TARGET}"
    if isinstance(raw, bool) or (place.strict and not isinstance(raw, int)):
        raise place.wrong(raw, wanted)
    try:
        number = int(str(raw).replace(",", "") if not place.strict else str(raw))
    except ValueError:
        raise place.wrong(raw, wanted) from None
    if not 1 <= number <= MOST_TARGET:
        raise place.wrong(raw, wanted)
    return number


def _money(raw: object, place: _Place) -> float:
    wanted = "an amount of US dollars, such as 2.50"
    if isinstance(raw, bool) or (place.strict and not isinstance(raw, int | float)):
        raise place.wrong(raw, wanted)
    try:
        amount = float(str(raw).removeprefix("$"))
    except ValueError:
        raise place.wrong(raw, wanted) from None
    if not math.isfinite(amount) or amount < 0:
        raise place.wrong(raw, wanted)
    return amount


def _seconds(raw: object, place: _Place) -> float:
    wanted = "a number of seconds above 0"
    if isinstance(raw, bool) or (place.strict and not isinstance(raw, int | float)):
        raise place.wrong(raw, wanted)
    try:
        seconds = float(str(raw))
    except ValueError:
        raise place.wrong(raw, wanted) from None
    if not 0 < seconds < math.inf:
        raise place.wrong(raw, wanted)
    return seconds


def _truth(raw: object, place: _Place) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).lower()
    if place.strict or word not in _TRUE | _FALSE:
        raise place.wrong(raw, "true or false")
    return word in _TRUE


def _one_of(
    choices: tuple[str, ...], forms: Mapping[str, str] = MappingProxyType({})
) -> Callable[[object, _Place], str]:
    """Read one of `choices`, or a name with something after a colon, as the values of `forms` show it."""

    def read(raw: object, place: _Place) -> str:
        if isinstance(raw, str) and raw in choices:
            return raw
        kind, rest = split_provider(raw) if isinstance(raw, str) else ("", "")
        if kind in forms and rest.strip():
            read_rest = _server if forms[kind].endswith("URL") else _text
            return f"{kind}:{read_rest(rest.strip(), place)}"
        wanted = (*choices, *forms.values())
        near = get_close_matches(str(raw).lower(), wanted, 1)
        raise UsageError(
            f"{place.name} is {raw!r} (from {place.origin}), but must be one of: {', '.join(wanted)}.",
            hint=f"did you mean '{near[0]}'?" if near else None,
        )

    return read


def _server(url: str, place: _Place) -> str:
    """Read the address of a server; one without a path gets the usual /v1."""
    if not _is_address(url):
        raise UsageError(
            f"{place.name} (from {place.origin}) names no address that starts with http:// or https://.",
            hint="for a server on this machine: openai:http://localhost:11434/v1",
        )
    parts = urlsplit(url)
    if "@" in parts.netloc:
        # Settings are kept in the database, and shown. The address is not repeated.
        raise UsageError(
            f"{place.name} (from {place.origin}) has a password in its address.", hint="keys go into OPENAI_API_KEY."
        )
    return parts._replace(path=parts.path.rstrip("/") or "/v1", fragment="").geturl()


_READERS: dict[str, Callable[[object, _Place], Any]] = {
    "db": _path,
    "out": _path,
    "source": _text,
    "target": _whole,
    "max_topics": _whole,
    "relayout": _truth,
    "overshoot": _whole,
    "rank": _one_of(RANKS),
    "embedder": _one_of(EMBEDDERS, OPEN_EMBEDDERS),
    "llm": _one_of(LLMS, OPEN_LLMS),
    "model": _text,
    "taxonomy": _path,
    "png": _picture,
    "embed_model": _text,
    "budget": _money,
    "timeout": _seconds,
    **dict.fromkeys(("batch", "refresh", "retry_failed", "no_map", "dry_run", "yes", "json", "quiet"), _truth),
}
