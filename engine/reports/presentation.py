"""Present what was measured: the facts of each report as sections of text, tables and plots."""

from __future__ import annotations

from collections.abc import Sequence

from engine.queries.measures import LayoutVersion
from engine.reports.document import Bars, Cell, Cloud, Report, Section, Table, percent
from engine.reports.evaluation import Agreement, Confusion, Evaluation, FieldScore, SummaryScore, SummaryStyle
from engine.reports.rank import KINDS, TOPS, RankFacts
from engine.reports.taxonomy import TaxonomyFacts
from engine.reports.trial import Side, TrialFacts

_QUALITY = ("trustworthiness", "knn_preservation", "subject_purity")
_SCORE = (
    "field", "compared", "cards", "answered %", "accuracy %", "majority %", "macro-F1", "majority F1",
    "commonest label",
)  # fmt: skip
_STYLE = (
    "summaries", "number", "mean words", "median", "most", "over 25 words %", "bad opening %", "several sentences %",
    "commonest openings",
)  # fmt: skip


def score_sections(title: str, found: Evaluation) -> tuple[Section, ...]:
    """Present the scores of one reader against a labelled file."""
    sections = [
        Section(
            title,
            "Majority: what always giving the commonest label would score. A card without a valid value counts as "
            "wrong. Macro-F1: the mean over the labels of the reference.",
            Table(_SCORE, [_score_row(score) for score in found.fields]),
            Bars(
                [(_compared(s), (s.accuracy, s.majority_accuracy)) for s in found.fields],
                ("accuracy", "majority baseline"),
                unit=" %",
            )
            if found.fields
            else None,
        ),
        _mistakes(
            "Commonest mistakes", [(_compared(s), s.confusions) for s in found.fields], ("reference", "database")
        ),
    ]
    if found.summaries is not None:
        sections.append(_summaries("Summaries", found.summaries, ("database", "reference")))
    return tuple(sections)


def agreement_sections(other: str, found: Agreement) -> tuple[Section, ...]:
    """Present the agreement of two readers of the same cards."""
    read = "; ".join(f"{name} ({count:,} cards)" for name, count in found.readers.items())
    sections = [
        Section(
            f"Agreement with {other}",
            f"The other results: {read}. Lists agree if they hold the same items. Kappa: agreement beyond chance.",
            Table(("field", "cards", "same %", "kappa"), [(f.field, f.cards, f.same, f.kappa) for f in found.fields]),
            Bars([(f.field, (f.same,)) for f in found.fields], ("same",), unit=" %") if found.fields else None,
        ),
        _mistakes("Commonest differences", [(f.field, f.confusions) for f in found.fields], (other, "in force")),
    ]
    if found.summaries is not None:
        sections.append(_summaries(f"Summaries beside {other}'s", found.summaries, ("in force", other)))
    return tuple(sections)


def _mistakes(title: str, of: Sequence[tuple[str, Sequence[Confusion]]], names: tuple[str, str]) -> Section:
    """What was taken for what."""
    rows = [(name, c.reference, c.found, c.cards) for name, confusions in of for c in confusions]
    return Section(title, "" if rows else "None.", Table(("field", *names, "cards"), rows), most=60)


def _summaries(title: str, found: SummaryScore, names: tuple[str, str]) -> Section:
    """Two sets of summaries side by side."""
    rows = [(name, *_summary_row(s)) for name, s in zip(names, (found.found, found.reference), strict=True)]
    return Section(
        title,
        f"ROUGE-L {found.rouge_l} (mean F1, per cent) over {found.cards:,} cards.",
        Table(_STYLE, rows),
    )


def _score_row(score: FieldScore) -> tuple[Cell, ...]:
    return (
        score.field, score.compared, score.cards, score.answered, score.accuracy, score.majority_accuracy,
        score.macro_f1, score.majority_macro_f1, score.majority,
    )  # fmt: skip


def _compared(score: FieldScore) -> str:
    return score.field if score.compared == "value" else f"{score.field} ({score.compared})"


def _summary_row(style: SummaryStyle) -> tuple[Cell, ...]:
    openings = ", ".join(f"{words} ({count})" for words, count in style.openings)
    return (
        style.summaries, style.mean_words, style.median_words, style.most_words, style.too_long, style.bad_opening,
        style.several_sentences, openings,
    )  # fmt: skip


def taxonomy_report(facts: TaxonomyFacts) -> Report:
    """Present how a taxonomy fares, and what to change in it next."""
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


