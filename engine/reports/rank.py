"""Likes, downloads and trending compared as signals to rank datasets by, over what was listed."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from engine.reports.document import Bars, Cloud, Report, Section, Table, percent
from engine.reports.scores import spearman

SIGNALS = ("likes", "downloads", "trending_score")
TOPS = (100, 500, 1_000, 5_000)
KINDS = ("modality", "task_category")

_LISTED = """
SELECT repo_id, likes, downloads, trending_score, modality, task_category FROM dataset
WHERE rank IS NOT NULL ORDER BY repo_id
"""
_RUN = "SELECT source, settings FROM run WHERE command = 'sync' ORDER BY run_id DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Listed:
    """A signal: on how many of the listed datasets it is known, and on how many it is not."""

    signal: str
    known: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much the two first `top` share; `share` and what `chance` would give, in per cent.

    ties: the last of either top has as much as the next after it, so that their names decided.
    """

    top: int
    shared: int
    share: float
    chance: float
    ties: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two signals over the datasets on which both are known. spearman: -1 to 1, None where one is constant."""

    one: str
    other: str
    datasets: int
    spearman: float | None
    overlaps: tuple[Overlap, ...]


@dataclass(frozen=True, slots=True)
class Brought:
    """Datasets of a kind that one signal's top brings and no other signal's; by signal. `all`: in any top."""

    kind: str
    value: str
    all: int
    only: dict[str, int]


@dataclass(frozen=True, slots=True)
class RankFacts:
    """All that the report shows. `top` is the cut for `brought`; `listed_by` how the Hub ranked what it
    listed; None for other sources."""

    listed: int
    listed_by: str | None
    signals: tuple[Listed, ...]
    pairs: tuple[Comparison, ...]
    top: int
    only: dict[str, int]
    brought: tuple[Brought, ...]
    points: tuple[tuple[str, str, tuple[float, ...], tuple[float, ...]], ...]
    """The values of each pair, for the plots."""


def measure(conn: sqlite3.Connection, top: int) -> RankFacts:
    """Compare the signals; what each brings is counted in its first `top`, but never beyond half of what is known; signals that
    are known of fewer than half as many datasets as another are left out there.
    """
    rows = conn.execute(_LISTED).fetchall()
    columns = {
        signal: np.array([np.nan if row[1 + place] is None else row[1 + place] for row in rows], dtype=np.float64)
        for place, signal in enumerate(SIGNALS)
    }
    known = {signal: int(np.isfinite(values).sum()) for signal, values in columns.items()}
    # A signal that only a few have would leave nothing of the tops of the others.
    usable = [signal for signal in SIGNALS if known[signal] and 2 * known[signal] >= max(known.values())]
    pairs, points = [], []
    for one, other in combinations([signal for signal in SIGNALS if known[signal]], 2):
        both = np.isfinite(columns[one]) & np.isfinite(columns[other])
        pairs.append(_compare(one, other, columns[one][both], columns[other][both]))
        points.append((one, other, tuple(columns[one][both].tolist()), tuple(columns[other][both].tolist())))
    cut = min([top, *(known[signal] // 2 for signal in usable)]) if usable else 0
    tops = {signal: set(_first(columns[signal], cut)) for signal in usable}
    only = {s: rows_ - set().union(*(tops[o] for o in usable if o != s)) for s, rows_ in tops.items()}
    row = conn.execute(_RUN).fetchone()
    return RankFacts(
        len(rows),
        json.loads(row[1]).get("rank") if row and row[0] == "hub" else None,
        tuple(Listed(signal, known[signal], len(rows) - known[signal]) for signal in SIGNALS),
        tuple(pairs),
        cut,
        {signal: len(found) for signal, found in only.items()},
        tuple(b for place, kind in enumerate(KINDS) for b in _brought(kind, [r[4 + place] for r in rows], tops, only)),
        tuple(points),
    )


def _first(values: NDArray[np.float64], top: int) -> list[int]:
    """The rows of the largest values, equal ones in the order of the rows; rows without a value come last."""
    return [int(i) for i in np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")[:top]]


def _compare(one: str, other: str, a: NDArray[np.float64], b: NDArray[np.float64]) -> Comparison:
    found, n = [], len(a)
    for top in TOPS:
        if top <= n:
            shared = len(set(_first(a, top)) & set(_first(b, top)))
            ties = any(_tied(values, top) for values in (a, b))
            found.append(Overlap(top, shared, round(100 * shared / top, 1), round(100 * top / n, 1), ties))
    rho = spearman(a, b)
    return Comparison(one, other, n, None if rho is None else round(rho, 3), tuple(found))


def _tied(values: NDArray[np.float64], top: int) -> bool:
    ordered = np.sort(values)[::-1]
    return top < len(ordered) and bool(ordered[top - 1] == ordered[top])


def _brought(kind: str, values: Sequence[str], tops: dict[str, set[int]], only: dict[str, set[int]]) -> list[Brought]:
    every = Counter(values[i] for i in set().union(*tops.values()))
    mine = {signal: Counter(values[i] for i in rows) for signal, rows in only.items()}
    return [
        Brought(kind, value, count, {signal: mine[signal][value] for signal in only})
        for value, count in sorted(every.items(), key=lambda item: (-item[1], item[0]))
    ]


def present(facts: RankFacts) -> Report:
    """Make the report."""
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
