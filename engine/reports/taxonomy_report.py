"""What to change in the taxonomy next, as a report."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from engine.reports import answers
from engine.reports.document import Bars, Report, Section, Table
from engine.reports.pairs import Pair, redundant
from engine.reports.shares import FieldShare, SlugUse, Wanted, shares, uses, wanted
from engine.reports.signatures import Signature, signatures
from taxonomy.model import Taxonomy


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


def present(facts: TaxonomyFacts) -> Report:
    """Make the report."""
    share_columns = (
        "field", "other %", "not stated %", "not applicable %", "invalid %", "repaired %", "unverified %",
        "confidence",
    )  # fmt: skip
    rows = [
        (f.field, f.other, f.not_stated, f.not_applicable, f.invalid, f.repaired, f.unverified, f.confidence)
        for f in facts.fields
    ]
    twice = f"{facts.read_twice:,} cards were read by two readers" if facts.read_twice else "no card was read twice"
    marks = [
        (each.layer, each.topic, each.size, m.field, m.value, m.cards, m.share, m.lift)
        for each in facts.topics
        for m in each.marks
    ]
    return Report(
        f"Taxonomy: {facts.taxonomy}",
        f"{facts.cards:,} cards on the map have been read.",
        (
            Section(
                "Fields",
                "Invalid: the answer held no allowed value. Unverified: of the values that a quote can prove, those "
                "whose quote is not in the card, or missing.",
                Table(share_columns, rows),
                Bars(
                    [(f.field, (f.other, f.not_stated, f.unverified)) for f in facts.fields],
                    ("other", "not stated", "unverified"),
                    unit=" %",
                ),
            ),
            Section(
                "Values that models tried to use",
                "Outside the list; spelling does not count." if facts.wanted else "None: every value was in the list.",
                Table(("field", "value", "cards"), [(w.field, w.value, w.cards) for w in facts.wanted]),
            ),
            Section(
                "Slugs that are hard to tell apart",
                f"Confused: of the cards given either slug, those on which two readers differ by this pair ({twice}). "
                "Centroids: cosine of the mean vectors of their datasets. Together: datasets with both."
                + ("" if facts.pairs else " No pair stands out."),
                Table(
                    ("field", "slug", "and", "confused %", "cards", "centroids", "together %"),
                    [
                        (p.field, p.one, p.other, p.confused, p.confused_cards, p.centroids, p.together)
                        for p in facts.pairs
                    ],
                ),
            ),
            Section(
                "Use of the slugs",
                f"{sum(s.cards == 0 for s in facts.slugs)} are never used.",
                Table(
                    ("field", "slug", "datasets", "share %"), [(s.field, s.slug, s.cards, s.share) for s in facts.slugs]
                ),
                most=100,
            ),
            Section(
                "Signatures of the topics",
                "Values that are much commoner in a topic than on the whole map; lift: how many times. Layer 0 is the "
                "coarsest." + ("" if marks else " There are no topics, or none has such a value."),
                Table(("layer", "topic", "datasets", "field", "value", "with it", "share %", "lift"), marks),
            ),
        ),
    )
