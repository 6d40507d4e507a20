"""Corrections by a person: values and summaries read strictly. Their word counts, so nothing is guessed.

Models' answers are repaired where they can only mean one thing (taxonomy/answers/values.py); a person is asked instead.
"""

from __future__ import annotations

import json
from typing import Any

from taxonomy.model import Field, Value

LONGEST_ITEM = 120
MOST_ITEMS = 40
LONGEST_SUMMARY = 1_000
_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})


class CorrectionError(ValueError):
    """Text that is no value of the field: a clause that says why, and what to do in `hint`."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def read_value(field: Field, text: str) -> Value:
    """Read a value of `field`: a slug, true or false, or a list as "a, b" or as JSON.

    Raises:
        CorrectionError: it is none; slugs may differ in case and punctuation alone.
    """
    if field.kind == "flag":
        word = text.strip().casefold()
        if word not in _TRUE | _FALSE:
            raise CorrectionError(f'{field.name} is true or false, not "{text}"')
        return word in _TRUE
    if field.kind == "one":
        return _slug(field, text)
    items = [_slug(field, item) if field.kind == "many" else _free(field, item) for item in _items(field, text)]
    value = tuple({item.casefold(): item for item in reversed(items)}.values())[::-1]
    if not value and not field.may_be_empty:
        raise CorrectionError(f"{field.name} needs at least one value", hint=_known(field))
    if len(value) > 1 and (alone := field.alone.intersection(value)):
        raise CorrectionError(f"{min(alone)} cannot stand beside another value of {field.name}")
    return value


def read_summary(text: str) -> str:
    """Read a summary: one line of text.

    Raises:
        CorrectionError: there is no word in it, or it is longer than a page can show.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not any(c.isalnum() for c in line):
        raise CorrectionError("the summary is empty")
    if len(line) > LONGEST_SUMMARY:
        raise CorrectionError(f"the summary has {len(line)} characters, at most {LONGEST_SUMMARY} are kept")
    return line


def written(value: Any) -> str:
    """Write a stored value as text that `read_value` (or `read_summary`) reads back as the same."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _items(field: Field, text: str) -> list[str]:
    text = text.strip()
    if text.startswith("["):
        try:
            items: list[Any] = json.loads(text)
        except (ValueError, RecursionError):
            raise CorrectionError(f"{field.name}: the list is not valid JSON: {text[:80]}", hint='["a", "b"]') from None
        if not all(isinstance(item, str) for item in items):
            raise CorrectionError(f"{field.name} is a list of texts", hint='["a", "b"]')
    else:
        items = [item for item in text.split(",") if item.strip()]
    if len(items) > MOST_ITEMS:
        raise CorrectionError(f"{field.name} has {len(items)} values, at most {MOST_ITEMS} are kept")
    return items


def _slug(field: Field, text: str) -> str:
    found = _spelled(field, text)
    if found is not None:
        return found
    near = _near(field, text)
    asked = f"Did you mean {' or '.join(near)}? " if near else ""
    raise CorrectionError(f'"{text.strip()}" is not a value of {field.name}', hint=asked + _known(field))


def _free(field: Field, text: str) -> str:
    """A free text; one of the field's slugs, spelled otherwise, is that slug."""
    found = _spelled(field, text)
    if found is not None:
        return found
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not line or len(line) > LONGEST_ITEM:
        raise CorrectionError(f"a value of {field.name} has from 1 to {LONGEST_ITEM} characters")
    return line


def _spelled(field: Field, text: str) -> str | None:
    """The slug that differs from the text in case and punctuation alone."""
    from taxonomy.answers.values import squash

    return {squash(slug): slug for slug in field.names}.get(squash(text))


def _near(field: Field, text: str) -> list[str]:
    from rapidfuzz import fuzz, process

    from taxonomy.answers.values import squash

    known = {slug: squash(slug) for slug in field.names}
    found = process.extract(squash(text), known, scorer=fuzz.WRatio, limit=3, score_cutoff=70)
    return [match[2] for match in found]


def _known(field: Field) -> str:
    return f"Values: {', '.join(field.names)}." if field.names else ""
