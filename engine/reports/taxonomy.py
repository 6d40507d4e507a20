"""Measure how a taxonomy fares: shares of its fields, use of its slugs, pairs hard to tell apart, marks of topics."""

from __future__ import annotations

import math
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from engine.queries import measures
from engine.queries.map import map_topics
from engine.reports import answers
from engine.reports.answers import Answers, labels
from engine.reports.document import percent
from engine.reports.scores import CardLabels
from engine.vectors import FloatMatrix, unit_rows
from taxonomy.answers.values import squash
from taxonomy.model import ABSTENTIONS, Field, Taxonomy

FEWEST_CONFUSED = 3
FEWEST_WITH_VECTORS = 5
"""Datasets that a slug must have before its place among the vectors means anything."""
CONFUSED, ALIKE, TOGETHER = 20.0, 0.8, 50.0
"""A pair is listed from here on: per cent confused, cosine of the centroids, per cent that have both."""

FEWEST_OF_TOPIC = 3
"""Datasets of a topic that must have a value for it to mark the topic."""
LEAST_SHARE, LEAST_LIFT = 25.0, 1.25
MOST_MARKS = 5

# The wording of taxonomy.answers.values; a long value is cut there and ends in dots.
_OUTSIDE = " is not one of the allowed slugs"
_QUOTED = re.compile(r'(?:^|[(;:] ?)"(?P<value>.*?)(?:"|(?P<cut>\.\.\.))$', re.DOTALL)

Values = dict[str, dict[int, CardLabels]]
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


@dataclass(frozen=True, slots=True)
class Pair:
    """Two slugs of a field.

    confused: of the cards that one reader or the other gives either slug, the per cent on which one gives this and
    the other that; `confused_cards` counts them. centroids: cosine of the mean vectors of their datasets, taken from
    the mean of all. together: of the datasets with either, the per cent with both (lists only).
    """

    field: str
    one: str
    other: str
    confused: float | None
    confused_cards: int
    centroids: float | None
    together: float | None

    @property
    def weight(self) -> float:
        """How redundant the pair looks: 1 is where it begins to be listed."""
        confused = (self.confused or 0.0) / CONFUSED if self.confused_cards >= FEWEST_CONFUSED else 0.0
        return max(confused, (self.centroids or 0.0) / ALIKE, (self.together or 0.0) / TOGETHER)


@dataclass(frozen=True, slots=True)
class Mark:
    """A value that marks a topic: `share` per cent of the topic's datasets have it, `lift` times as many as of all."""

    field: str
    value: str
    cards: int
    share: float
    lift: float


@dataclass(frozen=True, slots=True)
class Signature:
    """A topic with its marks, the strongest first. Layer 0 is the coarsest."""

    topic: str
    layer: int
    size: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class TaxonomyFacts:
    """All that the report shows."""

    taxonomy: str
    cards: int
    fields: tuple[FieldShare, ...]
    slugs: tuple[SlugUse, ...]
    wanted: tuple[Wanted, ...]
    pairs: tuple[Pair, ...]
    read_twice: int
    topics: tuple[Signature, ...]


def measure(conn: sqlite3.Connection, taxonomy: Taxonomy) -> TaxonomyFacts:
    """Measure a taxonomy on the datasets on the map."""
    fields, values = shares(conn, taxonomy)
    readers = answers.beside(conn, taxonomy, None)
    return TaxonomyFacts(
        taxonomy.name,
        fields[0].cards,
        fields,
        uses(values, taxonomy),
        wanted(conn, taxonomy),
        redundant(conn, taxonomy, values, readers),
        len(readers[1].fields),
        signatures(conn, values),
    )


def shares(conn: sqlite3.Connection, taxonomy: Taxonomy) -> tuple[tuple[FieldShare, ...], Values]:
    """Measure every field of the taxonomy, as readers answered, without people's corrections."""
    read = measures.cards_read(conn)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    sums: dict[str, float] = defaultdict(float)
    values: Values = {field.name: {} for field in taxonomy}
    for name, dataset_id, text, verified, confidence, problem in measures.read_values(conn):
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
    for name, input_hash, problem in measures.problems(conn, _OUTSIDE):
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


