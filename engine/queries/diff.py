"""Tell what runs changed: datasets that came and went, cards, ranks, fields, summaries."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from engine.errors import HfmapError, UsageError

KINDS = ("entered", "left", "deleted", "renamed", "card", "rank", "field", "summary")
"""The kinds of change, in the order of `Changes`."""

_CHANGES = """
SELECT c.run_id, c.dataset_id, d.repo_id, c.kind, c.field, c.before, c.after
FROM change c JOIN dataset d ON d.dataset_id = c.dataset_id
WHERE c.run_id > ? AND c.run_id <= ? ORDER BY c.run_id
"""
_RUNS = """
SELECT run_id, command, source, started_at, finished_at, outcome,
    (SELECT coalesce(sum(usd), 0) FROM call WHERE call.run_id = run.run_id) AS usd
FROM run WHERE run_id > ? AND run_id <= ? ORDER BY run_id
"""


@dataclass(frozen=True, slots=True)
class ChangingRun:
    """A run whose changes are told; `usd` is what it spent. Times are ISO-8601 UTC."""

    run_id: int
    command: str
    source: str | None
    started_at: str
    finished_at: str | None
    outcome: str
    usd: float


@dataclass(frozen=True, slots=True)
class Change:
    """One value before and after, as JSON values: a rank, a field's value, a summary, an id, or why it left.

    `field` is the field's name where fields changed, and None elsewhere.
    """

    repo_id: str
    before: Any
    after: Any
    field: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it without the field that it has not."""
        facts = {"repo_id": self.repo_id, "before": self.before, "after": self.after}
        return facts if self.field is None else {**facts, "field": self.field}


@dataclass(frozen=True, slots=True)
class Changes:
    """What some runs changed together, by kind: entrants by rank, ranks by how far they moved, the rest by id."""

    runs: tuple[ChangingRun, ...]
    entered: tuple[Change, ...]
    left: tuple[Change, ...]
    deleted: tuple[Change, ...]
    renamed: tuple[Change, ...]
    card: tuple[Change, ...]
    rank: tuple[Change, ...]
    field: tuple[Change, ...]
    summary: tuple[Change, ...]

    @property
    def usd(self) -> float:
        """US dollars that the runs spent."""
        return sum(run.usd for run in self.runs)

    def of(self, kind: str) -> tuple[Change, ...]:
        """The changes of one of KINDS."""
        found: tuple[Change, ...] = getattr(self, kind)
        return found

    def as_json(self) -> dict[str, Any]:
        """Return them as `hfmap diff --json` prints them."""
        kinds = {kind: [change.as_json() for change in self.of(kind)] for kind in KINDS}
        return {"runs": [asdict(run) for run in self.runs], "usd": self.usd, **kinds}


def changes(conn: sqlite3.Connection, first: int | None = None, second: int | None = None) -> Changes:
    """Tell what runs changed, taken together.

    Without a run: the last sync that ended. With one: that one. With two: all after the first, up to and including the
    second.

    Raises:
        HfmapError: there is no such run.
        UsageError: the runs are in the wrong order.
    """
    span = _span(conn, first, second)
    folded = _fold(_Logged(*row) for row in conn.execute(_CHANGES, span))
    by_kind: dict[str, tuple[Change, ...]] = {}
    for kind in KINDS:
        found = [_change(each) for each in folded if each.kind == kind]
        by_kind[kind] = tuple(sorted(found, key=_ORDER.get(kind, _by_name)))
    return Changes(runs=tuple(ChangingRun(*row) for row in conn.execute(_RUNS, span)), **by_kind)


def _span(conn: sqlite3.Connection, first: int | None, second: int | None) -> tuple[int, int]:
    """Return the runs that are meant: all after the one number, up to the other."""
    if first is None:
        row = conn.execute("SELECT max(run_id) FROM run WHERE command = 'sync' AND finished_at IS NOT NULL").fetchone()
        if row[0] is None:
            raise HfmapError("No sync has ended yet.", hint="Make one: hfmap sync; or name a run: hfmap diff RUN")
        return row[0] - 1, row[0]
    for number in (first, second):
        if number is not None and not conn.execute("SELECT 1 FROM run WHERE run_id = ?", (number,)).fetchone():
            raise HfmapError(f"There is no run {number}.", hint="See the last runs: hfmap status")
    if second is None:
        return first - 1, first
    if second < first:
        raise UsageError(f"Run {second} came before run {first}.", hint=f"hfmap diff {second} {first}")
    return first, second


@dataclass(frozen=True, slots=True)
class _Logged:
    run_id: int
    dataset_id: int
    repo_id: str
    kind: str
    field: str
    before: str | None
    after: str | None

    def value_before(self) -> Any:
        """The value before, as JSON where it is stored as JSON."""
        return _read(self.before, self.kind in ("field", "rank", "left"))

    def value_after(self) -> Any:
        """The value after, as JSON where it is stored as JSON."""
        return _read(self.after, self.kind in ("field", "rank", "entered"))


def _read(text: str | None, is_json: bool) -> Any:
    if text is None or not is_json:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _fold(rows: Iterable[_Logged]) -> list[_Logged]:
    """Take changes of several runs, in their order, together: the value before the first, and after the last.

    What was there and is there again in the end, or came and went, is no change. A dataset that only passed over the
    map has none at all, but for its name.
    """
    kept: dict[tuple[int, str, str], _Logged] = {}
    was_on: dict[int, bool] = {}
    is_on: dict[int, bool] = {}
    for row in rows:
        dataset, kind = row.dataset_id, row.kind
        if kind in ("entered", "left"):
            was_on.setdefault(dataset, kind == "left")
            is_on[dataset] = kind == "entered"
            if kind == "entered" and (gone := kept.get((dataset, "deleted", ""))) and gone.run_id < row.run_id:
                del kept[dataset, "deleted", ""]
        first = kept.get((dataset, kind, row.field), row)
        kept[dataset, kind, row.field] = replace(first, after=row.after, run_id=row.run_id)
    folded = []
    for (dataset, kind, _), change in kept.items():
        before, now = was_on.get(dataset), is_on.get(dataset)
        if kind == "entered" and (before or not now):
            continue
        if kind == "left" and (not before or now):
            continue
        if before is False and now is False and kind not in ("renamed", "deleted"):
            continue
        if kind not in ("entered", "left", "deleted") and change.value_before() == change.value_after():
            continue
        folded.append(change)
    return folded


def _change(logged: _Logged) -> Change:
    field = logged.field if logged.kind == "field" else None
    return Change(logged.repo_id, logged.value_before(), logged.value_after(), field)


def _by_name(change: Change) -> Any:
    return change.repo_id, change.field or ""


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else math.inf


def _by_move(change: Change) -> Any:
    before, after = _number(change.before), _number(change.after)
    far = abs(math.log(after / before)) if math.isfinite(before) and math.isfinite(after) else math.inf
    return -far, change.repo_id


_ORDER: dict[str, Callable[[Change], Any]] = {
    "entered": lambda change: (_number(change.after), change.repo_id),
    "left": lambda change: (_number(change.before), change.repo_id),
    "rank": _by_move,
}
