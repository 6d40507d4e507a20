"""Measures: nearest-neighbour accuracy, ROUGE-L, macro-F1, and the TF-IDF vectors to compare with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def knn_accuracy(vectors: NDArray[np.float32], labels: Sequence[str], k: int = 10) -> float:
    """Per cent of rows whose label is the commonest among their k nearest others by cosine.

    A neighbour's vote weighs its similarity, which also settles ties.
    """
    wide = vectors.astype(np.float64)
    wide /= np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    similar = wide @ wide.T
    np.fill_diagonal(similar, -2)
    right = 0
    for row, label in enumerate(labels):
        votes: Counter[str] = Counter()
        for other in np.argsort(-similar[row], kind="stable")[:k]:
            votes[labels[other]] += max(similar[row, other], 0.0) + 1e-9
        right += votes.most_common(1)[0][0] == label
    return 100 * right / len(labels)


def tfidf_svd(texts: Sequence[str], dimensions: int = 256) -> NDArray[np.float32]:
    """TF-IDF of words, reduced by a truncated SVD fitted on these very texts."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, stop_words="english", min_df=2).fit_transform(texts)
    reduced: NDArray[np.float32] = TruncatedSVD(dimensions, random_state=0).fit_transform(words).astype(np.float32)
    return reduced


def accuracy(found: Sequence[str], labels: Sequence[str]) -> float:
    """Per cent that agree."""
    return 100 * sum(f == label for f, label in zip(found, labels, strict=True)) / len(labels)


def macro_f1(found: Sequence[str], labels: Sequence[str]) -> float:
    """Mean F1 over the labels that occur, per cent."""
    scores = []
    for each in sorted(set(labels)):
        both = sum(f == label == each for f, label in zip(found, labels, strict=True))
        scores.append(200 * both / (sum(f == each for f in found) + sum(label == each for label in labels)))
    return sum(scores) / len(scores)


def majority(labels: Sequence[str]) -> float:
    """Per cent of the commonest label."""
    return 100 * Counter(labels).most_common(1)[0][1] / len(labels)


def rouge_l(found: str, reference: str) -> float:
    """F1 of the longest common subsequence of lower-case words, per cent (no stemming)."""
    left, right = (re.findall(r"[a-z0-9]+", text.lower()) for text in (found, reference))
    if not left or not right:
        return 0.0
    row = [0] * (len(right) + 1)
    for word in left:
        before = 0
        for at, other in enumerate(right, 1):
            before, row[at] = row[at], before + 1 if word == other else max(row[at], row[at - 1])
    return 200 * row[-1] / (len(left) + len(right))
