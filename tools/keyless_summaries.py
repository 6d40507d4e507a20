"""Fits the weights by which a card's sentences are chosen as its summary."""

from __future__ import annotations

from collections.abc import Sequence

import keyless_data as data
import numpy as np
from keyless_scores import rouge_l

from taxonomy.cardtext import strip
from taxonomy.keyless.summary import FEATURES, candidates

RIDGE = 10.0


def fit_summary_weights(cards: Sequence[data.CorpusCard]) -> dict[str, float]:
    """Ridge regression of ROUGE-L with the reference summary on the features of each candidate line."""
    features, scores = [], []
    for card in cards:
        assert card.labels is not None
        for candidate in candidates(strip(card.input.text), card.input.title):
            features.append(candidate.features)
            scores.append(rouge_l(candidate.line, card.labels.summary))
    x, y = np.array(features), np.array(scores)
    spread = x.std(0) + 1e-9
    z = (x - x.mean(0)) / spread
    fitted = np.linalg.solve(z.T @ z + RIDGE * np.eye(len(FEATURES)), z.T @ (y - y.mean())) / spread
    return {name: round(float(weight), 4) for name, weight in zip(FEATURES, fitted, strict=True)}
