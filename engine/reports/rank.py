"""Compare likes, downloads and trending as signals to rank datasets by, over what was listed."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from engine.queries.map import newest_sync
from engine.queries.measures import newest_listing
from engine.reports.scores import spearman

SIGNALS = ("likes", "downloads", "trending_score")
TOPS = (100, 500, 1_000, 5_000)
KINDS = ("modality", "task_category")


@dataclass(frozen=True, slots=True)
class SignalCoverage:
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
    signals: tuple[SignalCoverage, ...]
    pairs: tuple[Comparison, ...]
    top: int
    only: dict[str, int]
    brought: tuple[Brought, ...]
    points: tuple[tuple[str, str, tuple[float, ...], tuple[float, ...]], ...]
    """The values of each pair, for the plots."""


def measure(conn: sqlite3.Connection, top: int) -> RankFacts:
    """Compare the signals over the newest listing.

    What each brings is counted in its first `top`, but never beyond half of what is known; signals that are known of
    fewer than half as many datasets as another are left out there.
    """
    rows = newest_listing(conn)
    # None becomes not a number.
    columns = {signal: np.array([getattr(row, signal) for row in rows], dtype=np.float64) for signal in SIGNALS}
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
    source, settings = newest_sync(conn)
    return RankFacts(
        len(rows),
        settings.get("rank") if source == "hub" else None,
        tuple(SignalCoverage(signal, known[signal], len(rows) - known[signal]) for signal in SIGNALS),
        tuple(pairs),
        cut,
        {signal: len(found) for signal, found in only.items()},
        tuple(b for kind in KINDS for b in _brought(kind, [getattr(row, kind) for row in rows], tops, only)),
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
