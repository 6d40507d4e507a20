"""Measures of agreement: accuracy, macro-F1, Cohen's kappa, ROUGE-L, Spearman's correlation. Shares are per cent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

CardLabels = tuple[str, ...]
"""What one card has in one field: one label, or those of a list."""

_WORD = re.compile(r"\w+")


def accuracy(found: Sequence[CardLabels | None], reference: Sequence[CardLabels]) -> float:
    """Accuracy: share of cards whose labels are those of the reference, in whatever order; None is never right."""
    right = sum(f is not None and set(f) == set(r) for f, r in zip(found, reference, strict=True))
    return 100 * right / len(reference) if reference else 0.0


def macro_f1(found: Sequence[CardLabels | None], reference: Sequence[CardLabels]) -> float:
    """Macro-F1: mean F1 over the labels that the reference holds, each label a yes-or-no question to every card.

    Counted here: scikit-learn's takes a single label for two classes, and means something else then.
    """
    wanted, given, both = Counter[str](), Counter[str](), Counter[str]()
    for f, r in zip(found, reference, strict=True):
        answer, truth = set(f or ()), set(r)
        wanted.update(truth)
        given.update(answer)
        both.update(answer & truth)
    scores = [2 * both[label] / (count + given[label]) for label, count in wanted.items()]
    return 100 * sum(scores) / len(scores) if scores else 0.0


def commonest(reference: Sequence[CardLabels]) -> CardLabels:
    """Return the answer that is most often right; of equals the first in the alphabet."""
    counts = Counter(tuple(sorted(labels)) for labels in reference)
    return min(counts, key=lambda labels: (-counts[labels], labels))


def confusions(found: Iterable[CardLabels | None], reference: Iterable[CardLabels]) -> list[tuple[str, str, int]]:
    """Count each (reference, found, cards) that differ, the commonest first."""
    counts: Counter[tuple[str, str]] = Counter()
    for f, r in zip(found, reference, strict=True):
        if f is None or set(f) != set(r):
            counts[named(r), named(f)] += 1
    return [(r, f, count) for (r, f), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def named(labels: CardLabels | None) -> str:
    """Write labels as text: "(none)" for an empty list, "(no value)" for no answer."""
    return "(no value)" if labels is None else ", ".join(sorted(labels)) or "(none)"


def kappa(one: Sequence[CardLabels], other: Sequence[CardLabels]) -> float | None:
    """Cohen's kappa: agreement beyond what two readers with these habits have by chance; None where there is no room.

    Counted here: scikit-learn's wants a table of all labels by all labels, and an open field has thousands.
    """
    n = len(one)
    if not n:
        return None
    left = Counter(named(labels) for labels in one)
    right = Counter(named(labels) for labels in other)
    chance = sum(left[label] * right[label] for label in left) / n**2
    seen = accuracy(one, other) / 100
    return None if chance == 1 else (seen - chance) / (1 - chance)


def rouge_l(found: str, reference: str) -> float:
    """ROUGE-L: F1 of the longest common subsequence of lower-case words, without stemming (Lin, 2004, with beta 1)."""
    from rapidfuzz.distance import LCSseq

    left, right = (_WORD.findall(text.casefold()) for text in (found, reference))
    if not left or not right:
        return 0.0
    return 200 * LCSseq.similarity(left, right) / (len(left) + len(right))


def spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation, -1 to 1; None for fewer than two values, or where all are equal."""
    from scipy.stats import spearmanr

    if len(one) < 2 or not np.ptp(one) or not np.ptp(other):
        return None
    return float(spearmanr(one, other).statistic)
