"""Evaluation of fields and summaries: agreement with a labelled file, or with another reader of the same cards."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from engine.queries.measures import known_names
from engine.reports import scores
from engine.reports.answers import Answers, spelled_alike
from engine.reports.reference import Reference
from engine.reports.scores import CardLabels
from taxonomy.answers.summaries import MAX_WORDS, sentences, summary_problem
from taxonomy.model import Taxonomy

MOST_CONFUSIONS = 8
MOST_OPENINGS = 5


@dataclass(frozen=True, slots=True)
class Confusion:
    """A kind of mistake: `cards` whose reference says one thing and whose database says another."""

    reference: str
    found: str
    cards: int


@dataclass(frozen=True, slots=True)
class FieldScore:
    """One field against the reference, in per cent; `majority` is what always answering the commonest would get.

    compared: "value", or for a list its "first" item or "all" of it (then accuracy asks for the same set, and
    macro-F1 takes each slug by itself). answered: cards with any valid value; the others count as wrong.
    """

    field: str
    compared: str
    cards: int
    answered: float
    accuracy: float
    macro_f1: float
    majority: str
    majority_accuracy: float
    majority_macro_f1: float
    confusions: tuple[Confusion, ...]


@dataclass(frozen=True, slots=True)
class SummaryStyle:
    """What summaries look like. Shares in per cent; openings: the commonest first two words."""

    summaries: int
    mean_words: float
    median_words: float
    most_words: int
    too_long: float
    bad_opening: float
    several_sentences: float
    openings: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class SummaryScore:
    """Summaries against others of the same cards: mean ROUGE-L (F1, per cent), and what both look like."""

    cards: int
    rouge_l: float
    found: SummaryStyle
    reference: SummaryStyle


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A database against a labelled file."""

    fields: tuple[FieldScore, ...]
    summaries: SummaryScore | None


@dataclass(frozen=True, slots=True)
class FieldAgreement:
    """Two readers on one field: the share of cards on which they say the same, and Cohen's kappa."""

    field: str
    cards: int
    same: float
    kappa: float | None
    confusions: tuple[Confusion, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two readers of the same cards, `reference` being the other one."""

    fields: tuple[FieldAgreement, ...] = ()
    summaries: SummaryScore | None = None
    readers: Mapping[str, int] = field(default_factory=dict)


def ids_of(conn: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
    """Return the dataset_id of each name that is known: as it is, in other capitals, or as a name it had before."""
    known = {repo_id.casefold(): dataset_id for repo_id, dataset_id in known_names(conn)}
    return {name: known[name.casefold()] for name in names if name.casefold() in known}


def evaluate(answers: Answers, reference: Reference, ids: Mapping[str, int], taxonomy: Taxonomy) -> Evaluation:
    """Score answers on every card that has a label and that was read at all."""
    rows: list[FieldScore] = []
    read = {name: ids[name] for name in sorted(reference.ids) if name in ids}
    for each in taxonomy:
        found: list[CardLabels | None] = []
        wanted: list[CardLabels] = []
        for name, dataset_id in read.items():
            label = reference.fields.get(name, {}).get(each.name)
            if label is not None and dataset_id in answers.fields:
                found.append(answers.fields[dataset_id].get(each.name))
                wanted.append(label)
        if not wanted:
            continue
        if each.kind == "open":
            found, alike = spelled_alike(found, wanted)
            wanted = [label or () for label in alike]
        if each.kind in {"one", "flag"}:
            rows.append(_score(each.name, "value", found, wanted))
        else:
            rows.append(_score(each.name, "first", [_first(v) for v in found], [_first(v) or () for v in wanted]))
            rows.append(_score(each.name, "all", found, wanted))
    pairs = [
        (answers.summaries[dataset_id], reference.summaries[name])
        for name, dataset_id in read.items()
        if name in reference.summaries and dataset_id in answers.summaries
    ]
    return Evaluation(tuple(rows), _summaries(pairs))


def agree(ours: Answers, theirs: Answers, taxonomy: Taxonomy) -> Agreement:
    """Compare two readers, field by field, on the cards that both gave a value for."""
    rows = []
    both = sorted(ours.fields.keys() & theirs.fields.keys())
    for each in taxonomy:
        pairs = [(ours.fields[i].get(each.name), theirs.fields[i].get(each.name)) for i in both]
        known = [(a, b) for a, b in pairs if a is not None and b is not None]
        if each.kind == "open":
            one, other = spelled_alike([a for a, _ in known], [b for _, b in known])
            known = [(a or (), b or ()) for a, b in zip(one, other, strict=True)]
        if not known:
            continue
        a, b = [pair[0] for pair in known], [pair[1] for pair in known]
        kappa = scores.kappa(a, b)
        rows.append(
            FieldAgreement(
                each.name,
                len(known),
                round(scores.accuracy(a, b), 1),
                None if kappa is None else round(kappa, 3),
                _confusions(a, b),
            )
        )
    shared = sorted(ours.summaries.keys() & theirs.summaries.keys())
    pairs_of_text = [(ours.summaries[i], theirs.summaries[i]) for i in shared]
    counts = {f"{stage}: {provider} {model}": n for (stage, provider, model), n in sorted(theirs.readers.items())}
    return Agreement(tuple(rows), _summaries(pairs_of_text), counts)


def style(texts: Sequence[str]) -> SummaryStyle:
    """Measure summaries; there must be one at least."""
    lengths = [len(text.split()) for text in texts]
    bad = sum((summary_problem(_short(text)) or "").startswith("it opens with") for text in texts)
    several = sum(len(sentences(text)) > 1 for text in texts)
    begun = Counter(" ".join(text.split()[:2]) for text in texts)
    return SummaryStyle(
        len(texts),
        round(fmean(lengths), 1),
        float(median(lengths)),
        max(lengths),
        round(100 * sum(n > MAX_WORDS for n in lengths) / len(texts), 1),
        round(100 * bad / len(texts), 1),
        round(100 * several / len(texts), 1),
        tuple(sorted(begun.items(), key=lambda item: (-item[1], item[0]))[:MOST_OPENINGS]),
    )


def _short(text: str) -> str:
    # Its length is measured apart: a summary that is too long may open badly as well.
    return " ".join(text.split()[:8])


def _first(labels: CardLabels | None) -> CardLabels | None:
    return labels[:1] if labels is not None else None


def _score(name: str, compared: str, found: list[CardLabels | None], wanted: list[CardLabels]) -> FieldScore:
    usual = scores.commonest(wanted)
    always: list[CardLabels | None] = [usual] * len(wanted)
    return FieldScore(
        name,
        compared,
        len(wanted),
        round(100 * sum(value is not None for value in found) / len(found), 1),
        round(scores.accuracy(found, wanted), 1),
        round(scores.macro_f1(found, wanted), 1),
        scores.named(usual),
        round(scores.accuracy(always, wanted), 1),
        round(scores.macro_f1(always, wanted), 1),
        _confusions(found, wanted),
    )


def _confusions(found: Sequence[CardLabels | None], wanted: Sequence[CardLabels]) -> tuple[Confusion, ...]:
    return tuple(Confusion(*item) for item in scores.confusions(found, wanted)[:MOST_CONFUSIONS])


def _summaries(pairs: Sequence[tuple[str, str]]) -> SummaryScore | None:
    if not pairs:
        return None
    found, reference = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    mean = fmean(scores.rouge_l(*pair) for pair in pairs)
    return SummaryScore(len(pairs), round(mean, 1), style(found), style(reference))