def redundant(
    conn: sqlite3.Connection, taxonomy: Taxonomy, values: Values, readers: tuple[Answers, Answers]
) -> tuple[Pair, ...]:
    """Find the pairs of slugs that two readers confuse, whose datasets lie in one place, or that come together."""
    ids, vectors = measures.map_vectors(conn)
    if len(ids):
        vectors = vectors - vectors.mean(axis=0)
    found: list[Pair] = []
    for field in taxonomy:
        if field.kind not in {"one", "many"}:
            continue
        slugs = [slug for slug in field.names if slug != "other" and slug not in ABSTENTIONS]
        members = _members(values[field.name])
        centroids = _centroids(ids, vectors, {slug: members[slug] for slug in slugs})
        confused, either = _confused(field.name, readers)
        for one, other in combinations(slugs, 2):
            pair = frozenset((one, other))
            both = members[one] & members[other] if field.kind == "many" else set()
            near = float(centroids[one] @ centroids[other]) if one in centroids and other in centroids else None
            total = either[one] + either[other] - confused[pair]
            item = Pair(
                field.name,
                one,
                other,
                percent(confused[pair], total),
                confused[pair],
                None if near is None else round(near, 3),
                percent(len(both), len(members[one] | members[other])) if field.kind == "many" else None,
            )
            if item.weight >= 1:
                found.append(item)
    return tuple(sorted(found, key=lambda item: (-item.weight, item.field, item.one, item.other)))


def _members(values: dict[int, tuple[str, ...]]) -> dict[str, set[int]]:
    members: dict[str, set[int]] = defaultdict(set)
    for dataset_id, slugs in values.items():
        for slug in slugs:
            members[slug].add(dataset_id)
    return members


def _centroids(
    ids: NDArray[np.int64], vectors: FloatMatrix, members: dict[str, set[int]]
) -> dict[str, NDArray[np.float32]]:
    """The mean vector of each slug with enough datasets, scaled to length 1."""
    found: dict[str, NDArray[np.float32]] = {}
    for slug, having in members.items():
        rows = np.isin(ids, np.fromiter(having, np.int64, len(having)))
        if rows.sum() >= FEWEST_WITH_VECTORS:
            found[slug] = unit_rows(vectors[rows].mean(axis=0, keepdims=True))[0]
    return found


def _confused(field: str, readers: tuple[Answers, Answers]) -> tuple[Counter[frozenset[str]], Counter[str]]:
    """How often readers differ by exactly one pair of slugs, and on how many cards either gives a slug."""
    confused: Counter[frozenset[str]] = Counter()
    either: Counter[str] = Counter()
    ours, theirs = readers
    for dataset_id in ours.fields.keys() & theirs.fields.keys():
        mine, other = ours.fields[dataset_id].get(field), theirs.fields[dataset_id].get(field)
        if mine is None or other is None:
            continue
        either.update(set(mine) | set(other))
        here, there = set(mine) - set(other), set(other) - set(mine)
        if len(here) == len(there) == 1:
            confused[frozenset(here | there)] += 1
    return confused, either


def signatures(conn: sqlite3.Connection, values: Values) -> tuple[Signature, ...]:
    """Return every topic of the newest tree, the coarsest layer first, the largest topic first."""
    overall = {field: _counts(by_id, set(by_id)) for field, by_id in values.items()}
    found = []
    for topic in map_topics(conn):
        inside = set(topic.members)
        if not inside:
            continue
        marks: list[Mark] = []
        for field, by_id in values.items():
            known = len(inside & by_id.keys())
            for value, cards in _counts(by_id, inside).items():
                share = 100 * cards / known
                lift = cards / known * len(by_id) / overall[field][value]
                if (
                    cards >= FEWEST_OF_TOPIC
                    and share >= LEAST_SHARE
                    and lift >= LEAST_LIFT
                    and value not in ABSTENTIONS
                ):
                    marks.append(Mark(field, value, cards, round(share, 1), round(lift, 2)))
        marks.sort(key=lambda mark: (-mark.share * math.log(mark.lift), mark.field, mark.value))
        found.append(Signature(topic.name, topic.layer, len(inside), tuple(marks[:MOST_MARKS])))
    return tuple(sorted(found, key=lambda each: (each.layer, -each.size, each.topic)))


def _counts(by_id: dict[int, tuple[str, ...]], inside: set[int]) -> Counter[str]:
    return Counter(value for dataset_id in inside & by_id.keys() for value in set(by_id[dataset_id]))
