"""Normalize the values of a model's answer: to a value that the field allows, or to the reason why not.

Only what is unambiguous is repaired. A guess between two slugs, or "other" for a word that is no slug, would be an
invention; such values go back with one repair call instead.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from taxonomy.answers.json_repair import CutList, CutText
from taxonomy.model import Field, Value

#: A near miss must be this close (0–100), and this much closer than the next slug. Two transposed letters in
#: "human-created" score 92, in "raw-text" 85.7; one wrong letter of "mixed" (as in "mined", another word) scores 80.
_NEAR = 85.0
_MARGIN = 8.0
_MAX_ITEM = 120
_MAX_ITEMS = 40
_CUT_OFF = "the answer was cut off inside this value"
_FILLERS = {"and", "or", "of", "the"}
_TRUE = {"true", "yes", "y", "1"}
_FALSE = {"false", "no", "n", "0"}
_SAYS_NOTHING = {"", "none", "null", "na", "nil", "unknown", "notspecified", "unspecified", "notmentioned", "notstated"}


@dataclass(frozen=True, slots=True)
class Normalized:
    """A normalized value, allowed in its field, or None; `problem` says why None, or what was repaired."""

    value: Value
    problem: str | None = None


class _CannotError(Exception):
    """The value cannot be repaired without asking."""


def normalize(field: Field, raw: Any) -> Normalized:
    """Normalize `raw` (any JSON value) to a value of `field`. Never raises; what it returns is allowed or None."""
    try:
        value = _READERS[field.kind](field, raw)
    except _CannotError as error:
        return Normalized(None, str(error))
    if not field.allows(value):
        return Normalized(None, f"{_shown(raw)} is not allowed here")
    given = tuple(raw) if isinstance(raw, list) else raw
    same = type(given) is type(value) and given == value
    return Normalized(value, None if same else f"read from {_shown(raw)}")


def _flag(field: Field, raw: Any) -> Value:
    raw = _single(raw)
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, CutText):
        raise _CannotError(_CUT_OFF)
    word = squash(str(raw)) if isinstance(raw, str | int) else None
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    # A flag is true only where the card says so; a silent card is the default.
    if word in _SAYS_NOTHING and raw != "" and field.default is not None:
        return field.default
    raise _CannotError(f"{_shown(raw)} is neither true nor false")


def _one(field: Field, raw: Any) -> Value:
    if isinstance(raw, CutList):
        raise _CannotError(_CUT_OFF)
    items = raw if isinstance(raw, list) else [raw]
    found = {slug: None for item in items[:_MAX_ITEMS] for slug in _slugs_in(field, item)}
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise _CannotError("no value was given")
    raise _CannotError(f"one slug is wanted, but {_shown(raw)} names {len(found)}")


def _many(field: Field, raw: Any) -> Value:
    found = {slug: None for item in _items(raw) for slug in _slugs_in(field, item)}
    return _settle(field, list(found), raw)


def _open(field: Field, raw: Any) -> Value:
    found: dict[str, str] = {}
    for item in _items(raw):
        if isinstance(item, CutText):
            raise _CannotError(_CUT_OFF)
        if not isinstance(item, str):
            raise _CannotError(f"{_shown(item)} is not a string")
        special = _special(field, item)
        text = special or _tidy(item)
        if text:
            found.setdefault(text.casefold(), text)
    return _settle(field, list(found.values()), raw)


_READERS = {"one": _one, "many": _many, "open": _open, "flag": _flag}


def _settle(field: Field, found: list[str], raw: Any) -> Value:
    """A list as the field allows it: what must stand alone gives way to what does not."""
    substance = [item for item in found if item not in field.alone]
    if substance:
        return tuple(substance)
    if len(found) > 1:
        raise _CannotError(f"{_shown(raw)} holds values that must each stand alone")
    # An empty list where none is allowed claims nothing; so does the default.
    if not found and isinstance(raw, list) and not raw and isinstance(field.default, tuple):
        return field.default
    if not found and raw != []:
        raise _CannotError("no value was given")
    return tuple(found)


def _items(raw: Any) -> list[Any]:
    """The items of a list that may have come as a string."""
    if isinstance(raw, CutList | CutText):
        raise _CannotError(_CUT_OFF)
    if isinstance(raw, list):
        return raw[:_MAX_ITEMS]
    if not isinstance(raw, str):
        raise _CannotError("no value was given" if raw is None else f"{_shown(raw)} is not a list")
    text = raw.strip()
    if text.startswith("["):
        try:
            inner = json.loads(text.replace("'", '"') if '"' not in text else text)
        except (ValueError, RecursionError):
            text = text.strip("[]")
        else:
            return inner[:_MAX_ITEMS] if isinstance(inner, list) else [raw]
    return re.split(r"[,;|\n]", text)[:_MAX_ITEMS]


def _slugs_in(field: Field, item: Any) -> list[str]:
    """The slug that an item stands for; no slug for an empty item.

    Raises:
        _CannotError: it stands for none, or for more than one.
    """
    if isinstance(item, CutText):
        raise _CannotError(_CUT_OFF)
    if item is None or item == "":
        return []
    if not isinstance(item, str):
        raise _CannotError(f"{_shown(item)} is not a string")
    slug = nearest(item, field.names)
    if slug is None:
        # "sft, eval" inside one string is a list for a "many" field; for "one" it stays ambiguous.
        parts = re.split(r"[,;|/\n]| and ", item[:_MAX_ITEM])
        if field.kind == "many" and len(parts) > 1:
            found = [nearest(part, field.names) for part in parts if part.strip()]
            if all(found):
                return [slug for slug in found if slug]
        raise _CannotError(f"{_shown(item)} is not one of the allowed slugs")
    return [slug]


def nearest(text: str, slugs: tuple[str, ...]) -> str | None:
    """Find the slug that `text` can only mean: spelled otherwise, slightly misspelled, begun, or followed by a remark."""
    if len(text) > _MAX_ITEM * 2:
        return None
    known = _squashed(slugs)
    wanted = squash(text)
    if not wanted:
        return None
    if wanted in known:
        return known[wanted]
    # "other" is only ever taken at its word: a near miss of it would be a coercion.
    candidates = {key: slug for key, slug in known.items() if slug != "other"}
    ranked = process.extract(wanted, candidates.keys(), scorer=fuzz.ratio, limit=2, score_cutoff=_NEAR - _MARGIN)
    if ranked and ranked[0][1] >= _NEAR and (len(ranked) == 1 or ranked[0][1] - ranked[1][1] >= _MARGIN):
        best = ranked[0][0]
        # A slip of the pen changes a letter or two and not the first; "not-", "un-" and "non-" change the meaning.
        if wanted[0] == best[0] and OSA.distance(wanted, best) <= max(1, len(best) // 7):
            return candidates[best]
    return _begun(_words(text), candidates.values())


def _begun(words: list[str], slugs: Iterable[str]) -> str | None:
    """The only slug that the words begin ("medical"), or that begins the words ("sft (chat tuning)")."""
    begun, named = [], []
    for slug in slugs:
        parts = _words(slug)
        if words and words == parts[: len(words)]:
            begun.append(slug)
        elif parts == words[: len(parts)]:
            named.append(slug)
    if len(begun) == 1 and not named:
        # "medical" can only be medical-and-biomedical; "general" says too little for general-web-text.
        return begun[0] if 2 * len(words) >= len(_words(begun[0])) else None
    if named and not begun:
        longest = max(named, key=len)
        rest = " ".join(words[len(_words(longest)) :])
        others = [slug for slug in slugs if slug != longest and _contains(rest, " ".join(_words(slug)))]
        return None if others or _contains(rest, "other") else longest
    return None


def _contains(words: str, part: str) -> bool:
    return f" {part} " in f" {words} "


@lru_cache(maxsize=256)
def _squashed(slugs: tuple[str, ...]) -> dict[str, str]:
    return {squash(slug): slug for slug in slugs}


def squash(text: str) -> str:
    """Fold text to its letters and digits, lower case: case, spaces, hyphens and underscores do not count."""
    return "".join(c for c in unicodedata.normalize("NFKC", text[: 4 * _MAX_ITEM]).casefold() if c.isalnum())


def _words(text: str) -> list[str]:
    found = re.findall(r"[a-z0-9]+", unicodedata.normalize("NFKC", text[: 4 * _MAX_ITEM]).casefold())
    return [word for word in found if word not in _FILLERS]


def _special(field: Field, item: str) -> str | None:
    """The special value of an open field that a string stands for; never by likeness, names are too varied."""
    known = _squashed(field.names)
    wanted = squash(item)
    if wanted in known:
        return known[wanted]
    if wanted in _SAYS_NOTHING - {""} and "not_stated" in field.names:
        return "not_stated"
    if wanted in {"worldwide", "world"} and "global" in field.names:
        return "global"
    return None


def _tidy(item: str) -> str:
    """A free string on one line, without control characters or lone surrogates."""
    text = "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", item[: 4 * _MAX_ITEM]))
    return " ".join(text.split())[:_MAX_ITEM].strip(" \"'`*.,;")


def _single(raw: Any) -> Any:
    return raw[0] if isinstance(raw, list) and len(raw) == 1 and not isinstance(raw, CutList) else raw


def _shown(raw: Any) -> str:
    """A short, printable, quoted form of a value for a sentence."""
    text = json.dumps(raw, ensure_ascii=True, default=str) if not isinstance(raw, str) else f'"{_tidy(raw)}"'
    return text if len(text) <= 80 else text[:77] + "..."
