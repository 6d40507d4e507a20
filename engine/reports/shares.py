"""How a taxonomy fares: what is other, not stated, invalid or unproved, and what models would rather have said."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from engine.reports.answers import labels
from engine.reports.document import percent
from engine.reports.scores import Labels
from taxonomy.answers.values import squash
from taxonomy.model import ABSTENTIONS, Field, Taxonomy

Values = dict[str, dict[int, Labels]]
"""The valid values in force of the datasets on the map: by field, by dataset_id."""


@dataclass(frozen=True, slots=True)
class FieldShare:
    """One field over `cards` read cards on the map; shares in per cent of them.

    invalid: no value, for the answer held none that is allowed. repaired: read from an answer that was not quite
    right. unverified: of the values that a quote can prove, those whose quote is not in the card, or missing.
    confidence: its mean, where the reader tells one.
    """

    field: str
    cards: int
    other: float | None
    not_stated: float | None
    not_applicable: float | None
    invalid: float | None
    repaired: float | None
    unverified: float | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class SlugUse:
    """How many datasets have a slug; `cards` is 0 for one that nobody uses."""

    field: str
    slug: str
    cards: int
    share: float | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A value outside the list that models gave, and how many cards made them."""

    field: str
    value: str
    cards: int


_ROWS = """
SELECT v.field, i.dataset_id, v.value, v.verified, v.confidence, v.problem
FROM in_force i JOIN dataset d ON d.dataset_id = i.dataset_id AND d.on_map = 1
JOIN field_value v ON v.result_id = i.result_id
WHERE i.stage = 'extract'
"""
_READ = """
SELECT count(*) FROM in_force i JOIN dataset d ON d.dataset_id = i.dataset_id AND d.on_map = 1
WHERE i.stage = 'extract'
"""
_PROBLEMS = """
SELECT v.field, r.input_hash, v.problem FROM field_value v
JOIN result r USING (result_id) JOIN spec s USING (spec_id)
WHERE s.stage = 'extract' AND v.problem LIKE '%is not one of the allowed slugs%'
"""
# The wording of taxonomy.answers.values; a long value is cut there and ends in dots.
_OUTSIDE = " is not one of the allowed slugs"
_QUOTED = re.compile(r'(?:^|[(;:] ?)"(?P<value>.*?)(?:"|(?P<cut>\.\.\.))$', re.DOTALL)


def shares(conn: sqlite3.Connection, taxonomy: Taxonomy) -> tuple[tuple[FieldShare, ...], Values]:
    """Measure every field of the taxonomy, as readers answered, without people's corrections."""
    read = conn.execute(_READ).fetchone()[0]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    sums: dict[str, float] = defaultdict(float)
    values: Values = {field.name: {} for field in taxonomy}
    for name, dataset_id, text, verified, confidence, problem in conn.execute(_ROWS):
        if name not in values:
            continue
        value, count = labels(text), counts[name]
        if confidence is not None:
            count["told"] += 1
            sums[name] += confidence
        if value is None:
            continue
        values[name][dataset_id] = value
        count["valid"] += 1
        count["repaired"] += _repaired(problem)
        for special in ("other", *ABSTENTIONS):
            count[special] += special in value
        if value and value != ("false",) and not ABSTENTIONS.issuperset(value):
            count["provable"] += 1
            count["unverified"] += not verified
    found = tuple(_share(field, read, counts[field.name], sums[field.name]) for field in taxonomy)
    return found, values


def uses(values: Values, taxonomy: Taxonomy) -> tuple[SlugUse, ...]:
    """Count every slug of every list, the commonest of each field first."""
    found: list[SlugUse] = []
    for field in taxonomy:
        if field.kind not in {"one", "many"}:
            continue
        count = Counter(slug for labels_ in values[field.name].values() for slug in labels_)
        total = len(values[field.name])
        ranked = sorted(field.names, key=lambda slug: (-count[slug], slug))
        found += [SlugUse(field.name, slug, count[slug], percent(count[slug], total)) for slug in ranked]
    return tuple(found)


def wanted(conn: sqlite3.Connection, taxonomy: Taxonomy) -> tuple[Wanted, ...]:
    """What models gave that is no slug of the taxonomy in force, the commonest first; spelling does not count."""
    known = {field.name: {squash(slug) for slug in field.names} for field in taxonomy}
    cards: dict[tuple[str, str], set[str]] = defaultdict(set)
    spelled: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for name, input_hash, problem in conn.execute(_PROBLEMS):
        for value in outside(problem) if name in known else ():
            key = squash(value)
            if key and key not in known[name]:
                cards[name, key].add(input_hash)
                spelled[name, key][value] += 1
    found = [
        Wanted(key[0], min(spelled[key], key=lambda v, k=key: (-spelled[k][v], v)), len(hashes))  # type: ignore[misc]
        for key, hashes in cards.items()
    ]
    return tuple(sorted(found, key=lambda item: (-item.cards, item.field, item.value)))


def outside(problem: str) -> Iterable[str]:
    """Yield the values that a stored problem says are no slugs; one that was cut ends in "…"."""
    for piece in problem.split(_OUTSIDE)[:-1]:
        match = _QUOTED.search(piece)
        if match:
            yield match["value"] + ("…" if match["cut"] else "")


def _repaired(problem: str | None) -> bool:
    return problem is not None and problem.startswith(("read from", "asked again"))


def _share(field: Field, read: int, count: Counter[str], confidence: float) -> FieldShare:
    has = field.names
    return FieldShare(
        field.name,
        read,
        percent(count["other"], read) if "other" in has else None,
        percent(count["not_stated"], read) if "not_stated" in has else None,
        percent(count["not_applicable"], read) if "not_applicable" in has else None,
        percent(read - count["valid"], read),
        percent(count["repaired"], read),
        percent(count["unverified"], count["provable"]),
        round(confidence / count["told"], 2) if count["told"] else None,
    )
