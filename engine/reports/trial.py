"""Compare a trial of a changed taxonomy with what is stored of the same cards."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass

from engine.pipeline.trial import ReadingCost, Trial
from engine.queries.measures import readers_of_cards, values_of_cards
from engine.reports import scores
from engine.reports.answers import labels, spelled_alike
from engine.reports.document import percent
from engine.reports.evaluation import MOST_CONFUSIONS, Confusion
from engine.reports.scores import CardLabels
from taxonomy.model import Field, Taxonomy

SampleValues = dict[str, dict[int, tuple[CardLabels | None, bool]]]
"""By field and dataset_id: the labels, and whether a quote proves them."""


@dataclass(frozen=True, slots=True)
class Side:
    """One field under one taxonomy, on the sample; shares in per cent."""

    other: float | None
    not_stated: float | None
    invalid: float | None
    verified: float | None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field before and after. before is None for a new field, after for one that is gone; same: per cent alike."""

    field: str
    same: float | None
    before: Side | None
    after: Side | None
    moves: tuple[Confusion, ...]
    values: tuple[tuple[str, int], ...]
    """The commonest values after the change."""


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """All that the report shows. `stored_by`: who read the stored values; `reader`: who read the sample now."""

    taxonomy: str
    sample: int
    failed: int
    reader: str
    stored_by: tuple[str, ...]
    spent_usd: float
    full: ReadingCost
    fields: tuple[FieldChange, ...]


def compare(
    conn: sqlite3.Connection, trial: Trial, new: Taxonomy, old: Taxonomy, *, reader: str, full: ReadingCost
) -> TrialFacts:
    """Set a trial beside what is stored of the same cards."""
    ids = sorted(trial.fields)
    before: SampleValues = {field.name: {} for field in old}
    for dataset_id, name, value, verified in values_of_cards(conn, ids):
        if name in before:
            before[name][dataset_id] = labels(value), bool(verified)
    after: SampleValues = {field.name: {} for field in new}
    for dataset_id, rows in trial.fields.items():
        for row in rows:
            after[row.field][dataset_id] = labels(row.value), row.verified
    names = dict.fromkeys((*after, *before))
    fields = {field.name: field for field in (*old, *new)}
    stored_by = tuple(f"{provider} {model}" for provider, model in readers_of_cards(conn, ids))
    return TrialFacts(
        new.name,
        len(ids),
        trial.failed,
        reader,
        stored_by,
        trial.usd,
        full,
        tuple(_change(fields[name], before.get(name), after.get(name), ids) for name in names),
    )


def _change(
    field: Field, before: dict[int, tuple[CardLabels | None, bool]] | None,
    after: dict[int, tuple[CardLabels | None, bool]] | None, ids: list[int],
) -> FieldChange:  # fmt: skip
    old = [before.get(i, (None, False)) for i in ids] if before is not None else None
    new = [after.get(i, (None, False)) for i in ids] if after is not None else None
    same, moves = None, []
    if old is not None and new is not None and ids:
        one, other = [value for value, _ in old], [value for value, _ in new]
        if field.kind == "open":
            one, other = spelled_alike(one, other)
        pairs = list(zip(one, other, strict=True))
        same = percent(sum(_set(a) == _set(b) for a, b in pairs), len(pairs))
        counts = Counter((scores.named(a), scores.named(b)) for a, b in pairs if _set(a) != _set(b))
        moves = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_CONFUSIONS]
    values = Counter(value for labels_, _ in new or () for value in labels_ or ())
    return FieldChange(
        field.name,
        same,
        _side(old),
        _side(new),
        tuple(Confusion(a, b, count) for (a, b), count in moves),
        tuple(sorted(values.items(), key=lambda item: (-item[1], item[0]))[:MOST_CONFUSIONS]),
    )


def _set(value: CardLabels | None) -> frozenset[str] | None:
    return None if value is None else frozenset(value)


def _side(read: list[tuple[CardLabels | None, bool]] | None) -> Side | None:
    if read is None:
        return None
    n = len(read)
    return Side(
        percent(sum("other" in (value or ()) for value, _ in read), n),
        percent(sum("not_stated" in (value or ()) for value, _ in read), n),
        percent(sum(value is None for value, _ in read), n),
        percent(sum(verified for _, verified in read), n),
    )
