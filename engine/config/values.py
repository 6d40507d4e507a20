"""What each setting may be: readers of raw values, which say what is wrong with them and where they stand."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from engine.config.settings import split_provider
from engine.errors import UsageError
from engine.text import is_address

RANKS = ("likes", "downloads", "trending_score")
EMBEDDERS = ("auto", "cohere", "local")
LLMS = ("auto", "anthropic", "local")
OPEN_EMBEDDERS = {"openai": "openai:URL", "model2vec": "model2vec:REPO"}
OPEN_LLMS = {"openai": "openai:URL"}
MOST_TARGET = 1_000_000
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a raw value stands. In a file (`strict`) a number is a number and not a text of digits."""

    name: str
    origin: str
    strict: bool

    def wrong(self, raw: object, wanted: str) -> UsageError:
        """The error that says what the value must be."""
        return UsageError(f"{self.name} is {raw!r} (from {self.origin}), but must be {wanted}.")


def _text(raw: object, place: Place) -> str:
    text = str(raw) if isinstance(raw, str | os.PathLike) else ""
    if not text.strip() or "\0" in text:
        raise place.wrong(raw, "a text that is not empty")
    return text


def _path(raw: object, place: Place) -> Path:
    return Path(_text(raw, place)).expanduser()


def _picture(raw: object, place: Place) -> Path:
    path = _path(raw, place)
    if path.suffix.lower() != ".png":
        raise place.wrong(raw, "the name of a .png file")
    return path


def _whole(raw: object, place: Place) -> int:
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


def _money(raw: object, place: Place) -> float:
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


def _seconds(raw: object, place: Place) -> float:
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


def _truth(raw: object, place: Place) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).lower()
    if place.strict or word not in _TRUE | _FALSE:
        raise place.wrong(raw, "true or false")
    return word in _TRUE


def _one_of(
    choices: tuple[str, ...], forms: Mapping[str, str] = MappingProxyType({})
) -> Callable[[object, Place], str]:
    """Read one of `choices`, or a name with something after a colon, as the values of `forms` show it."""

    def read(raw: object, place: Place) -> str:
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


def _server(url: str, place: Place) -> str:
    """Read the address of a server; one without a path gets the usual /v1."""
    if not is_address(url):
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


READERS: dict[str, Callable[[object, Place], Any]] = {
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
"""How the raw value of each setting is read."""
