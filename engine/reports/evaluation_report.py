"""An evaluation as a report."""

from __future__ import annotations

from collections.abc import Sequence

from engine.reports.document import Bars, Section, Table
from engine.reports.evaluation import Agreement, Confusion, Evaluation, FieldScore, Style, SummaryScore

_SCORE = (
    "field", "compared", "cards", "answered %", "accuracy %", "majority %", "macro-F1", "majority F1",
    "commonest label",
)  # fmt: skip
_STYLE = (
    "summaries", "number", "mean words", "median", "most", "over 25 words %", "bad opening %", "several sentences %",
    "commonest openings",
)  # fmt: skip


def scored(title: str, found: Evaluation) -> tuple[Section, ...]:
    """Sections for the scores of one reader."""
    sections = [
        Section(
            title,
            "Majority: what always giving the commonest label would score. A card without a valid value counts as "
            "wrong. Macro-F1: the mean over the labels of the reference.",
            Table(_SCORE, [_row(score) for score in found.fields]),
            Bars(
                [(_name(s), (s.accuracy, s.majority_accuracy)) for s in found.fields],
                ("accuracy", "majority baseline"),
                unit=" %",
            )
            if found.fields
            else None,
        ),
        mistakes("Commonest mistakes", [(_name(s), s.confusions) for s in found.fields], ("reference", "database")),
    ]
    if found.summaries is not None:
        sections.append(summaries("Summaries", found.summaries, ("database", "reference")))
    return tuple(sections)


def compared(other: str, found: Agreement) -> tuple[Section, ...]:
    """Sections for the agreement of two readers."""
    read = "; ".join(f"{name} ({count:,} cards)" for name, count in found.readers.items())
    sections = [
        Section(
            f"Agreement with {other}",
            f"The other results: {read}. Lists agree if they hold the same items. Kappa: agreement beyond chance.",
            Table(("field", "cards", "same %", "kappa"), [(f.field, f.cards, f.same, f.kappa) for f in found.fields]),
            Bars([(f.field, (f.same,)) for f in found.fields], ("same",), unit=" %") if found.fields else None,
        ),
        mistakes("Commonest differences", [(f.field, f.confusions) for f in found.fields], (other, "in force")),
    ]
    if found.summaries is not None:
        sections.append(summaries(f"Summaries beside {other}'s", found.summaries, ("in force", other)))
    return tuple(sections)


def mistakes(title: str, of: Sequence[tuple[str, Sequence[Confusion]]], names: tuple[str, str]) -> Section:
    """A section that lists what was taken for what."""
    rows = [(name, c.reference, c.found, c.cards) for name, confusions in of for c in confusions]
    return Section(title, "" if rows else "None.", Table(("field", *names, "cards"), rows), most=60)


def summaries(title: str, found: SummaryScore, names: tuple[str, str]) -> Section:
    """A section about two sets of summaries."""
    rows = [(name, *_style(s)) for name, s in zip(names, (found.found, found.reference), strict=True)]
    return Section(
        title,
        f"ROUGE-L {found.rouge_l} (mean F1, per cent) over {found.cards:,} cards.",
        Table(_STYLE, rows),
    )


def _row(score: FieldScore) -> tuple[str | int | float, ...]:
    return (
        score.field, score.compared, score.cards, score.answered, score.accuracy, score.majority_accuracy,
        score.macro_f1, score.majority_macro_f1, score.majority,
    )  # fmt: skip


def _name(score: FieldScore) -> str:
    return score.field if score.compared == "value" else f"{score.field} ({score.compared})"


def _style(style: Style) -> tuple[str | int | float, ...]:
    openings = ", ".join(f"{words} ({count})" for words, count in style.openings)
    return (
        style.summaries, style.mean_words, style.median_words, style.most_words, style.too_long, style.bad_opening,
        style.several_sentences, openings,
    )  # fmt: skip
