"""Parse and validate a model's extraction: every value allowed by its field, every quote looked up in the card."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from types import MappingProxyType
from typing import Any

from rapidfuzz import fuzz

from taxonomy.answers import json_repair
from taxonomy.answers.quotes import clip, clip_span, locate
from taxonomy.answers.values import normalize, squash
from taxonomy.model import ABSTENTIONS, Extraction, Field, FieldValue, Taxonomy, Value

_VALUE_KEYS = ("value", "values", "answer", "slug", "slugs", "label", "result")
_QUOTE_KEYS = ("quote", "quotes", "evidence", "citation", "span")
_NAME_KEYS = ("field", "name", "key")
#: A key may be misspelled by about one letter in ten and still mean the field.
_NEAR_KEY = 88.0
_MAX_OBJECTS = 200
_NOT_IN_ANSWER = "not in the answer"
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Parsed:
    """Fields read from an answer. `problems`: those to ask for again, each with what is wrong with it."""

    values: Extraction
    problems: Mapping[str, str]


def parse_extraction(answer: str, taxonomy: Taxonomy, card: str) -> Parsed:
    """Parse an answer of any quality about `card` (the text that was sent).

    Never raises. Every field of the taxonomy is in `values`; a value is allowed by its field or None.
    """
    found = _fields_of(answer, taxonomy)
    values: dict[str, FieldValue] = {}
    problems: dict[str, str] = {}
    empty = "the answer was empty" if not answer.strip() else "the answer held no JSON"
    for field in taxonomy:
        raw, quote = found.get(field.name, (_MISSING, None))
        if raw is _MISSING:
            reason = _NOT_IN_ANSWER if found else empty
            values[field.name] = FieldValue(None, problem=reason)
            problems[field.name] = reason
            continue
        normalized = normalize(field, raw)
        if normalized.value is None:
            problems[field.name] = normalized.problem or _NOT_IN_ANSWER
            values[field.name] = FieldValue(None, problem=normalized.problem)
        else:
            values[field.name] = _with_quote(field, normalized.value, quote, card, normalized.problem)
    return Parsed(MappingProxyType(values), MappingProxyType(problems))


def merge(first: Parsed, repaired: Parsed) -> Parsed:
    """Merge a repair into the first answer: it fills the fields with problems, what was right stays."""
    values = dict(first.values)
    problems: dict[str, str] = {}
    for name, problem in first.problems.items():
        again = repaired.values.get(name)
        if again is None or again.value is None:
            reason = again.problem if again is not None and again.problem else _NOT_IN_ANSWER
            problems[name] = problem
            values[name] = FieldValue(None, problem=f"{problem}; asked again: {reason}")
        else:
            note = f"asked again ({problem})"
            values[name] = replace(again, problem=f"{note}; {again.problem}" if again.problem else note)
    return Parsed(MappingProxyType(values), MappingProxyType(problems))


def _with_quote(field: Field, value: Value, quote: Any, card: str, problem: str | None) -> FieldValue:
    items = value if isinstance(value, tuple) else (value,)
    says_nothing = not items or ABSTENTIONS.issuperset(items)
    text = _quote_text(quote)
    if text is None:
        # A flag that is at its default, like an abstention, has nothing to prove.
        if says_nothing or (field.kind == "flag" and value == field.default):
            return FieldValue(value, problem=problem)
        return FieldValue(value, problem=f"{problem}; no quote" if problem else "no quote")
    span = locate(text, card)
    if span is None:
        return FieldValue(value, clip(text), problem=problem)
    start, end = span
    cut = clip_span(card[start:end])
    start, end = start + cut[0], start + cut[1]
    return FieldValue(value, card[start:end], True, start, end, problem=problem)


def _quote_text(quote: Any) -> str | None:
    """The quote as a non-empty string, or None where none was given."""
    if isinstance(quote, list):
        quote = next((item for item in quote if isinstance(item, str | dict)), None)
    if isinstance(quote, dict):
        quote = next((item for item in quote.values() if isinstance(item, str)), None)
    if not isinstance(quote, str) or squash(quote) in {"", "notstated", "notapplicable", "none", "null", "na"}:
        return None
    # Only what can be encoded can be stored.
    text = str(quote).encode("utf-8", "replace").decode("utf-8").strip()
    return text or None


def _fields_of(answer: str, taxonomy: Taxonomy) -> dict[str, tuple[Any, Any]]:
    """For each field found in an answer, its raw value and quote.

    The object with the most valid fields counts; of two that stand side by side the later one, since a draft comes
    before the answer. What it lacks is taken from the others: some models write an object for each field.
    """
    names = {squash(field.name): field.name for field in taxonomy}
    best: dict[str, tuple[Any, Any]] = {}
    most, best_piece = 0, -1
    gaps: dict[str, tuple[Any, Any]] = {}
    for piece, candidate, inside in islice(_candidates(answer, names), _MAX_OBJECTS):
        found = _read_object(candidate, names) if isinstance(candidate, dict) else _read_list(candidate, names)
        if not inside:
            gaps |= found
        if len(found) < most or not found:
            continue
        valid = sum(normalize(taxonomy.field(name), raw).value is not None for name, (raw, _) in found.items())
        # Within one piece the outermost comes first and wins.
        if not best or valid > most or (valid == most and piece > best_piece):
            best, most, best_piece = found, valid, piece
    return gaps | best


def _candidates(answer: str, names: Mapping[str, str]) -> Iterator[tuple[int, dict[str, Any] | list[Any], bool]]:
    """Every object and list in an answer, outermost first: which piece it is of, itself, whether a field holds it."""
    pieces = list(json_repair.objects(answer))
    if len(pieces) > 1:
        yield -1, pieces, False  # {"field": ...} objects one after the other are a list without its brackets
    queue: list[tuple[int, Any, int, bool]] = [(at, value, 0, False) for at, value in enumerate(pieces)]
    for piece, value, depth, inside in queue:
        if not isinstance(value, dict | list):
            continue
        yield piece, value, inside
        if depth < 3:
            inner = list(value.items() if isinstance(value, dict) else (("", item) for item in value))[:50]
            queue.extend((piece, item, depth + 1, inside or squash(key) in names) for key, item in inner)


def _read_object(candidate: dict[str, Any], names: dict[str, str], *, apart: bool = True) -> dict[str, tuple[Any, Any]]:
    """The fields that are keys of an object; with `apart`, also {"values": {...}, "quotes": {...}}."""
    found: dict[str, tuple[Any, Any]] = {}
    quotes: dict[str, Any] = {}
    quoted: dict[str, Any] | None = None
    exact: set[str] = set()
    for key, content in list(candidate.items())[:_MAX_OBJECTS]:
        squashed = squash(key)
        if squashed in {"quotes", "quote", "evidence"} and squashed not in names and isinstance(content, dict):
            quoted = content
            quotes |= {name: quote for inner, quote in content.items() if (name := _field_name(squash(inner), names))}
            continue
        owner = re.sub(r"(?:quotes?|evidence)$", "", squashed)
        if owner != squashed and owner in names and squashed not in names:
            quotes[names[owner]] = content
            continue
        name = _field_name(squashed, names)
        # A key spelled right is not overwritten by one that is merely alike.
        if name is not None and (name not in exact or squashed in names):
            found[name] = _value_and_quote(content)
            if squashed in names:
                exact.add(name)
    if apart and not found and quotes:
        inner = (content for content in candidate.values() if isinstance(content, dict) and content is not quoted)
        found = next((read for content in inner if (read := _read_object(content, names, apart=False))), {})
    return {name: (raw, quotes.get(name) if quote is None else quote) for name, (raw, quote) in found.items()}


def _read_list(candidate: list[Any], names: dict[str, str]) -> dict[str, tuple[Any, Any]]:
    """A list of {"field": ..., "value": ..., "quote": ...}."""
    found: dict[str, tuple[Any, Any]] = {}
    for entry in candidate[:_MAX_OBJECTS]:
        if isinstance(entry, dict):
            label = next((entry[key] for key in _NAME_KEYS if isinstance(entry.get(key), str)), None)
            name = _field_name(squash(label), names) if label else None
            if name is not None:
                found[name] = _value_and_quote(entry)
    return found


def _value_and_quote(content: Any) -> tuple[Any, Any]:
    if isinstance(content, list) and content and all(isinstance(item, dict) for item in content):
        # A list of {"value": ..., "quote": ...} where one object with a list was due.
        parts = [_parts(item) for item in content[:_MAX_OBJECTS]]
        return type(content)(value for value, _ in parts), next((quote for _, quote in parts if quote), None)
    if not isinstance(content, dict):
        return content, None
    value, quote = _parts(content)
    if isinstance(value, dict):
        value = _parts(value)[0]
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        value = type(value)(_parts(item)[0] for item in value[:_MAX_OBJECTS])
    return value, quote


def _parts(content: dict[str, Any]) -> tuple[Any, Any]:
    keys = {squash(key): value for key, value in list(content.items())[:20]}
    value = next((keys[key] for key in _VALUE_KEYS if key in keys), _MISSING)
    return value, next((keys[key] for key in _QUOTE_KEYS if key in keys), None)


def _field_name(squashed: str, names: dict[str, str]) -> str | None:
    if squashed in names:
        return names[squashed]
    near = [names[key] for key in names if fuzz.ratio(squashed, key) >= _NEAR_KEY]
    return near[0] if len(near) == 1 else None
