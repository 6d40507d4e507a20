"""What a changed taxonomy would change, on a sample, as a report."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass

from engine.pipeline.trial import ReadingCost, Trial
from engine.reports import scores
from engine.reports.answers import labels, spelled_alike
from engine.reports.document import Report, Section, Table, percent
from engine.reports.evaluation import MOST_CONFUSIONS, Confusion
from engine.reports.scores import Labels
from taxonomy.model import Field, Taxonomy

_STORED = """
SELECT i.dataset_id, v.field, v.value, v.verified FROM in_force i JOIN field_value v ON v.result_id = i.result_id
WHERE i.stage = 'extract' AND i.dataset_id IN (SELECT value FROM json_each(?))
"""
_READERS = """
SELECT DISTINCT i.provider, i.model FROM in_force i
WHERE i.stage = 'extract' AND i.dataset_id IN (SELECT value FROM json_each(?)) ORDER BY 1, 2
"""

Read = dict[str, dict[int, tuple[Labels | None, bool]]]
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
class SampleFacts:
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
) -> SampleFacts:
    """Set a trial beside what is stored of the same cards."""
    ids = sorted(trial.fields)
    asked = json.dumps(ids)
    before: Read = {field.name: {} for field in old}
    for dataset_id, name, value, verified in conn.execute(_STORED, (asked,)):
        if name in before:
            before[name][dataset_id] = labels(value), bool(verified)
    after: Read = {field.name: {} for field in new}
    for dataset_id, rows in trial.fields.items():
        for row in rows:
            after[row.field][dataset_id] = labels(row.value), row.verified
    names = dict.fromkeys((*after, *before))
    fields = {field.name: field for field in (*old, *new)}
    stored_by = tuple(f"{provider} {model}" for provider, model in conn.execute(_READERS, (asked,)))
    return SampleFacts(
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
    field: Field, before: dict[int, tuple[Labels | None, bool]] | None,
    after: dict[int, tuple[Labels | None, bool]] | None, ids: list[int],
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


def _set(value: Labels | None) -> frozenset[str] | None:
    return None if value is None else frozenset(value)


def _side(read: list[tuple[Labels | None, bool]] | None) -> Side | None:
    if read is None:
        return None
    n = len(read)
    return Side(
        percent(sum("other" in (value or ()) for value, _ in read), n),
        percent(sum("not_stated" in (value or ()) for value, _ in read), n),
        percent(sum(value is None for value, _ in read), n),
        percent(sum(verified for _, verified in read), n),
    )


def present(facts: SampleFacts) -> Report:
    """Make the report."""
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
        rows.append(
            (
                name,
                each.same,
                b.other,
                a.other,
                b.not_stated,
                a.not_stated,
                b.invalid,
                a.invalid,
                b.verified,
                a.verified,
            )
        )
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