def trial_report(facts: TrialFacts) -> Report:
    """Present what a changed taxonomy would change, on a sample."""
    lead = f"{facts.sample:,} cards read again by {facts.reader} for ${facts.spent_usd:,.4f}; nothing was stored."
    if facts.failed:
        lead += f" {facts.failed:,} could not be read."
    lead += f" All {facts.full.cards:,} cards on the map: about ${facts.full.usd:,.2f}."
    if facts.stored_by != (facts.reader,):
        lead += (
            f" The stored values are by {', '.join(facts.stored_by) or 'nobody'}: a part of the difference is theirs."
        )
    columns = (
        "field", "same %", "other before %", "after %", "not stated before %", "after %", "invalid before %",
        "after %", "verified before %", "after %",
    )  # fmt: skip
    none = Side(None, None, None, None)
    rows = []
    for each in facts.fields:
        b, a = each.before or none, each.after or none
        name = each.field + (" (new)" if each.before is None else " (gone)" if each.after is None else "")
        sides = (b.other, a.other, b.not_stated, a.not_stated, b.invalid, a.invalid, b.verified, a.verified)
        rows.append((name, each.same, *sides))
    moves = [(f.field, m.reference, m.found, m.cards) for f in facts.fields for m in f.moves]
    values = [(f.field, value, count) for f in facts.fields for value, count in f.values]
    return Report(
        f"Trial of the taxonomy {facts.taxonomy}",
        lead,
        (
            Section("Fields", "", Table(columns, rows)),
            Section(
                "What moves", "" if moves else "Nothing.", Table(("field", "before", "after", "cards"), moves), most=60
            ),
            Section("Values after the change", "", Table(("field", "value", "cards"), values), most=60),
        ),
    )


def rank_report(facts: RankFacts) -> Report:
    """Present likes, downloads and trending as signals to rank datasets by."""
    usable = list(facts.only)
    lead = f"{facts.listed:,} datasets of the newest listing."
    if facts.listed_by:
        lead += f" The source was asked for them by {facts.listed_by}: what ranks low there was never seen here."
    for each in facts.signals:
        if each.unknown:
            lead += f" {each.signal} was not listed for {each.unknown:,} of them."
    overlaps = [
        (p.one, p.other, o.top, o.shared, o.share, o.chance, "yes" if o.ties else "")
        for p in facts.pairs
        for o in p.overlaps
    ]
    sections = [
        Section(
            "Signals",
            "",
            Table(("signal", "listed for", "not listed for"), [(s.signal, s.known, s.unknown) for s in facts.signals]),
        ),
        Section(
            "Correlation",
            "Spearman's, over the datasets for which both are known; 1 is the same order.",
            Table(
                ("signal", "and", "datasets", "Spearman"), [(p.one, p.other, p.datasets, p.spearman) for p in facts.pairs]
            ),
        ),
        *(
            Section(f"{one} and {other}", "One point a dataset, on logarithmic scales.", None, Cloud(x, y, (one, other)))
            for one, other, x, y in facts.points
        ),
        Section(
            "Overlap of the tops",
            "Chance: what two orders that have nothing to do with each other would share. Ties: equal values at the "
            "cut, where names decided." + ("" if overlaps else f" Fewer than {TOPS[0]} datasets: nothing to compare."),
            Table(("signal", "and", "first", "shared", "share %", "chance %", "ties"), overlaps),
            Bars([(f"{p.one} / {p.other}, {o.top:,}", (o.share, o.chance)) for p in facts.pairs for o in p.overlaps],
                 ("shared", "by chance"), unit=" %") if overlaps else None,
        ),
    ]  # fmt: skip
    for kind in KINDS if facts.top and len(usable) > 1 else ():
        brought = [b for b in facts.brought if b.kind == kind]
        rows = [
            (b.value, b.all, *(cell for s in usable for cell in (b.only[s], percent(b.only[s], facts.only[s]))))
            for b in brought
        ]
        sections.append(
            Section(
                f"What each brings, by {kind.replace('_', ' ')}",
                f"Datasets among the first {facts.top:,} by one signal and by no other: "
                + ", ".join(f"{facts.only[s]:,} by {s}" for s in usable)
                + ".",
                Table((kind.replace("_", " "), "in any", *(name for s in usable for name in (f"only {s}", "%"))), rows),
                Bars([(b.value, [b.only[s] for s in usable]) for b in brought[:20]], usable),
            )
        )
    return Report("Ranking signals", lead, tuple(sections))


def layout_report(versions: Sequence[LayoutVersion]) -> Report:
    """Present the versions of the layout and how good each was when it was made, the newest first."""
    newest = versions[::-1]
    columns = ("layout", "run", "made at", "made by", "from", "points", "changed", "placed")
    return Report(
        "Layouts",
        "Changed: datasets that came, changed or went since the last full fit. Placed: points set beside their "
        "neighbours since then. Trustworthiness: none of a point's 15 nearest on the map is far away among the vectors. "
        "kNN preservation: share of its 15 nearest vectors that are near on the map. Subject purity: share of its 15 "
        "nearest on the map with the same subject.",
        (
            Section(
                "Versions",
                "" if versions else "No layout has been made yet.",
                Table(
                    (*columns, *(name.replace("_", " ") for name in _QUALITY)),
                    [(*_layout_row(v), *(v.quality.get(name) for name in _QUALITY)) for v in newest],
                ),
                Bars(
                    [(f"layout {v.layout_id}, {v.made_by}", [v.quality.get(n) for n in _QUALITY]) for v in newest],
                    [name.replace("_", " ") for name in _QUALITY],
                )
                if versions
                else None,
            ),
        ),
    )


def _layout_row(v: LayoutVersion) -> tuple[Cell, ...]:
    return v.layout_id, v.run_id, v.created_at, v.made_by, v.parent_id, v.points, v.changed, v.placed
