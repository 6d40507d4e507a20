"""Measures of agreement: accuracy, F1, kappa, ROUGE-L, rank correlation. All shares are per cent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Labels = tuple[str, ...]
"""What one card has in one field: one label, or those of a list."""

_WORD = re.compile(r"\w+")


def accuracy(found: Sequence[Labels | None], reference: Sequence[Labels]) -> float:
    """Share of cards whose labels are those of the reference, in whatever order; None is never right."""
    right = sum(f is not None and set(f) == set(r) for f, r in zip(found, reference, strict=True))
    return 100 * right / len(reference) if reference else 0.0


def macro_f1(found: Sequence[Labels | None], reference: Sequence[Labels]) -> float:
    """Mean F1 over the labels that the reference holds, each label a yes-or-no question to every card."""
    wanted, given, both = Counter[str](), Counter[str](), Counter[str]()
    for f, r in zip(found, reference, strict=True):
        answer, truth = set(f or ()), set(r)
        wanted.update(truth)
        given.update(answer)
        both.update(answer & truth)
    scores = [2 * both[label] / (count + given[label]) for label, count in wanted.items()]
    return 100 * sum(scores) / len(scores) if scores else 0.0


def commonest(reference: Sequence[Labels]) -> Labels:
    """The answer that is most often right; of equals the first in the alphabet."""
    counts = Counter(tuple(sorted(labels)) for labels in reference)
    return min(counts, key=lambda labels: (-counts[labels], labels))


def confusions(found: Iterable[Labels | None], reference: Iterable[Labels]) -> list[tuple[str, str, int]]:
    """Each (reference, found, cards) that differ, the commonest first."""
    counts: Counter[tuple[str, str]] = Counter()
    for f, r in zip(found, reference, strict=True):
        if f is None or set(f) != set(r):
            counts[named(r), named(f)] += 1
    return [(r, f, count) for (r, f), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def named(labels: Labels | None) -> str:
    """Labels as text: "(none)" for an empty list, "(no value)" for no answer."""
    return "(no value)" if labels is None else ", ".join(sorted(labels)) or "(none)"


def kappa(one: Sequence[Labels], other: Sequence[Labels]) -> float | None:
    """Cohen's kappa: agreement beyond what two readers with these habits have by chance; None where there is no room."""
    n = len(one)
    if not n:
        return None
    left = Counter(named(labels) for labels in one)
    right = Counter(named(labels) for labels in other)
    chance = sum(left[label] * right[label] for label in left) / n**2
    seen = accuracy(one, other) / 100
    return None if chance == 1 else (seen - chance) / (1 - chance)


def rouge_l(found: str, reference: str) -> float:
    """F1 of the longest common subsequence of lower-case words, without stemming (Lin, 2004, with beta 1)."""
    from rapidfuzz.distance import LCSseq

    left, right = (_WORD.findall(text.casefold()) for text in (found, reference))
    if not left or not right:
        return 0.0
    return 200 * LCSseq.similarity(left, right) / (len(left) + len(right))


def places(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rank of each value, from 0; equal values share the mean of their ranks. Shape (n,) in and out."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: NDArray[np.float64] = (last - (counts + 1) / 2)[inverse.reshape(-1)]
    return shared


def spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation, -1 to 1; None for fewer than two values, or where all are equal."""
    if len(one) < 2:
        return None
    a, b = places(one), places(other)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else None
